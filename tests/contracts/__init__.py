"""What every backend must do: one class of tests for each abstraction.

The classes are collected through :mod:`tests.test_contracts`, once for each backend in :mod:`tests.backends`.
"""
