"""Feeds in a SQL database: SQLite, embedded, or PostgreSQL."""

from stream_framework.storage.sql.transactions import transaction

__all__ = ['transaction']
