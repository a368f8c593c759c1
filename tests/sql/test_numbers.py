"""Ids as bytes, and texts as both databases can hold them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_framework.exceptions import SerializationException
from stream_framework.storage.sql.connection import get_engine
from stream_framework.storage.sql.numbers import ABOVE_ALL, BELOW_ALL, WIDTH, decode, encode
from stream_framework.storage.sql.texts import pack, unpack
from tests.contracts.support import acts, ids
from tests.sql.support import Flat

NUMBERS = st.one_of(
    st.integers(),
    st.integers(-(2**200), 2**200),
    st.integers(-(10**4000), 10**4000),
    st.sampled_from([2**95, -(2**95), 2**96, 2**88, 2**128, 0]).flatmap(lambda n: st.integers(n - 3, n + 3)),
)


@given(NUMBERS, NUMBERS)
def test_bytes_sort_as_numbers_do(one: int, other: int) -> None:
    assert decode(encode(one)) == one
    assert (encode(one) < encode(other)) == (one < other)
    assert BELOW_ALL < encode(one) < ABOVE_ALL


def test_ids_of_today_take_twelve_bytes() -> None:
    assert {len(encode(number)) for number in (0, -1, 10**26, 10**28, ids(acts(1))[0])} == {WIDTH}


@given(st.one_of(st.text(), st.binary(), st.sampled_from(['\x01', '\x01sx', '\0', '', 'x\0'])))
def test_texts_come_back(value: str | bytes) -> None:
    if isinstance(value, str) and any('\ud800' <= character <= '\udfff' for character in value):
        with pytest.raises(SerializationException):
            pack(value)
        return
    packed = pack(value)
    assert '\0' not in packed
    assert unpack(packed) == value
    assert type(unpack(packed)) is type(value)


def test_what_is_no_text() -> None:
    for value in (object(), None, True, [1]):
        with pytest.raises(SerializationException, match='str or bytes'):
            pack(value)
    for stored in ('\x01', '\x01x', '\x01s%', '\x01s/w=='):
        with pytest.raises(SerializationException):
            unpack(stored)


def test_bytes_of_an_entry_of_a_flat_feed(database: object) -> None:
    """Below 60 on SQLite, all told; what it is, the documentation says."""
    if get_engine().dialect.name != 'sqlite':
        pytest.skip('measured on SQLite')
    activities = acts(100)
    for reader in range(200):
        Flat(reader).add_many(activities)
    with get_engine().connect() as connection:
        pages = connection.exec_driver_sql("SELECT sum(pgsize) FROM dbstat WHERE name = 'stream_entries'").scalar()
        count = connection.exec_driver_sql('SELECT count(*) FROM stream_entries').scalar()
    assert count == 20_000
    assert pages / count < 60
