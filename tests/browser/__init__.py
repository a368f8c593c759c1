"""The example site in a browser: ``make test ARGS=tests/browser``."""
