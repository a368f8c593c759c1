"""Feeds on Apache Cassandra, for feeds that outgrow one machine. Needs ``pip install stream-framework[cassandra]``."""
