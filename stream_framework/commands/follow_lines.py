"""Follows in a file, one on each line: CSV, or JSON."""

from __future__ import annotations

import csv
import datetime
import functools
import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from stream_framework.commands.of_user import user_id_of
from stream_framework.exceptions import InvalidArgumentError, StreamFrameworkError
from stream_framework.storage.follow_values import Follow, short, to_row

#: What the columns of CSV and the keys of JSON are called.
COLUMNS = ('user_id', 'target_id', 'since')

_NEEDED = ', '.join(COLUMNS)
_UNIX_TIME = re.compile(r'\d{9,10}(\.\d+)?')
# What Python 3.10 does not read: Z for UTC, offsets without minutes, fractions of other lengths.
_ISO_8601 = re.compile(r'(.*?\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d(?::?\d\d)?)?')


class FollowLines:
    """Reads follows, and knows in which line it is.

    JSON is what begins with ``{`` or ``[``: ``{"user_id": 7, "target_id": 13, "since": "2024-05-01T12:00:00Z"}``, or
    ``[7, 13, null]``. All else is CSV: these columns in this order, or a first line that names them.

    :param lines: text
    :param id_type: ``'int'``, ``'str'`` or ``'uuid'``; by default in CSV an int is what is written as one, and JSON
        tells by itself
    :param start: the line to begin with; that of the columns' names is read all the same
    :param on_wrong: called with what is wrong in a line, which is left out then; by default reading ends there, and
        :attr:`error` says so

    >>> lines = FollowLines(['user_id,since,target_id', '7,2024-05-01 12:00:00,anna', '7,,7'])
    >>> list(lines)
    [Follow(user_id=7, target_id='anna', since=datetime.datetime(2024, 5, 1, 12, 0))]
    >>> lines.line, str(lines.error)
    (3, 'line 3: 7 can not follow itself: leave it out of target_ids')
    """

    def __init__(
        self,
        lines: Iterable[str],
        id_type: str | None = None,
        start: int = 1,
        on_wrong: Callable[[StreamFrameworkError], Any] | None = None,
    ) -> None:
        self.lines = iter(lines)
        self.id_type = id_type
        self.start = start
        self.on_wrong = on_wrong
        #: The line that was read last.
        self.line = 0
        #: What reading ended with.
        self.error: StreamFrameworkError | None = None
        #: Type -> how many ids were of it.
        self.types: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Follow]:
        try:
            for read in self._readers():
                try:
                    follow = Follow(*read())
                    to_row(follow)
                except StreamFrameworkError as error:
                    wrong = InvalidArgumentError(f'line {self.line}: {error}')
                    if self.on_wrong is None:
                        self.error = wrong
                        return
                    self.on_wrong(wrong)
                else:
                    self.types[type(follow.user_id).__name__] += 1
                    self.types[type(follow.target_id).__name__] += 1
                    yield follow
        except (UnicodeDecodeError, csv.Error) as error:
            # Nothing can be read after that.
            self.error = InvalidArgumentError(f'after line {self.line}: {error}')

    def _readers(self) -> Iterator[Callable[[], Any]]:
        """Functions that read one follow each: what they raise is of their line alone."""
        first = next(self.lines, '').removeprefix('\ufeff')
        lines = itertools.chain([first], self.lines)
        return self._from_json(lines) if first.lstrip()[:1] in ('{', '[') else self._from_csv(first, lines)

    def _from_json(self, lines: Iterable[str]) -> Iterator[Callable[[], Any]]:
        for self.line, text in enumerate(lines, 1):
            if self.line >= self.start and text.strip():
                yield functools.partial(self._of_json, text)

    def _from_csv(self, first: str, lines: Iterator[str]) -> Iterator[Callable[[], Any]]:
        places = places_of([name.strip().lower() for name in next(csv.reader([first]), [])])
        skipped = max(self.start - 1, int(places is not None))
        rows = csv.reader(itertools.islice(lines, skipped, None))
        for row in rows:
            self.line = skipped + rows.line_num
            if row:
                yield functools.partial(self._of_csv, row, places or (0, 1, 2))

    def _of_json(self, text: str) -> tuple[Any, Any, Any]:
        try:
            value = json.loads(text)
        except ValueError as error:
            raise InvalidArgumentError(f'{short(text.strip())} is no JSON: {error}') from error
        if isinstance(value, dict):
            value = [value.get(name) for name in COLUMNS]
        if not isinstance(value, list) or not 2 <= len(value) <= 3:
            raise InvalidArgumentError(
                f'{short(value)} is no follow: give an object, or a list of {", ".join(COLUMNS)}'
            )
        user_id, target_id, since = (*value, None)[:3]
        if self.id_type is not None:
            user_id, target_id = (
                user_id_of(str(value), self.id_type) if type(value) in (int, str) else value
                for value in (user_id, target_id)
            )
        return user_id, target_id, moment_of(since)

    def _of_csv(self, row: list[str], places: tuple[int, int, int | None]) -> tuple[Any, Any, Any]:
        user_place, target_place, since_place = places
        if len(row) <= max(user_place, target_place):
            raise InvalidArgumentError(f'{short(row)} lacks a column: give {_NEEDED}')
        user_id, target_id = row[user_place], row[target_place]
        if not user_id or not target_id:
            raise InvalidArgumentError(f'{short(row)} has an empty id')
        since = row[since_place] if since_place is not None and since_place < len(row) else None
        return user_id_of(user_id, self.id_type), user_id_of(target_id, self.id_type), moment_of(since)


def places_of(names: list[str]) -> tuple[int, int, int | None] | None:
    """Return where the columns are, by a line with their names; ``None`` if it has none.

    >>> places_of(['id', 'target_id', 'user_id'])
    (2, 1, None)
    """
    if 'user_id' not in names or 'target_id' not in names:
        return None
    return names.index('user_id'), names.index('target_id'), names.index('since') if 'since' in names else None


def moment_of(value: Any) -> datetime.datetime | None:
    """Read a time: ISO 8601, or seconds since 1970. UTC, if there is no offset; ``None`` for none.

    :raises InvalidArgumentError: for anything else

    >>> moment_of('2024-05-01 14:00:00.5+02').isoformat(), moment_of(1714557600), moment_of('')
    ('2024-05-01T14:00:00.500000+02:00', datetime.datetime(2024, 5, 1, 10, 0), None)
    """
    if value is None or value == '':
        return None
    text = str(value).strip()
    try:
        if text[4:5] == '-' and len(text) == 19:
            return datetime.datetime.fromisoformat(text)
        if _UNIX_TIME.fullmatch(text):
            return datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=float(text))
        if isinstance(value, str) and not text.isdecimal():
            return datetime.datetime.fromisoformat(_ISO_8601.sub(_as_python_writes_it, text))
    except ValueError:
        pass
    raise InvalidArgumentError(
        f'since is {short(value)}: give a time as 2024-05-01T12:00:00Z, or the seconds since 1970'
    )


def _as_python_writes_it(match: re.Match[str]) -> str:
    moment, fraction, offset = match.groups('')
    if offset == 'Z':
        offset = '+00:00'
    elif offset:
        hours, minutes = offset[:3], offset[3:].removeprefix(':')
        offset = f'{hours}:{minutes or "00"}'
    return f'{moment}.{fraction[:6]:0<6}{offset}' if fraction else f'{moment}{offset}'
