"""Real workers, of applications that are set up as ``docs/background_tasks.rst`` shows it, on real brokers."""
