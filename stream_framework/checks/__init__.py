"""What can be found out before it goes wrong: malformed settings, servers that don't answer, tables that are missing.

``python -m stream_framework check`` prints what these functions find; Django's system checks use the first.

- :func:`stream_framework.checks.settings.check_settings`: talks to no server
- :func:`stream_framework.checks.redis.check_redis`: one server of ``STREAM_REDIS_CONFIG``
- :func:`stream_framework.checks.cassandra.check_cassandra`: the nodes, the keyspace, the tables
- :func:`stream_framework.checks.sql.check_sql`: the database of ``STREAM_SQL_URL``

None of them writes anything.
"""
