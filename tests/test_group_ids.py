"""Ids of groups, ours and those of 1.4.0."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_framework import ids
from stream_framework.compat.group_ids import GroupId

TIMES = st.datetimes(datetime.datetime(1970, 1, 2), datetime.datetime(2200, 1, 1))


def legacy(time: datetime.datetime) -> str:
    """What 1.4.0 made of a time: milliseconds, cut to whole seconds."""
    return ids.format_group_id(int((time - datetime.datetime(1970, 1, 1)).total_seconds()) * 1000)


@given(TIMES, st.text())
def test_parsed_and_written(time: datetime.datetime, group: str) -> None:
    for text in (ids.group_id(group, time), legacy(time)):
        found = GroupId.parse(text)
        assert str(found) == text
        assert GroupId.parse(int(text)) == found


@given(TIMES, TIMES, st.text())
def test_both_kinds_sort_by_time(one: datetime.datetime, other: datetime.datetime, group: str) -> None:
    whole = one.replace(microsecond=0)
    ours, theirs = GroupId.parse(ids.group_id(group, other)), GroupId.parse(legacy(one))
    assert (ours.is_legacy, theirs.is_legacy) == (False, True)
    assert (theirs.order < ours.order) == (whole <= other)


@given(TIMES, st.text())
def test_spellings(time: datetime.datetime, group: str) -> None:
    ours, theirs = GroupId.parse(ids.group_id(group, time)), GroupId.parse(legacy(time))
    whole = ours.milliseconds % 1000 == 0
    assert ours.spellings == ((str(ours), str(theirs)) if whole else (str(ours),))
    assert theirs.spellings == (str(theirs),)


@pytest.mark.parametrize('wrong', ['x', None, 1.5, object()])
def test_what_is_no_id(wrong: Any) -> None:
    with pytest.raises(ValueError):
        GroupId.parse(wrong)
