"""What is stored of activities and groups, and how it becomes activities and groups again."""
