"""Rows that hold something else than what the library wrote: told with key and id, and never run."""

from __future__ import annotations

import os
import pathlib
import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from stream_framework.exceptions import SerializationException
from tests.cassandra.support import made, sessions
from tests.contracts.support import act, acts, at

CANARY = pathlib.Path('/tmp') / f'stream-framework-canary-{os.getpid()}'


class Runs:
    """Unpickled, it makes the canary."""

    def __reduce__(self) -> Any:
        return os.system, (f'touch {CANARY}',)


def nested(depth: int) -> bytes:
    return b'\x80\x04' + b']' * depth + b'a' * (depth - 1) + b'.'


HOSTILE = {
    'os.system': pickle.dumps(Runs()),
    'os.system, protocol 0': pickle.dumps(Runs(), protocol=0),
    'in a dict': pickle.dumps({'a': [Runs()]}),
    'eval': b"\x80\x04cbuiltins\neval\n(S'1'\ntR.",
    'getattr': b"\x80\x04cbuiltins\ngetattr\n(cstream_framework.activity\nActivity\nS'__init__'\ntR.",
    'dotted': b'\x80\x04\x8c\x19stream_framework.activity\x8c\x11datetime.sys.exit\x93)R.',
    'sets an attribute of a class': (b'\x80\x04cstream_framework.activity\nActivity\n}\x8c\x06broken\x88sb.'),
    'nested': nested(100_000),
    'truncated': pickle.dumps({'a': 1, 'b': [1, 2, 3]})[:-4],
    'no data at all of a pickle': b'\x80\x04.',
    'no UTF-8': b'\xff\xfe{"a": 1}',
    'truncated JSON': b'{"a": [1, 2',
    'nested JSON': b'[' * 100_000 + b']' * 100_000,
    'long number': b'{"a": ' + b'9' * 100_000 + b'}',
    'text': b'hello',
    'number': b'7',
}


@pytest.fixture(autouse=True)
def canary() -> Iterator[None]:
    CANARY.unlink(missing_ok=True)
    yield
    ran = CANARY.exists()
    CANARY.unlink(missing_ok=True)
    assert not ran, 'stored bytes were run'


class Behind:
    """A feed and its table, behind the library's back."""

    def __init__(self, one: Any, kind: str) -> None:
        self.feed = made(one, kind)[0](1)
        self.session = sessions(one.settings())
        self.table = type(self.feed).get_timeline_storage().model.column_family_name()

    def rows(self) -> list[dict[str, Any]]:
        return list(self.session.execute(f'SELECT * FROM {self.table} WHERE feed_id = %s', [self.feed.key]))

    def change(self, position: int, **values: Any) -> int:
        """Change the row at a position; returns its id."""
        activity_id = self.rows()[position]['activity_id']
        names = ', '.join(f'"{name}" = %s' for name in values)
        self.session.execute(
            f'UPDATE {self.table} SET {names} WHERE feed_id = %s AND activity_id = %s',
            [*values.values(), self.feed.key, activity_id],
        )
        return activity_id

    def assert_refused(self, activity_id: int) -> None:
        for read in (lambda: self.feed[:], lambda: self.feed[1:2], lambda: self.feed.order_by('activity_id')[:5]):
            with pytest.raises(SerializationException) as failed:
                read()
            assert repr(self.feed.key) in str(failed.value)
            assert str(activity_id) in str(failed.value)
        assert len(self.feed[:1]) == len(self.feed[2:]) == 1


@pytest.mark.parametrize('data', HOSTILE.values(), ids=HOSTILE.keys())
def test_contexts(one: Any, data: bytes) -> None:
    behind = Behind(one, 'flat')
    behind.feed.add_many(acts(3, extra_context={'a': 1}))
    behind.assert_refused(behind.change(1, extra_context=data))
    assert not hasattr(type(act(1)), 'broken')
    # It can still be removed.
    behind.feed.remove(act(1))
    assert len(behind.feed[:]) == 2


@pytest.mark.parametrize('values', [{'verb': 999}, {'verb': None}, {'time': None}, {'object': None}], ids=str)
def test_columns(one: Any, values: dict[str, Any]) -> None:
    behind = Behind(one, 'flat')
    behind.feed.add_many(acts(3))
    behind.assert_refused(behind.change(1, **values))


@pytest.mark.parametrize('data', HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize('kind', ['aggregated', 'notification'])
def test_groups(one: Any, kind: str, data: bytes) -> None:
    behind = Behind(one, kind)
    behind.feed.add_many(acts(3))
    behind.assert_refused(behind.change(1, activities=data))


@pytest.mark.parametrize('kind', ['aggregated', 'notification'])
def test_a_group_of_nothing_is_skipped(one: Any, kind: str) -> None:
    behind = Behind(one, kind)
    behind.feed.add_many(acts(3))
    stored = behind.rows()[1]['activities']
    if isinstance(stored, bytes):
        behind.change(1, activities=pickle.dumps([]))
        assert len(behind.feed[:]) == 2


@pytest.mark.parametrize('values', [{'updated_at': None}, {'group': None}], ids=str)
def test_columns_of_groups(one: Any, values: dict[str, Any]) -> None:
    behind = Behind(one, 'aggregated')
    behind.feed.add_many(acts(3))
    behind.assert_refused(behind.change(1, **values))


def test_pickles_of_ours_are_read(one: Any) -> None:
    behind = Behind(one, 'flat')
    behind.feed.add_many(acts(3))
    context = {'when': at(5), 'list': [1, 'é', None], 'tuple': (1, 2), 'bytes': b'\xff'}
    for protocol in range(5):
        behind.change(1, extra_context=pickle.dumps(context, protocol))
        assert behind.feed[1][0].extra_context == context
