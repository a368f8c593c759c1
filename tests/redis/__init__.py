"""What only Redis has: structures, round trips, servers that fail, data that 1.4.0 left."""
