"""Metrics sent to a statsd server, over UDP, by the package ``statsd``.

.. code-block:: python

    STREAM_METRIC_CLASS = 'stream_framework.metrics.statsd.StatsdMetrics'
    STREAM_METRICS_OPTIONS = {'host': 'localhost', 'port': 8125, 'prefix': 'stream'}
"""

from __future__ import annotations

from typing import Any

from stream_framework.exceptions import MissingDependencyError
from stream_framework.metrics.names import NamedMetrics

try:
    import statsd
except ImportError:
    statsd = None


class StatsdMetrics(NamedMetrics):
    """Counters and timers of a statsd server.

    :param host: the server's name or address
    :param port: the server's UDP port
    :param prefix: what the names begin with, without the dot; ``None`` for nothing
    :raises MissingDependencyError: where the package isn't installed, or python-statsd is, whose module has its name
    """

    def __init__(self, host: str = 'localhost', port: int = 8125, prefix: str | None = None) -> None:
        if not hasattr(statsd, 'StatsClient'):
            raise MissingDependencyError(
                'these metrics need the package statsd: pip install stream-framework[statsd] '
                '(python-statsd is another package; only one of the two can be installed)'
            )
        self.statsd = statsd.StatsClient(host, port, prefix)

    def count(self, name: str, number: int) -> None:
        """Add to a counter."""
        self.statsd.incr(name, number)

    def timer(self, name: str) -> Any:
        """A context manager that sends how long its block took."""
        return self.statsd.timer(name)
