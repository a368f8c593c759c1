"""How fast the library is, beside the raw client of each server in the same run: ``python -m benchmarks --help``."""
