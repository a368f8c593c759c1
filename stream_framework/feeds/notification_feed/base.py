"""Notification feeds: groups of activities with a badge, "3 unseen"."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from stream_framework import ids
from stream_framework.activity import AggregatedActivity, BaseActivity, NotificationActivity
from stream_framework.aggregators.base import BaseAggregator, NotificationAggregator
from stream_framework.exceptions import ConfigurationError
from stream_framework.feeds import filters
from stream_framework.feeds.aggregated_feed.base import AggregatedFeed, Groups
from stream_framework.feeds.aggregated_feed.updates import mark_ids
from stream_framework.feeds.notification_feed.shared_markers import warn_of_shared_markers
from stream_framework.feeds.stored import as_list, key_pattern
from stream_framework.serializers.aggregated_activity_serializer import NotificationSerializer
from stream_framework.storage.base_lists_storage import BaseListsStorage
from stream_framework.storage.changes import Change, MarkerChange, unmark_trimmed
from stream_framework.utils.shortcuts import shortcut

if TYPE_CHECKING:
    from typing_extensions import Self


class BaseNotificationFeed(AggregatedFeed):
    """Groups of activities that are unseen and unread until they are marked, and again when they get an activity.

    Whole activities are in the timeline; the ids of unseen and of unread groups are in two lists beside it, the
    markers. Seen is "the badge was looked at", read is "the notification was opened".

    :raises ConfigurationError: a ``ValueError``, where something is tracked and there is no usable markers storage

    >>> from stream_framework.activity import Activity
    >>> from stream_framework.feeds.notification_feed.memory import NotificationFeed
    >>> from stream_framework.verbs import Comment
    >>> feed = NotificationFeed('a doctest')
    >>> groups = feed.add(Activity(1, Comment, 42))
    >>> feed.get_notification_data()
    {'unseen_count': 1, 'unread_count': 1}
    >>> feed.mark_all(seen=True)
    >>> [(group.is_seen, group.is_read) for group in feed[:5]]
    [(True, False)]
    >>> feed.delete()
    """

    criteria = filters.STATES
    key_format = 'notification_feed:%(user_id)s'
    timeline_serializer: Any = NotificationSerializer
    aggregator_class: type[BaseAggregator] = NotificationAggregator
    aggregated_activity_class: type[NotificationActivity] = NotificationActivity
    activity_storage_class = None
    activity_serializer: Any = None

    #: Where the markers are.
    markers_storage_class: Any = BaseListsStorage
    #: Whether to know which groups were not seen yet.
    track_unseen: bool = True
    #: Whether to know which groups were not read yet.
    track_unread: bool = True
    #: How many groups are known to be unseen, or unread, at most.
    markers_max_length: int = 100
    #: The key of the markers; ``%(user_id)s`` is filled in.
    markers_key_format: str = 'notification_feed:%(user_id)s'
    #: Kept from 1.4.0, where a lock stood in for the guard.
    lock_format: str = 'notification_feed:%(user_id)s:lock'

    def __init__(self, user_id: Any) -> None:
        super().__init__(user_id)
        if not (self.track_unseen or self.track_unread):
            self.feed_markers: Any = None
            return
        storage_class = self.markers_storage_class
        if not (isinstance(storage_class, type) and issubclass(storage_class, BaseListsStorage)):
            raise ConfigurationError(
                f'{type(self).__name__}.markers_storage_class is {storage_class!r}: name a subclass of '
                'BaseListsStorage, or set track_unseen and track_unread to False'
            )
        self.feed_markers = self.get_markers_storage()
        warn_of_shared_markers(self, BaseNotificationFeed.markers_key_format)

    def add_many_aggregated(self, aggregated: Iterable[AggregatedActivity], *args: Any, **kwargs: Any) -> Any:
        """Write groups as they are, beside what is there, and mark them as unseen and unread.

        They are marked first: a crash in between leaves a marker too many, never one too few.

        >>> from stream_framework.activity import NotificationActivity
        >>> group = NotificationActivity('loves of 42')
        >>> group.append(Activity(13, Love, 42))
        >>> added = notifications.add_many_aggregated([group])
        >>> notifications.count_unseen()
        1
        """
        groups, args, kwargs = self._given_groups('add', aggregated, args, kwargs)
        if groups and self._collected() is None:
            marked = [group.serialization_id for group in groups]
            self.update_markers(unseen_ids=marked, unread_ids=marked, operation='add')
        return super().add_many_aggregated(groups, *args, **kwargs)

    def remove_many_aggregated(self, aggregated: Iterable[AggregatedActivity], *args: Any, **kwargs: Any) -> Any:
        """Remove groups as they were read, and their markers.

        >>> added = notifications.add(Activity(13, Love, 42))
        >>> removed = notifications.remove_many_aggregated(notifications[:1])
        >>> notifications.count_unseen()
        0
        """
        groups = self._checked_groups(aggregated)
        removed = super().remove_many_aggregated(groups, *args, **kwargs)
        if groups and self._collected() is None:
            marked = [group.serialization_id for group in groups]
            self.update_markers(unseen_ids=marked, unread_ids=marked, operation='remove')
        return removed

    def trim(self, length: int | None = None) -> Any:
        """Keep the newest ``length`` groups, and their markers; ``None`` or 0 means ``max_length``.

        >>> added = notifications.add_many([Activity(13, Love, number) for number in (1, 2, 3)])
        >>> trimmed = notifications.trim(2)
        >>> notifications.count(), notifications.count_unseen()
        (2, 2)
        """
        trimmed = super().trim(length)
        if names := self._tracked():
            change = Change(self.key, trim_length=length or self.max_length, lists=self._lists())
            change.markers = {name: [] for name in names}
            unmark_trimmed(self.timeline_storage, change)
        return trimmed

    def get_markers_storage(self) -> Any:
        """A new markers storage for this user.

        >>> notifications.get_markers_storage().get_key('unseen')
        'list:notification_feed:1:unseen'
        """
        key = self.markers_key_format % {'user_id': self.user_id}
        return self.markers_storage_class(key=key, max_length=self.markers_max_length)

    @classmethod
    def flush(cls) -> None:
        """Delete all feeds of this class, with their markers.

        >>> added = notifications.add(Activity(13, Love, 42))
        >>> notifications.flush()
        >>> notifications.count(), notifications.count_unseen()
        (0, 0)
        """
        super().flush()
        feed = cls(0)
        if feed.feed_markers is not None:
            feed.feed_markers.base_key = key_pattern(cls.markers_key_format)
            feed.feed_markers.flush_matching('unseen', 'unread')

    def count_unseen(self) -> int | None:
        """How many groups are unseen, ``None`` where that isn't tracked. One round trip.

        >>> added = notifications.add(Activity(13, Love, 42))
        >>> notifications.count_unseen()
        1
        """
        return self.feed_markers.count('unseen') if self.track_unseen else None

    def count_unread(self) -> int | None:
        """How many groups are unread, ``None`` where that isn't tracked. One round trip.

        >>> added = notifications.add(Activity(13, Love, 42))
        >>> notifications.count_unread()
        1
        """
        return self.feed_markers.count('unread') if self.track_unread else None

    def get_notification_data(self) -> dict[str, int]:
        """``{'unseen_count': n, 'unread_count': n}``, without what isn't tracked. One round trip.

        >>> added = notifications.add(Activity(13, Love, 42))
        >>> notifications.get_notification_data()
        {'unseen_count': 1, 'unread_count': 1}
        """
        names = self._tracked()
        if not names:
            return {}
        counts = self.feed_markers.count(*names)
        counts = [counts] if len(names) == 1 else counts
        return {f'{name}_count': count for name, count in zip(names, counts, strict=True)}

    def update_markers(
        self,
        unseen_ids: Iterable[Any] | None = None,
        unread_ids: Iterable[Any] | None = None,
        operation: str = 'add',
    ) -> None:
        """Mark groups as unseen or unread (``'add'``), or as seen or read (``'remove'``), in one atomic step.

        :param unseen_ids: ids of groups, as ``group.serialization_id``
        :param unread_ids: likewise
        :raises TypeError: for another operation

        >>> [group] = notifications.add(Activity(13, Love, 42))
        >>> notifications.update_markers(unseen_ids=[group.serialization_id], operation='remove')
        >>> notifications.get_notification_data()
        {'unseen_count': 0, 'unread_count': 1}
        """
        if operation not in ('add', 'remove'):
            raise TypeError(f"operation is {operation!r}: give 'add' or 'remove'")
        given = {'unseen': list(unseen_ids or ()), 'unread': list(unread_ids or ())}
        lists = {name: _marked_as(given[name]) for name in self._tracked() if given[name]}
        if not lists:
            return
        if operation == 'add':
            self.feed_markers.add_once(**lists)
        else:
            self.feed_markers.remove(**self._in_every_spelling(lists))

    def mark_activity(self, activity_id: Any, seen: bool = True, read: bool = False) -> None:
        """Mark one group, given itself or by its id, as seen, or read, or both.

        :param activity_id: the group, or its ``serialization_id`` (a str or an int)

        >>> [group] = notifications.add(Activity(13, Love, 42))
        >>> notifications.mark_activity(group.serialization_id, read=True)
        >>> notifications.get_notification_data()
        {'unseen_count': 0, 'unread_count': 0}
        """
        self.mark_activities([activity_id], seen, read)

    def mark_activities(self, activity_ids: Iterable[Any], seen: bool = True, read: bool = False) -> None:
        """Mark groups, given themselves or by their ids, as seen, or read, or both. One round trip.

        >>> added = notifications.add_many([Activity(13, Love, number) for number in (1, 2, 3)])
        >>> notifications.mark_activities(notifications[:2])
        >>> notifications.get_notification_data()
        {'unseen_count': 1, 'unread_count': 3}
        """
        activity_ids = as_list(activity_ids)
        for given in activity_ids:
            if isinstance(given, BaseActivity) and not isinstance(given, AggregatedActivity):
                raise ValueError(
                    f'{given!r} is an activity, and groups are what is marked: give the group that it is in, as a '
                    "slice of the feed has it, or the group's serialization_id"
                )
        self.update_markers(
            unseen_ids=activity_ids if seen else [],
            unread_ids=activity_ids if read else [],
            operation='remove',
        )

    def mark_all(self, seen: bool = True, read: bool = False) -> None:
        """Mark every group as seen, or read, or both. One round trip.

        :param seen: mark all as seen
        :param read: mark all as read

        >>> added = notifications.add_many([Activity(13, Love, number) for number in (1, 2, 3)])
        >>> notifications.mark_all(seen=True)
        >>> notifications.get_notification_data()
        {'unseen_count': 0, 'unread_count': 3}
        """
        wanted = {'unseen': seen, 'unread': read}
        names = [name for name in self._tracked() if wanted[name]]
        if names:
            self.feed_markers.flush(*names)

    def delete(self) -> Any:
        """Delete the feed and its markers.

        >>> added = notifications.add(Activity(13, Love, 42))
        >>> deleted = notifications.delete()
        >>> notifications.count(), notifications.count_unseen()
        (0, 0)
        """
        deleted = super().delete()
        if self._tracked():
            self.feed_markers.flush(*self._tracked())
        return deleted

    def get_activity_slice(  # type: ignore[override]
        self, start: int | None = None, stop: int | None = None, rehydrate: bool = True
    ) -> Groups:
        """The groups at the positions from ``start`` up to, not including, ``stop``, with their marks.

        >>> added = notifications.add(Activity(13, Love, 42))
        >>> [group] = notifications.get_activity_slice(0, 25)
        >>> group.is_seen, group.is_read
        (False, False)
        """
        if self._wanted:
            return self._read_in_states(start or 0, stop)
        groups: Groups = list(super().get_activity_slice(start, stop, rehydrate))
        if groups and self._tracked():
            self.annotate(groups, self._marked())
        return groups

    def filter(self, **kwargs: Any) -> Self:
        """A copy of the feed that shows only part of it; filters add up.

        ``filter(unseen=True)`` shows the groups that are unseen, ``filter(unread=True)`` those that are unread, and
        ``False`` the others.

        :raises ValueError: for another filter, a value that can't be, or a state that isn't tracked

        >>> added = notifications.add_many([Activity(13, Love, number) for number in (1, 2, 3)])
        >>> notifications.mark_activities(notifications[:2])
        >>> len(notifications.filter(unseen=True)[:25]), len(notifications.filter(unseen=False)[:25])
        (1, 2)
        """
        for name in filters.STATES:
            if name in kwargs and name not in self._tracked():
                raise ValueError(f'{type(self).__name__} does not know what is {name}: set track_{name} to True')
        return super().filter(**kwargs)

    def _read_in_states(self, start: int, stop: int | None) -> Groups:
        """The groups that are in the states that the feed is filtered by; their marks are as of one moment."""
        marked = self._marked()
        wanted = filters.InStates(self._wanted, marked, mark_ids)
        if wanted.is_void:
            return []
        groups = filters.read(self, wanted, stop, wanted.oldest())[start:]
        self.annotate(groups, marked)
        return groups

    def _marked(self) -> dict[str, list[str]]:
        """The ids of groups in each of the lists. One round trip."""
        names = self._tracked()
        marked = self.feed_markers.get(*names)
        return dict(zip(names, [marked] if len(names) == 1 else marked, strict=True))

    def annotate(self, groups: Groups, marked: dict[str, list[str]]) -> None:
        """Set ``is_seen`` and ``is_read`` of groups from the ids that are marked.

        >>> [group] = notifications.add(Activity(13, Love, 42))
        >>> notifications.annotate([group], {'unseen': [], 'unread': [group.serialization_id]})
        >>> group.is_seen, group.is_read
        (True, False)
        """
        unseen = frozenset(marked.get('unseen', ()))
        unread = frozenset(marked.get('unread', ()))
        for group in groups:
            names = mark_ids(group)
            if self.track_unseen:
                group.is_seen = unseen.isdisjoint(names)  # type: ignore[assignment,method-assign]
            if self.track_unread:
                group.is_read = unread.isdisjoint(names)  # type: ignore[assignment,method-assign]

    def plan_markers(self, change: Change, new: Groups, changed: list[tuple[Any, Any]], deleted: Groups) -> None:
        """A group that gets an activity is unseen and unread again; one that only shrinks keeps its markers.

        >>> from stream_framework.storage.changes import Change
        >>> change, [group] = Change(notifications.key), notifications.add(Activity(13, Love, 42))
        >>> notifications.plan_markers(change, [], [], [group])
        >>> sorted(change.markers)
        ['unread', 'unseen']
        """
        names = self._tracked()
        if not names:
            return
        markers = [MarkerChange((), group.serialization_id, renew=True) for group in new]
        for old, updated in changed:
            markers.append(MarkerChange(mark_ids(old), updated.serialization_id, renew=_grew(old, updated)))
        markers += [MarkerChange(mark_ids(group), None, renew=False) for group in deleted]
        change.lists = self._lists()
        change.markers = {name: list(markers) for name in names}

    def _lists_by_hooks(self) -> Any:
        return _MarkersOfFeed(self)

    @shortcut('update_markers', plain='_lists_by_hooks')
    def _lists(self) -> Any:
        """What changes the markers: their storage, or the feed's own ``update_markers`` where a subclass has one."""
        return self.feed_markers

    def _in_every_spelling(self, lists: dict[str, list[str]]) -> dict[str, list[str]]:
        # A group of ours may be marked under the bare whole second by which 1.4.0 named groups. Only such a bare one,
        # if it was given, also means ours of that moment; which those are, the lists say.
        spelled = {name: [one for item in items for one in _spellings(item)] for name, items in lists.items()}
        bare = {item for items in lists.values() for item in items if len(item) == 13 and item.endswith('000')}
        if not bare:
            return spelled
        names = list(lists)
        marked = self.feed_markers.get(*names)
        marked = [marked] if len(names) == 1 else marked
        return {
            name: spelled[name]
            + [item for item in items if len(item) > 13 and item[:13] in bare.intersection(lists[name])]
            for name, items in zip(names, marked, strict=True)
        }

    def _tracked(self) -> list[str]:
        return [name for name, on in (('unseen', self.track_unseen), ('unread', self.track_unread)) if on]


class _MarkersOfFeed:
    """The markers storage as changes see it, where a feed has its own ``update_markers``."""

    def __init__(self, feed: BaseNotificationFeed) -> None:
        self._feed = feed
        #: The markers storage itself.
        self.storage = feed.feed_markers
        self.max_length = feed.feed_markers.max_length

    def get(self, *names: str) -> Any:
        return self._feed.feed_markers.get(*names)

    def add_once(self, unseen: Iterable[str] = (), unread: Iterable[str] = ()) -> None:
        self._feed.update_markers(unseen_ids=list(unseen), unread_ids=list(unread), operation='add')

    def remove(self, unseen: Iterable[str] = (), unread: Iterable[str] = ()) -> None:
        self._feed.update_markers(unseen_ids=list(unseen), unread_ids=list(unread), operation='remove')


def _grew(old: AggregatedActivity, updated: AggregatedActivity) -> bool:
    if updated.minimized_activities > old.minimized_activities:
        return True
    if updated.dehydrated or old.dehydrated:
        return not set(updated.activity_ids) <= set(old.activity_ids)
    # Merging keeps the very activities that were there, so that few ids have to be made.
    kept = set(map(id, old.activities))
    fresh = [activity.serialization_id for activity in updated.activities if id(activity) not in kept]
    return bool(fresh) and not set(fresh) <= set(old.activity_ids)


def _marked_as(groups: Iterable[Any]) -> list[str]:
    return [
        group.serialization_id
        if isinstance(group, AggregatedActivity)
        else ids.format_group_id(ids.normalize_id(group))
        for group in groups
    ]


def _spellings(group_id: str) -> tuple[str, ...]:
    legacy = ids.legacy_group_id(int(group_id))
    return (group_id,) if legacy is None else (group_id, ids.format_group_id(legacy))
