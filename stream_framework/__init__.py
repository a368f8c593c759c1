"""Stream Framework: news feeds, activity streams and notifications on Redis, Cassandra or in memory."""

__version__ = '2.0.0'
