"""Rows for ids: the models that the activities of a page name, by one query for each model.

Activities that are read from a feed have ids. Looking each up is a query for every line of a page, which is the usual
fault of feeds in Django projects. :func:`enrich` looks up all of a page at once.

Needs neither Django nor its settings to be imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, overload

from stream_framework.activity import Activity, AggregatedActivity
from stream_framework.exceptions import ConfigurationError
from stream_framework.verbs.base import Verb

if TYPE_CHECKING:
    from stream_framework.contrib.django.pagination import FeedPage

Page = TypeVar('Page', bound='list[Any] | FeedPage[Any]')
#: Which model an id of a role belongs to: see :func:`enrich`. Models, managers and querysets have no types of ours.
Source = Any
Missing = Callable[[Activity, str], Any]


# What columns of 64 bits hold.
_WIDEST = (-(2**63), 2**63 - 1)


class _LeftOut:
    def __repr__(self) -> str:
        return 'LEFT_OUT'


#: What ``missing`` returns for an activity that is not to be shown.
LEFT_OUT: Final = _LeftOut()


@overload
def enrich(  # type: ignore[overload-overlap]  # a page is given back as what it is
    page: Page,
    *,
    actor: Source = None,
    object: Source = None,
    target: Source = None,
    missing: Missing | None = None,
) -> Page: ...
@overload
def enrich(
    page: Iterable[Any],
    *,
    actor: Source = None,
    object: Source = None,
    target: Source = None,
    missing: Missing | None = None,
) -> list[Any]: ...
def enrich(
    page: Any, *, actor: Source = None, object: Source = None, target: Source = None, missing: Missing | None = None
) -> Any:
    """Make ``activity.actor``, ``.object`` and ``.target`` of a page instances of models.

    One query for each model, whatever the page holds; two querysets of one model that differ are two queries. Ids are
    read as the model's primary key reads them, whatever that is called: an id ``'17'`` finds the row 17. An instance
    that is there already is kept.

    What is gone leaves the page: an activity whose actor, object or target has no row, an activity of a group, a group
    that has none left. ``missing`` may say otherwise.

    :param page: activities, or groups of a feed: a list, or a :class:`~stream_framework.contrib.django.pagination.\
FeedPage`. It is changed, and returned; of any other iterable a list is returned
    :param actor: what the actors are:

        - a model, a manager or a queryset, which keeps its ``select_related`` and whatever else: all of them are that
        - ``{Pin: Pin.objects}``, a model and what to look it up in: the same
        - ``{Love: Pin.objects, Follow: User}``, verbs (or their ids): it depends on the verb. Where a verb is not
          named, the id is left alone; a verb's subclasses go with it
        - a function that takes an activity, and returns a model, a manager, a queryset, or ``None`` to leave it alone
    :param object: alike
    :param target: alike
    :param missing: called with an activity and ``'actor'``, ``'object'`` or ``'target'``, where there is no row;
        returns what to show for it, or :data:`LEFT_OUT`
    :raises ConfigurationError: for what names no model, and for several models with nothing that tells them apart
    :raises ValueError: for activities and groups that hold only ids of activities (``rehydrate=False``)
    """
    rooms = {'actor': actor, 'object': object, 'target': target}
    choices = {role: _choice(role, source) for role, source in rooms.items() if source is not None}
    items = list(page)
    lookups = _Lookups()
    named = {id(activity): _named_by(activity, choices, lookups) for activity in _activities_of(items)}
    lookups.run()

    def is_shown(activity: Activity) -> bool:
        return all(_put(activity, role, lookup, missing) for role, lookup in named[id(activity)])

    shown = []
    for item in items:
        if isinstance(item, AggregatedActivity):
            item.activities = [activity for activity in item.activities if is_shown(activity)]
            if item.activities:
                shown.append(item)
        elif is_shown(item):
            shown.append(item)
    if isinstance(page, list):
        page[:] = shown
        return page
    if hasattr(page, 'object_list'):
        page.object_list = shown
        return page
    return shown


class _Lookup(NamedTuple):
    """A row that is to be found, and the rows among which it will be."""

    key: Any
    rows: dict[Any, Any]


class _Lookups:
    """The rows that a page needs, gathered first, so that each queryset is asked once."""

    def __init__(self) -> None:
        # What tells querysets apart -> the queryset, the keys to find, the rows found.
        self._wanted: dict[Any, tuple[Any, set[Any], dict[Any, Any]]] = {}
        self._known: dict[int, tuple[Any, Any]] = {}

    def add(self, source: Any, value: Any) -> _Lookup:
        """Note that the row of this id is needed."""
        queryset, wanted, rows = self._wanted[self._identity(source)]
        key = _as_key(queryset, value)
        if key is not None:
            wanted.add(key)
        return _Lookup(key, rows)

    def run(self) -> None:
        """Ask for all rows."""
        for queryset, wanted, rows in self._wanted.values():
            if wanted:
                rows.update(queryset.in_bulk(wanted))

    def _identity(self, source: Any) -> Any:
        # A function may make the same queryset for each activity: what they ask for tells them apart.
        if id(source) not in self._known:
            queryset = _queryset(source)
            identity = _what_it_asks(queryset)
            self._wanted.setdefault(identity, (queryset, set(), {}))
            # The source is kept, so that its id() is not used again.
            self._known[id(source)] = source, identity
        return self._known[id(source)][1]


def _choice(role: str, source: Source) -> Callable[[Activity], Any]:
    """Return the function that says what an activity's id of this role is to be looked up in."""
    if _is_queryable(source):
        return lambda activity: source
    if isinstance(source, Mapping):
        if source and all(_is_verb(key) for key in source):
            return _by_verb(role, source)
        if len(source) == 1 and all(hasattr(key, '_default_manager') for key in source):
            return _choice(role, next(iter(source.values())))
        raise ConfigurationError(
            f'{role}={source!r} does not say which model an activity names: give one model, or the verbs that tell '
            f'several apart, {role}={{Love: Pin, Follow: User}}, or a function that takes an activity'
        )
    if callable(source):
        return lambda activity: _checked(role, source(activity))
    raise _no_model(role, source)


def _by_verb(role: str, sources: Mapping[Any, Any]) -> Callable[[Activity], Any]:
    by_id = {key if isinstance(key, int) else key.id: _checked(role, source) for key, source in sources.items()}

    def choose(activity: Activity) -> Any:
        bases = (base for base in activity.verb.__mro__ if issubclass(base, Verb) and base.id in by_id)
        verb = next(bases, None)
        return None if verb is None else by_id[verb.id]

    return choose


def _is_verb(key: Any) -> bool:
    return isinstance(key, int) or (isinstance(key, type) and issubclass(key, Verb))


def _is_queryable(source: Any) -> bool:
    return hasattr(source, '_default_manager') or hasattr(source, 'in_bulk')


def _checked(role: str, source: Any) -> Any:
    if source is None or _is_queryable(source):
        return source
    raise _no_model(role, source)


def _no_model(role: str, source: Any) -> ConfigurationError:
    return ConfigurationError(
        f'{role} is looked up in {source!r}, which is no model, manager or queryset: give one of these, a dict of '
        'verbs, or a function that takes an activity'
    )


def _queryset(source: Any) -> Any:
    return getattr(source, '_default_manager', source).all()


def _what_it_asks(queryset: Any) -> Any:
    from django.core.exceptions import EmptyResultSet

    try:
        asked = str(queryset.query)
    except EmptyResultSet:
        asked = ''
    # Prefetches are queries of their own.
    prefetched = tuple(queryset._prefetch_related_lookups)
    return queryset.model, type(queryset), queryset.db, asked, prefetched


def _activities_of(items: Iterable[Any]) -> Iterator[Activity]:
    for item in items:
        if getattr(item, 'dehydrated', False):
            raise ValueError(f'{item!r} holds only ids of activities: read the page without rehydrate=False')
        if isinstance(item, AggregatedActivity):
            yield from item.activities
        else:
            yield item


def _named_by(
    activity: Activity, choices: Mapping[str, Callable[[Activity], Any]], lookups: _Lookups
) -> list[tuple[str, _Lookup]]:
    """Return what of an activity has to be looked up."""
    found = []
    for role, choose in choices.items():
        value = getattr(activity, f'{role}_id')
        if value is not None and not hasattr(activity, role):
            source = choose(activity)
            if source is not None:
                found.append((role, lookups.add(source, value)))
    return found


def _put(activity: Activity, role: str, lookup: _Lookup, missing: Missing | None) -> bool:
    """Give the activity its row, or what stands for it; return whether it is to be shown."""
    found = lookup.rows.get(lookup.key, LEFT_OUT)
    if found is LEFT_OUT and missing is not None:
        found = missing(activity, role)
    if found is LEFT_OUT:
        return False
    setattr(activity, role, found)
    return True


def _as_key(queryset: Any, value: Any) -> Any:
    """Return an id as the primary key reads it; ``None`` where no row can have it."""
    from django.core.exceptions import ValidationError
    from django.db import connections

    field = queryset.model._meta.pk
    try:
        key = field.to_python(value)
    except (ValidationError, ValueError, TypeError):
        return None
    while field.remote_field is not None:
        field = field.target_field
    if isinstance(key, int):
        # Databases refuse numbers that their columns have no room for; the backend of SQLite names no limits.
        low, high = connections[queryset.db].ops.integer_field_range(field.get_internal_type())
        if low is None or high is None:
            low, high = _WIDEST
        return key if low <= key <= high else None
    if isinstance(key, str) and ('\0' in key or not _is_text(key)):
        return None
    return key


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
