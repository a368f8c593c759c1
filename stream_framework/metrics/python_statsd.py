"""Metrics sent to a statsd server, over UDP, by the package ``python-statsd``.

.. code-block:: python

    STREAM_METRIC_CLASS = 'stream_framework.metrics.python_statsd.StatsdMetrics'
    STREAM_METRICS_OPTIONS = {'host': 'localhost', 'port': 8125}
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
    """Counters and timers of a statsd server; the package adds ``.total`` to the names of timers.

    :param host: the server's name or address
    :param port: the server's UDP port
    :param prefix: what the names begin with, without the dot; ``None`` for nothing
    :raises MissingDependencyError: where the package isn't installed, or statsd is, whose module has its name
    """

    def __init__(self, host: str = 'localhost', port: int = 8125, prefix: str | None = 'stream_framework') -> None:
        if not hasattr(statsd, 'Connection'):
            raise MissingDependencyError(
                'these metrics need the package python-statsd: pip install stream-framework[python-statsd] '
                '(statsd is another package; only one of the two can be installed)'
            )
        self.prefix = prefix
        self.connection = statsd.Connection(host=host, port=port)

    def count(self, name: str, number: int) -> None:
        """Add to a counter."""
        statsd.Counter(self._full(name), self.connection).increment(delta=number)

    def timer(self, name: str) -> Any:
        """A context manager that sends how long its block took."""
        # One for each use: it can't be started twice.
        return statsd.Timer(self._full(name), self.connection)

    def _full(self, name: str) -> str:
        return f'{self.prefix}.{name}' if self.prefix else name
