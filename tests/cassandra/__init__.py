"""What is special about Cassandra: connections, old tables, writers that meet, nodes that fail."""
