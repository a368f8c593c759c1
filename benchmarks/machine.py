"""What a run was measured on: nothing in it tells whose machine it is."""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import platform
import re
from typing import Any

CLIENTS = ('redis', 'hiredis', 'cassandra-driver', 'celery', 'kombu')


def describe() -> dict[str, Any]:
    """The processor, the memory, and the versions of Python and of the clients."""
    return {
        'cpu': _cpu(),
        'cores': len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count(),
        'memory_gb': _memory(),
        'system': f'{platform.system()} {re.match(r"[0-9.]*", platform.release())[0]}',  # type: ignore[index]
        'python': f'{platform.python_implementation()} {platform.python_version()}',
        'clients': {name: version for name in CLIENTS if (version := _version(name))},
        'servers': {},
    }


def _cpu() -> str:
    try:
        found = re.search(r'(?m)^model name\s*:\s*(.+)$', pathlib.Path('/proc/cpuinfo').read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def _memory() -> int | None:
    try:
        return round(os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30)
    except (ValueError, OSError, AttributeError):
        return None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
