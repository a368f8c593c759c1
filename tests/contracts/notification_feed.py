"""What a notification feed does, on every backend."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from stream_framework.activity import Activity, NotificationActivity
from stream_framework.feeds.notification_feed import shared_markers
from stream_framework.feeds.notification_feed.base import BaseNotificationFeed
from stream_framework.storage.base_lists_storage import BaseListsStorage
from stream_framework.verbs import Comment, Love
from tests.contracts.support import act, acts, at, ids, members, names


def lo(n: int, object: int, **kwargs: Any) -> Activity:
    """Actor ``n`` loves ``object`` at second ``n``."""
    return act(n, actor=n, object=object, **kwargs)


class NotificationFeedContract:
    @pytest.fixture
    def feed(self, backend: Any) -> Any:
        """A feed that never trims by itself."""
        return backend.notification()(1)

    @pytest.fixture
    def three(self, feed: Any) -> Any:
        """Three groups of two; the newest is about object 3."""
        feed.add_many([lo(n * 10 + i, n) for n in (1, 2, 3) for i in (0, 1)])
        return feed

    def marks(self, feed: Any) -> list[tuple[bool, bool]]:
        return [(group.is_seen, group.is_read) for group in type(feed)(feed.user_id)[:]]

    def unseen(self, feed: Any) -> list[str]:
        return sorted(str(item) for item in feed.feed_markers.get('unseen'))

    def unread(self, feed: Any) -> list[str]:
        return sorted(str(item) for item in feed.feed_markers.get('unread'))

    def group_ids(self, feed: Any) -> list[str]:
        return [group.serialization_id for group in feed[:]]

    # construction

    def test_attributes(self, backend: Any) -> None:
        feed = backend.notification(key_format='n:%(user_id)s')(4)
        assert feed.user_id == 4
        assert feed.key == 'n:4'
        assert isinstance(feed.feed_markers, BaseListsStorage)
        assert type(feed).get_activity_storage() is None
        assert issubclass(type(feed).aggregated_activity_class, NotificationActivity)

    @pytest.mark.parametrize('storage', [None, dict, object], ids=['none', 'dict', 'object'])
    @pytest.mark.parametrize('tracked', [{}, {'track_unseen': False}, {'track_unread': False}], ids=str)
    def test_tracking_needs_a_markers_storage(self, backend: Any, storage: Any, tracked: Any) -> None:
        with pytest.raises(ValueError):
            backend.notification(markers_storage_class=storage, **tracked)(1)

    def test_without_tracking(self, backend: Any) -> None:
        feed = backend.notification(track_unseen=False, track_unread=False, markers_storage_class=None)(1)
        feed.add(lo(1, 1))
        assert feed.count_unseen() is None
        assert feed.count_unread() is None
        assert feed.get_notification_data() == {}
        assert names(feed[:]) == ['3-1-2013-07-08']
        feed.delete()
        assert feed[:] == []

    def test_sharing_the_default_markers_warns_once(
        self, backend: Any, recwarn: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # What other tests have made is of no concern.
        monkeypatch.setattr(shared_markers, '_classes', {})
        default = BaseNotificationFeed.markers_key_format
        one = backend.notification(markers_key_format=default)
        other = backend.notification(markers_key_format=default)
        # On Cassandra markers lie in the feed's own partition.
        shared = one(1).feed_markers.base_key == default % {'user_id': 1}
        assert [str(warning.message) for warning in recwarn if one.__name__ in str(warning.message)] == []
        for _ in range(3):
            other(1)
        found = [str(warning.message) for warning in recwarn if other.__name__ in str(warning.message)]
        assert len(found) == (1 if shared else 0)
        assert all('markers_key_format' in text and other.key_format in text for text in found)

    def test_one_class_and_its_subclass_share_without_a_warning(self, backend: Any, recwarn: Any) -> None:
        one = backend.notification(markers_key_format='leaves:%(user_id)s')
        other = backend.notification(markers_key_format='leaves:%(user_id)s')
        third = type('Third', (backend.notification(),), {})
        for feed_class in (one, other, third, *third.__mro__[1:2]):
            feed_class(1)
        assert [warning for warning in recwarn if 'markers_key_format' in str(warning.message)] == []

    # content

    def test_groups_by_verb_object_and_day(self, three: Any) -> None:
        three.add(act(99, actor=5, verb=Comment, object=1))
        assert names(three[:]) == ['2-1-2013-07-08', '3-3-2013-07-08', '3-2-2013-07-08', '3-1-2013-07-08']
        assert [group.actor_ids for group in three[:]] == [[5], [30, 31], [20, 21], [10, 11]]
        assert all(isinstance(group, NotificationActivity) for group in three[:])

    def test_whole_activities_in_the_timeline(self, feed: Any) -> None:
        activity = lo(1, 2, target=3, extra_context={'text': ';;,; "x"\n', 't': (1, {2})})
        feed.add(activity)
        [group] = feed.get_activity_slice(rehydrate=False)
        [found] = group.activities
        assert group.dehydrated is False
        assert feed.needs_hydration([group]) is False
        assert found == activity
        assert (found.actor_id, found.object_id, found.target_id, found.time) == (1, 2, 3, at(1))
        assert found.extra_context == {'text': ';;,; "x"\n', 't': (1, {2})}

    @pytest.mark.parametrize('length', range(20))
    def test_texts_of_any_length(self, feed: Any, length: int) -> None:
        context = {'text': ';' * length + 'x' * length + ',' * length}
        feed.add(lo(1, 2, extra_context=context))
        feed.add(lo(2, 2, extra_context=context))
        assert [a.extra_context for a in feed[:][0].activities] == [context, context]

    def test_ids_of_any_kind(self, feed: Any) -> None:
        activities = [
            Activity('anna', Love, 'pin;7,8%', time=at(1)),
            Activity(uuid.UUID(int=5), Love, 'pin;7,8%', time=at(2)),
            Activity('5', Love, uuid.UUID(int=6), 'board', time=at(3)),
        ]
        feed.add_many(activities)
        second, first = feed[:]
        assert first.group == '3-pin%3B7%2C8%25-2013-07-08'
        assert first.actor_ids == ['anna', uuid.UUID(int=5)]
        assert second.object_ids == [uuid.UUID(int=6)]
        assert second.activities[0].target_id == 'board'
        assert feed.count_unseen() == 2

    def test_counts_past_the_limit(self, feed: Any) -> None:
        for n in range(40):
            feed.add(lo(n, 1))
        [group] = feed[:]
        assert (group.activity_count, group.minimized_activities, group.actor_count) == (40, 25, 40)
        assert list(group.activity_ids) == ids([lo(n, 1) for n in range(25, 40)])
        assert (feed.count_unseen(), feed.count_unread()) == (1, 1)

    def test_activities_can_be_inserted_where_there_is_no_activity_storage(self, feed: Any) -> None:
        type(feed).insert_activities([lo(1, 1)])
        type(feed).remove_activity(lo(1, 1))
        assert feed[:] == []

    # marks

    def test_new_groups_are_unseen_and_unread(self, three: Any) -> None:
        assert three.count_unseen() == 3
        assert three.count_unread() == 3
        assert three.get_notification_data() == {'unseen_count': 3, 'unread_count': 3}
        assert self.marks(three) == [(False, False)] * 3
        assert self.unseen(three) == self.unread(three) == sorted(self.group_ids(three))

    def test_empty(self, feed: Any) -> None:
        assert feed.count_unseen() == 0
        assert feed.count_unread() == 0
        assert feed.get_notification_data() == {'unseen_count': 0, 'unread_count': 0}
        feed.mark_all(seen=True, read=True)
        assert feed.count_unseen() == 0

    def test_a_group_that_grows_is_marked_once(self, feed: Any) -> None:
        for n in range(4):
            feed.add(lo(n, 1))
            assert (feed.count_unseen(), feed.count_unread()) == (1, 1)
        assert self.unseen(feed) == self.unread(feed) == self.group_ids(feed)

    @pytest.mark.parametrize('as_type', [str, int])
    def test_mark_activity(self, three: Any, as_type: Any) -> None:
        three.mark_activity(as_type(self.group_ids(three)[1]))
        assert self.marks(three) == [(False, False), (True, False), (False, False)]
        assert three.get_notification_data() == {'unseen_count': 2, 'unread_count': 3}
        three.mark_activity(as_type(self.group_ids(three)[2]), seen=False, read=True)
        assert self.marks(three) == [(False, False), (True, False), (False, True)]
        three.mark_activity(as_type(self.group_ids(three)[0]), seen=True, read=True)
        assert self.marks(three) == [(True, True), (True, False), (False, True)]
        assert three.get_notification_data() == {'unseen_count': 1, 'unread_count': 1}

    def test_mark_activities(self, three: Any) -> None:
        three.mark_activities(self.group_ids(three)[:2])
        assert self.marks(three) == [(True, False), (True, False), (False, False)]
        three.mark_activities(self.group_ids(three)[1:], seen=True, read=True)
        assert self.marks(three) == [(True, False), (True, True), (True, True)]
        three.mark_activities([])
        three.mark_activities(['1' * 26])
        assert (three.count_unseen(), three.count_unread()) == (0, 1)

    @pytest.mark.parametrize('given', ['id', 'group'])
    def test_groups_of_one_second_are_marked_apart(self, feed: Any, given: str) -> None:
        feed.add_many([act(0, actor=1, object=object) for object in (1, 2, 3)])
        groups = feed[:]
        assert len({group.updated_at for group in groups}) == 1
        assert groups[0].updated_at.microsecond == 0
        chosen = groups[1] if given == 'group' else groups[1].serialization_id
        feed.mark_activity(chosen, seen=True, read=True)
        assert self.marks(feed) == [(False, False), (True, True), (False, False)]
        assert feed.get_notification_data() == {'unseen_count': 2, 'unread_count': 2}

    def test_marking_twice(self, three: Any) -> None:
        for _ in range(2):
            three.mark_activity(self.group_ids(three)[0], seen=True, read=True)
        assert (three.count_unseen(), three.count_unread()) == (2, 2)

    @pytest.mark.parametrize(
        ('kwargs', 'mark'),
        [
            ({}, (True, False)),
            ({'seen': True, 'read': True}, (True, True)),
            ({'seen': False, 'read': True}, (False, True)),
            ({'seen': False, 'read': False}, (False, False)),
        ],
        ids=str,
    )
    def test_mark_all(self, three: Any, kwargs: Any, mark: Any) -> None:
        three.mark_all(**kwargs)
        assert self.marks(three) == [mark] * 3
        assert three.count_unseen() == (0 if mark[0] else 3)
        assert three.count_unread() == (0 if mark[1] else 3)

    def test_update_markers(self, three: Any) -> None:
        first, second, third = self.group_ids(three)
        three.update_markers(unseen_ids=[first], unread_ids=[second, third], operation='remove')
        assert self.marks(three) == [(True, False), (False, True), (False, True)]
        three.update_markers(unseen_ids=[first], operation='add')
        three.update_markers(unread_ids=[third])
        assert self.marks(three) == [(False, False), (False, True), (False, False)]
        assert three.get_notification_data() == {'unseen_count': 3, 'unread_count': 2}

    @pytest.mark.parametrize('operation', ['toggle', '', None, 5])
    def test_update_markers_with_an_unknown_operation(self, three: Any, operation: Any) -> None:
        with pytest.raises(TypeError):
            three.update_markers(unseen_ids=self.group_ids(three), operation=operation)
        assert three.count_unseen() == 3

    def test_a_group_that_gets_an_activity_is_unseen_again(self, three: Any) -> None:
        three.mark_all(seen=True, read=True)
        old = self.group_ids(three)[2]
        three.add(lo(99, 1))
        assert names(three[:])[0] == '3-1-2013-07-08'
        assert self.marks(three) == [(False, False), (True, True), (True, True)]
        assert three.get_notification_data() == {'unseen_count': 1, 'unread_count': 1}
        new = self.group_ids(three)[0]
        assert new != old
        assert self.unseen(three) == self.unread(three) == [new]

    def test_an_old_id_leaves_the_markers(self, three: Any) -> None:
        old = self.group_ids(three)[2]
        assert old in self.unseen(three)
        three.add(lo(99, 1))
        assert old not in self.unseen(three) + self.unread(three)
        assert (three.count_unseen(), three.count_unread()) == (3, 3)

    def test_an_older_activity_makes_a_group_unseen_too(self, three: Any) -> None:
        three.mark_all(seen=True, read=True)
        three.add(lo(1, 1))
        assert self.marks(three) == [(True, True), (True, True), (False, False)]
        assert (three.count_unseen(), three.count_unread()) == (1, 1)

    def test_adding_again_what_is_there_leaves_the_marks(self, three: Any) -> None:
        three.mark_all(seen=True, read=True)
        three.add(lo(11, 1))
        three.add_many([lo(10, 1), lo(31, 3)])
        assert self.marks(three) == [(True, True)] * 3
        assert (three.count_unseen(), three.count_unread()) == (0, 0)

    @pytest.mark.parametrize('mark', [(False, False), (True, False), (False, True), (True, True)])
    @pytest.mark.parametrize('which', [30, 31])
    def test_a_group_that_shrinks_keeps_its_marks(self, three: Any, mark: Any, which: int) -> None:
        three.mark_activity(self.group_ids(three)[0], seen=mark[0], read=mark[1])
        three.remove(lo(which, 3))
        assert len(three[0][0]) == 1
        assert self.marks(three) == [mark, (False, False), (False, False)]
        assert three.count_unseen() == (2 if mark[0] else 3)
        assert three.count_unread() == (2 if mark[1] else 3)
        current = self.group_ids(three)
        assert set(self.unseen(three)) <= set(current)
        assert set(self.unread(three)) <= set(current)

    def test_a_group_that_goes_leaves_the_markers(self, three: Any) -> None:
        three.remove_many([lo(20, 2), lo(21, 2)])
        assert names(three[:]) == ['3-3-2013-07-08', '3-1-2013-07-08']
        assert (three.count_unseen(), three.count_unread()) == (2, 2)
        assert self.unseen(three) == sorted(self.group_ids(three))

    def test_delete_takes_the_markers_along(self, three: Any) -> None:
        three.delete()
        assert three[:] == []
        assert (three.count_unseen(), three.count_unread()) == (0, 0)
        three.add(lo(1, 1))
        assert three.count_unseen() == 1

    def test_a_markers_storage_as_1_4_0_had_them(self, backend: Any) -> None:
        class Lists(BaseListsStorage):
            """Knows the methods that 1.4.0 called, and no hooks."""

            kept: dict[str, list[str]] = {}

            def add(self, **lists: Any) -> None:
                for name, items in lists.items():
                    self.kept.setdefault(name, []).extend(map(str, items))

            def remove(self, **lists: Any) -> None:
                for name, items in lists.items():
                    gone = set(map(str, items))
                    self.kept[name] = [item for item in self.kept.get(name, []) if item not in gone]

            def count(self, *names: str) -> Any:
                counts = tuple(len(self.kept.get(name, ())) for name in names)
                return counts[0] if len(names) == 1 else counts

            def get(self, *names: str) -> Any:
                found = tuple(list(self.kept.get(name, ())) for name in names)
                return found[0] if len(names) == 1 else found

            def flush(self, *names: str) -> None:
                for name in names:
                    self.kept.pop(name, None)

        feed = backend.notification(markers_storage_class=Lists)(1)
        feed.add_many([lo(1, 1), lo(2, 2)])
        feed.add(lo(3, 1))
        assert feed.get_notification_data() == {'unseen_count': 2, 'unread_count': 2}
        feed.mark_activities([feed[:][0]], read=True)
        assert [(group.is_seen, group.is_read) for group in feed[:]] == [(True, True), (False, False)]
        feed.update_markers(unseen_ids=[feed[:][0].serialization_id])
        assert feed.count_unseen() == 2
        feed.mark_all()
        assert (feed.count_unseen(), feed.count_unread()) == (0, 1)
        feed.delete()
        assert feed.count_unread() == 0

    def test_flush_takes_all_markers_along(self, backend: Any) -> None:
        if not backend.may_flush:
            pytest.skip('flush() empties what other tests, or other users of the server, may hold')
        feed_class, other_class = backend.notification(), backend.notification()
        for feed in (feed_class(1), feed_class(2), other_class(1)):
            feed.add(lo(1, 1))
        feed_class.flush()
        for feed in (feed_class(1), feed_class(2)):
            assert (feed[:], feed.count_unseen(), feed.count_unread()) == ([], 0, 0)
        assert other_class(1).count_unseen() == 1

    @pytest.mark.parametrize('odd', ['[]', '\\*'])
    def test_flush_takes_the_keys_of_markers_as_they_are(self, backend: Any, odd: str) -> None:
        if not backend.may_flush:
            pytest.skip('flush() empties what other tests, or other users of the server, may hold')
        name = backend.notification().markers_key_format
        feed_class = backend.notification(markers_key_format=f'{odd}{name}')
        feed_class(1).add(lo(1, 1))
        feed_class.flush()
        assert feed_class(1).count_unseen() == 0

    def test_markers_are_for_each_user(self, three: Any) -> None:
        other = type(three)(2)
        other.add(lo(1, 1))
        three.mark_all()
        assert (three.count_unseen(), other.count_unseen()) == (0, 1)

    def test_markers_max_length(self, backend: Any) -> None:
        feed = backend.notification(markers_max_length=3)(1)
        for n in range(6):
            feed.add(lo(n, n))
        assert (feed.count_unseen(), feed.count_unread()) == (3, 3)
        assert self.unseen(feed) == sorted(self.group_ids(feed)[:3])
        assert self.marks(feed) == [(False, False)] * 3 + [(True, True)] * 3

    def test_only_unseen_tracked(self, backend: Any) -> None:
        feed = backend.notification(track_unread=False)(1)
        feed.add_many([lo(1, 1), lo(2, 2)])
        assert feed.count_unseen() == 2
        assert feed.count_unread() is None
        assert feed.get_notification_data() == {'unseen_count': 2}
        feed.mark_all(seen=True, read=True)
        assert feed.get_notification_data() == {'unseen_count': 0}
        assert [group.is_seen for group in feed[:]] == [True, True]

    def test_only_unread_tracked(self, backend: Any) -> None:
        feed = backend.notification(track_unseen=False)(1)
        feed.add_many([lo(1, 1), lo(2, 2)])
        assert feed.count_unseen() is None
        assert feed.get_notification_data() == {'unread_count': 2}
        feed.mark_activity(self.group_ids(feed)[0], seen=True, read=True)
        assert [group.is_read for group in feed[:]] == [True, False]

    def test_bare_milliseconds_mean_a_group_of_a_whole_second(self, three: Any) -> None:
        first = self.group_ids(three)[0]
        assert len(first) == 26
        assert first[:13].endswith('000')
        three.mark_activity(first[:13])
        assert self.marks(three)[0] == (True, False)
        assert three.count_unseen() == 2

    def test_slices_annotate(self, three: Any) -> None:
        three.mark_activity(self.group_ids(three)[1], seen=True, read=True)
        assert [group.is_seen for group in three[1:]] == [True, False]
        assert [group.is_read for group in three[1]] == [True]
        last = three.filter(activity_id__lt=self.group_ids(three)[1])
        assert [(group.is_seen, group.is_read) for group in last[:]] == [(False, False)]
        rising = three.order_by('activity_id')
        assert [group.is_seen for group in rising[:2]] == [False, True]

    # batches

    def test_batches(self, backend: Any) -> None:
        feed_class = backend.notification()
        feed_class(1).add(lo(1, 1))
        feed_class(1).mark_all(seen=True, read=True)
        with feed_class.get_timeline_batch_interface() as batch:
            for user_id in range(1, 6):
                assert feed_class(user_id).add_many([lo(2, 1), lo(3, 2)], batch_interface=batch) == []
            assert feed_class(2).count_unseen() == 0
        for user_id in range(1, 6):
            feed = feed_class(user_id)
            assert names(feed[:]) == ['3-2-2013-07-08', '3-1-2013-07-08']
            assert feed.get_notification_data() == {'unseen_count': 2, 'unread_count': 2}
            assert self.marks(feed) == [(False, False)] * 2
        with feed_class.get_timeline_batch_interface() as batch:
            for user_id in range(1, 6):
                feed_class(user_id).remove_many([lo(3, 2)], batch_interface=batch)
        assert [feed_class(user_id).count_unseen() for user_id in range(1, 6)] == [1] * 5
        assert members(feed_class(1)[:]) == [('3-1-2013-07-08', ids([lo(1, 1), lo(2, 1)]), 0)]

    def test_batches_are_dropped_on_errors(self, three: Any) -> None:
        three.mark_all()
        with pytest.raises(KeyError), type(three).get_timeline_batch_interface() as batch:
            three.add_many(acts(3), batch_interface=batch)
            raise KeyError
        assert three.count() == 3
        assert three.count_unseen() == 0

    # the rest of what feeds do

    def test_index_of(self, three: Any) -> None:
        assert [three.index_of(group) for group in three[:]] == [0, 1, 2]
        assert three.index_of(self.group_ids(three)[2]) == 2

    def test_filters(self, three: Any) -> None:
        middle = self.group_ids(three)[1]
        assert names(three.filter(activity_id__lte=middle)[:]) == ['3-2-2013-07-08', '3-1-2013-07-08']
        assert names(three.filter(activity_id__gt=int(middle)).order_by('activity_id')[:1]) == ['3-3-2013-07-08']

    def test_trim(self, backend: Any) -> None:
        feed = backend.notification(max_length=2, trim_chance=1)(1)
        feed.add_many([lo(n, n) for n in range(5)])
        assert names(feed[:]) == ['3-4-2013-07-08', '3-3-2013-07-08']
        feed.trim(1)
        assert feed.count() == 1
