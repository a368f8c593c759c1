"""Feeds on Apache Cassandra, for what outgrows one machine. Needs ``pip install stream-framework[cassandra]``."""
