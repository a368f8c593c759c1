"""Redis, Valkey and Redis Cluster as a backend: feeds are sorted sets, activities lie in ten hashes."""
