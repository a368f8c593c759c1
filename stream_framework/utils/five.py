"""What 1.4.0 needed to run on Python 2 and 3."""

long_t = int
