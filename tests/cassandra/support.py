"""What these tests share: plain sessions, feed classes by name, writers in processes of their own."""

from __future__ import annotations

import contextlib
import itertools
import json
import pathlib
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from stream_framework.activity import Activity, AggregatedActivity, NotificationActivity
from tests.backends import RUN, Cassandra, _numbers
from tests.contracts.support import act, ids

ROOT = pathlib.Path(__file__).parent.parent.parent
KINDS = ('aggregated', 'notification')


class Large(AggregatedActivity):
    """Keeps everything that these tests put into it: so what is removed comes off exactly."""

    max_aggregated_activities_length = 10**6


class LargeNotification(NotificationActivity):
    """Likewise."""

    max_aggregated_activities_length = 10**6


_sessions: dict[str, Any] = {}


def sessions(settings: dict[str, Any]) -> Any:
    """A plain session of the driver for these settings, the same one each time; rows come as dicts."""
    keyspace = settings['STREAM_DEFAULT_KEYSPACE']
    if keyspace not in _sessions:
        hosts, port = settings['STREAM_CASSANDRA_HOSTS'], settings['CASSANDRA_DRIVER_KWARGS']['port']
        _sessions[keyspace] = _connect(hosts, port, keyspace)
    return _sessions[keyspace]


def close_sessions(settings: dict[str, Any]) -> None:
    """Close the plain session for these settings."""
    if session := _sessions.pop(settings['STREAM_DEFAULT_KEYSPACE'], None):
        session.cluster.shutdown()


def _connect(hosts: list[str], port: int, keyspace: str) -> Any:
    from cassandra import ConsistencyLevel
    from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
    from cassandra.policies import DCAwareRoundRobinPolicy
    from cassandra.query import dict_factory

    profile = ExecutionProfile(
        DCAwareRoundRobinPolicy(),
        row_factory=dict_factory,
        request_timeout=60,
        consistency_level=ConsistencyLevel.QUORUM,
    )
    cluster = Cluster(hosts, port=port, connect_timeout=20, execution_profiles={EXEC_PROFILE_DEFAULT: profile})
    return cluster.connect(keyspace)


def new_key_format() -> str:
    """A key format that nobody else uses."""
    return f'{RUN}:{next(_numbers)}:%(user_id)s'


def feed_class(kind: str, key_format: str, large: bool = False, **attributes: Any) -> Any:
    """A feed class of which every process can make its own: groups by object, never trims by itself."""
    from tests.contracts.aggregated_feed import ByObject

    base = getattr(Cassandra(), 'feed_class' if kind == 'flat' else f'{kind}_feed_class')
    values = {'key_format': key_format, 'trim_chance': 0, **attributes}
    if kind == 'aggregated':
        values['aggregator_class'] = ByObject
    if large:
        values['aggregated_activity_class'] = Large if kind == 'aggregated' else LargeNotification
    return types.new_class(f'{kind.title()}Feed', (base,), {}, lambda body: body.update(values))


def made(backend: Any, kind: str, **attributes: Any) -> tuple[Any, dict[str, Any]]:
    """A feed class with its table, and what a writer needs to make the same."""
    description = {'kind': kind, 'key_format': new_key_format(), **attributes}
    made_class = feed_class(**description)
    backend.prepare(made_class)
    return made_class, description


class Writer:
    """A process that does a job of :mod:`tests.cassandra.writer`; it starts when told to.

    :param settings: what it configures
    :param job: name and keywords of a function there
    """

    def __init__(self, settings: dict[str, Any], job: str, **kwargs: Any) -> None:
        #: The lines that it has printed: what it says is done.
        self.done: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, '-m', 'tests.cassandra.writer', json.dumps([settings, job, kwargs])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._errors: list[str] = []
        self._ended = False
        self._changed = threading.Condition()
        self._readers = [
            threading.Thread(target=self._collect, args=(self._process.stdout, self.done)),
            threading.Thread(target=self._collect, args=(self._process.stderr, self._errors)),
        ]
        for reader in self._readers:
            reader.start()
        self.wait_for(1)

    def go(self) -> Writer:
        """Let it begin."""
        self._process.stdin.write('go\n')
        self._process.stdin.flush()
        return self

    def wait_for(self, count: int, seconds: float = 120) -> None:
        """Until it has printed so many lines, or has ended."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.done) >= count or self._ended, seconds)
        assert len(self.done) >= count, f'{len(self.done)} lines of {count}: {"".join(self._errors)}'

    def kill(self) -> list[str]:
        """``kill -9``; returns what it had said is done."""
        self._process.kill()
        self._process.wait()
        for reader in self._readers:
            reader.join()
        return self.done[1:]

    def finish(self, seconds: float = 400) -> list[str]:
        """Until it has ended without an error; returns what it said is done."""
        try:
            code = self._process.wait(seconds)
        finally:
            self.kill()
        assert code == 0, ''.join(self._errors)
        return self.done[1:]

    def _collect(self, stream: Iterable[str], lines: list[str]) -> None:
        for line in stream:
            with self._changed:
                lines.append(line if lines is self._errors else line.strip())
                self._changed.notify_all()
        with self._changed:
            self._ended = self._ended or lines is self.done
            self._changed.notify_all()


def together(settings: dict[str, Any], jobs: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Run jobs in processes that start at one moment; all must end well."""
    writers = [Writer(settings, job, **kwargs) for job, kwargs in jobs]
    for writer in writers:
        writer.go()
    for writer in writers:
        writer.finish()


def work_of(number: int, writers: int, each: int, objects: int) -> list[Activity]:
    """What one of several writers adds: about every object, each activity by one writer only."""
    return [act(i * writers + number, object=i % objects) for i in range(each)]


def is_removed(position: int) -> bool:
    """Whether a writer that removes some takes away again what it added at this position."""
    return position % 5 == 3


def by_object(activities: Iterable[Activity]) -> dict[Any, list[int]]:
    """Object -> ids, in order."""
    found: dict[Any, list[int]] = {}
    for activity in sorted(activities, key=lambda a: a.serialization_id):
        found.setdefault(activity.object_id, []).extend(ids([activity]))
    return found


def assert_groups(feed: Any, expected: dict[Any, list[int]], kept: int = 10**6) -> None:
    """A feed holds exactly these: every group once, every activity in it, the counts exact."""
    groups = feed[:]
    found = {group.activities[0].object_id: group for group in groups}
    assert len(found) == len(groups) == feed.count() == len(expected), [group.group for group in groups]
    assert len({group.serialization_id for group in groups}) == len(groups)
    for object_id, wanted in expected.items():
        group = found[object_id]
        assert list(group.activity_ids) == wanted[-kept:]
        assert group.activity_count == len(wanted)
        assert group.updated_at == group.last_activity.time


def until_done(work: Callable[[], Any], attempts: int = 20) -> int:
    """Do the same work again until it ends without an error of storage; returns how often it failed."""
    from stream_framework.exceptions import StorageError

    for failures in range(attempts):
        try:
            work()
        except StorageError as error:
            last = error
        else:
            return failures
    raise last


class Request:
    """What one request to the server was about."""

    def __init__(self, future: Any) -> None:
        #: ``ExecuteMessage`` for a prepared statement, ``BatchMessage``, ``QueryMessage`` for one that wasn't prepared.
        self.message = type(future.message).__name__
        #: The texts of its statements.
        self.statements = list(_statements(future.query))
        self.level = future.message.consistency_level
        #: How many rows came back, ``None`` while it is under way.
        self.rows: int | None = None

    @property
    def reads(self) -> bool:
        """Whether it reads."""
        return self.statements[0].lstrip().upper().startswith('SELECT')

    @property
    def conditional(self) -> bool:
        """Whether it writes only on a condition."""
        return any(' IF ' in statement for statement in self.statements)

    def __repr__(self) -> str:
        return f'<{self.message} of {len(self.statements)}: {self.statements[0]}>'


class Requests(list[Request]):
    """The requests that were made, in order."""

    #: The most that were under way at one moment.
    peak = 0
    _under_way = 0

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    @property
    def waves(self) -> list[str]:
        """Runs of reads and of writes."""
        return [kind for kind, _ in itertools.groupby('read' if request.reads else 'write' for request in self)]

    @property
    def rows(self) -> int:
        """How many rows came back."""
        return sum(request.rows or 0 for request in self)

    def begin(self, future: Any) -> None:
        """Called by the driver for each request."""
        request = Request(future)
        with self._lock:
            self.append(request)
            self._under_way += 1
            self.peak = max(self.peak, self._under_way)
        future.add_callbacks(self._end, self._end, callback_args=(request,), errback_args=(request,))

    def _end(self, result: Any, request: Request) -> None:
        with self._lock:
            self._under_way -= 1
            request.rows = len(result) if isinstance(result, list) else 0


@contextlib.contextmanager
def requests() -> Iterator[Requests]:
    """The requests of the library's session while the block runs, as the driver itself tells."""
    from stream_framework.storage.cassandra.connection import get_session

    made, session = Requests(), get_session()
    session.add_request_init_listener(made.begin)
    try:
        yield made
    finally:
        session.remove_request_init_listener(made.begin)
    assert get_session() is session


def _statements(query: Any) -> Iterator[str]:
    from stream_framework.storage.cassandra.connection import get_session

    parts = getattr(query, '_statements_and_parameters', None)
    if parts is None:
        prepared = getattr(query, 'prepared_statement', None)
        yield prepared.query_string if prepared is not None else query.query_string
        return
    known = get_session().cluster._prepared_statements
    for is_prepared, text, _ in parts:
        yield known[text].query_string if is_prepared else text
