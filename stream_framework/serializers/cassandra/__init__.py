"""Serializers that make rows of Cassandra's tables."""
