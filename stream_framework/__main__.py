"""``python -m stream_framework``: the command line, see :mod:`stream_framework.commands`."""

from __future__ import annotations

import sys

from stream_framework.commands import main

if __name__ == '__main__':
    sys.exit(main())
