"""What a type checker, and so an IDE, knows of an application's feeds, managers and storages.

``assert_type`` is checked by mypy. The tests run, too, so that what is said of a type is also true.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from stream_framework.activity import Activity, AggregatedActivity, NotificationActivity
from stream_framework.aggregators.base import BaseAggregator
from stream_framework.contrib.django.pagination import FeedPage, FeedPaginator
from stream_framework.feed_managers.base import FanoutPriority, Manager
from stream_framework.feeds.aggregated_feed.memory import AggregatedFeed
from stream_framework.feeds.base import BaseFeed
from stream_framework.feeds.memory import Feed
from stream_framework.feeds.notification_feed.memory import NotificationFeed
from stream_framework.serializers.activity_serializer import ActivitySerializer
from stream_framework.storage.base import BaseActivityStorage, BaseBatch, BaseTimelineStorage
from stream_framework.storage.base_follow_storage import Follow
from stream_framework.storage.memory import InMemoryFollowStorage, InMemoryTimelineStorage
from stream_framework.typing import ActivityId, Filters, Ordering, Pairs, UserId
from stream_framework.verbs import Love, get_verb_by_id
from stream_framework.verbs.base import Verb

if TYPE_CHECKING:
    from typing_extensions import assert_type
else:

    def assert_type(value: object, kind: object) -> None:
        """Look at the value's class, where the type is one."""
        if isinstance(kind, type) and type(kind) is type:
            assert isinstance(value, kind)


class PinActivity(Activity):
    """An activity of the application."""

    board = 'tea'


class PinGroup(AggregatedActivity):
    """A group of the application."""

    pins = 3


class PinNotification(NotificationActivity):
    """A notification of the application."""

    text = 'somebody loved your pin'


class ByObject(BaseAggregator):
    """An aggregator of the application: its hooks are typed."""

    def get_group(self, activity: Activity) -> str:
        assert_type(activity.verb, type[Verb])
        return str(activity.object_id)

    def rank(self, aggregated: list[AggregatedActivity]) -> list[AggregatedActivity]:
        return sorted(aggregated, key=len)


class PinTimelines(InMemoryTimelineStorage):
    """A storage of the application."""

    shard = 1


class PinFeed(Feed):
    """A flat feed of the application."""

    key_format = 'reveals:pins:%(user_id)s'
    activity_class = PinActivity
    timeline_storage_class = PinTimelines

    def on_update_feed(self, new: list[PinActivity], deleted: list[Any]) -> None:
        super().on_update_feed(new, deleted)


class PinGroups(AggregatedFeed):
    """A feed of groups of the application."""

    key_format = 'reveals:groups:%(user_id)s'
    activity_class = PinActivity
    aggregated_activity_class = PinGroup
    aggregator_class = ByObject


class PinNotifications(NotificationFeed):
    """A notification feed of the application."""

    key_format = 'reveals:notifications:%(user_id)s'
    markers_key_format = 'reveals:markers:%(user_id)s'
    activity_class = PinActivity
    aggregated_activity_class = PinNotification


class UserPinFeed(PinFeed):
    """What one has pinned oneself."""

    key_format = 'reveals:user:%(user_id)s'


class PinManager(Manager):
    """A manager of the application; ids of users are ints here."""

    feed_classes: Mapping[str, type[PinFeed]] = {'normal': PinFeed}
    user_feed_class = UserPinFeed
    notification_feed_class = PinNotifications
    follow_storage_class = InMemoryFollowStorage
    follow_name = 'reveals'

    def get_user_follower_ids(self, user_id: int) -> Mapping[str, Iterable[int]]:
        return {FanoutPriority.HIGH: [user_id + 1]}

    def get_notified_ids(self, activity: Activity) -> list[int]:
        return [2]

    def hidden_from(self, activities: Sequence[Activity], user_ids: Sequence[int]) -> list[tuple[Activity, int]]:
        return []


class ManagerOfMany(Manager):
    """A manager whose feeds are of several classes."""

    feed_classes = {'normal': PinFeed, 'groups': PinGroups}
    user_feed_class = UserPinFeed


class DictActivities(BaseActivityStorage):
    """A storage of the application by the hooks alone."""

    kept: dict[int, str] = {}

    def add_to_storage(self, serialized_activities: dict[int, str], *args: Any, **kwargs: Any) -> int:
        self.kept.update(serialized_activities)
        return len(serialized_activities)

    def get_from_storage(self, activity_ids: list[int], *args: Any, **kwargs: Any) -> dict[int, str]:
        return {activity_id: self.kept[activity_id] for activity_id in activity_ids if activity_id in self.kept}

    def remove_from_storage(self, activity_ids: list[int], *args: Any, **kwargs: Any) -> None:
        for activity_id in activity_ids:
            self.kept.pop(activity_id, None)


class DictTimelines(BaseTimelineStorage):
    """Timelines of the application by the hooks alone."""

    kept: dict[str, dict[int, Any]] = {}

    def add_to_storage(self, key: str, activities: dict[int, Any], *args: Any, **kwargs: Any) -> int:
        self.kept.setdefault(key, {}).update(activities)
        return len(activities)

    def remove_from_storage(self, key: str, activities: dict[int, Any], *args: Any, **kwargs: Any) -> int:
        return sum(self.kept.get(key, {}).pop(activity_id, None) is not None for activity_id in activities)

    def get_slice_from_storage(
        self,
        key: str,
        start: int | None,
        stop: int | None,
        filter_kwargs: Filters | None = None,
        ordering_args: Ordering | None = None,
    ) -> Pairs:
        return sorted(self.kept.get(key, {}).items(), reverse=True)[start:stop]

    def get_index_of(self, key: str, activity_id: int) -> int:
        return sorted(self.kept.get(key, {}), reverse=True).index(activity_id)

    def count(self, key: str) -> int:
        return len(self.kept.get(key, {}))

    def delete(self, key: str) -> None:
        self.kept.pop(key, None)

    def trim_storage(self, key: str, length: int) -> int:
        return 0


class DictFeed(BaseFeed):
    """A feed on them."""

    key_format = 'reveals:dict:%(user_id)s'
    activity_serializer = ActivitySerializer
    activity_storage_class = DictActivities
    timeline_storage_class = DictTimelines
    trim_chance = 0


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    """Leave nothing behind."""
    yield
    for feed_class in (PinFeed, PinGroups, PinNotifications, UserPinFeed):
        feed_class.flush()
    InMemoryFollowStorage('reveals').flush()


def test_slices_hold_what_the_feed_class_names() -> None:
    activity = PinActivity(1, Love, 42)
    for feed in (PinFeed(1), PinGroups(1), PinNotifications(1)):
        feed.add(activity)
    assert_type(PinFeed(1)[:25], list[PinActivity])
    assert_type(PinFeed(1)[:25][0], PinActivity)
    assert_type(PinFeed(1).get_activity_slice(0, 25), list[PinActivity])
    assert_type(PinGroups(1)[:25][0], PinGroup)
    assert_type(PinNotifications(1)[:25][0], PinNotification)
    assert_type(PinNotifications(1)[:25][0].is_seen, bool)
    assert_type(PinGroups(1)[:25][0].last_activity, Activity)


def test_copies_are_of_the_same_class() -> None:
    PinFeed(1).add(PinActivity(1, Love, 42))
    assert_type(PinFeed(1).filter(verb=Love), PinFeed)
    assert_type(PinFeed(1).order_by('activity_id')[:1][0], PinActivity)
    assert_type(PinNotifications(1).filter(unseen=True), PinNotifications)


def test_a_feed_knows_its_storages() -> None:
    assert_type(PinFeed(1).timeline_storage, PinTimelines)
    assert_type(PinGroups(1).timeline_storage, InMemoryTimelineStorage)
    assert_type(PinFeed.get_timeline_batch_interface(), BaseBatch)
    storage = PinFeed(1).activity_storage
    if storage is not None:
        assert_type(storage.get_many([1]), list[Activity])
        assert_type(storage.get(1), Activity | None)


def test_a_manager_knows_its_feeds() -> None:
    manager = PinManager()
    manager.get_user_feed(1).add(PinActivity(1, Love, 42))
    assert_type(manager.get_user_feed(1), UserPinFeed)
    assert_type(manager.get_user_feed(1)[:25][0], PinActivity)
    assert_type(manager.get_feeds(1)['normal'], PinFeed)
    assert_type(manager.get_feeds(1)['notifications'], PinNotifications)
    assert_type(manager.count_new(1), dict[str, int])
    assert_type(ManagerOfMany().get_feeds(1)['normal'], BaseFeed)


def test_a_manager_knows_follows() -> None:
    manager = PinManager()
    manager.follow_user(1, 2, async_=False)
    assert_type(manager.get_followed(1), list[Follow])
    assert_type(manager.get_followed(1)[0].target_id, UserId)
    assert_type(manager.is_following(1, [2, 3]), set[UserId])
    assert_type(manager.count_followers(2), int)
    assert_type(manager.get_muted(1), set[UserId])


def test_pages_hold_what_the_feed_holds() -> None:
    PinFeed(1).add(PinActivity(1, Love, 42))
    PinGroups(1).add(PinActivity(1, Love, 42))
    assert_type(FeedPaginator(PinFeed(1)).page(), FeedPage[PinActivity])
    assert_type(FeedPaginator(PinFeed(1)).page()[0], PinActivity)
    assert_type(FeedPaginator(PinGroups(1)).page()[0], PinGroup)


def test_verbs_and_activities() -> None:
    activity = PinActivity(1, Love, 42)
    assert_type(get_verb_by_id(3), type[Verb])
    assert_type(activity.verb, type[Verb])
    assert_type(activity.serialization_id, int)
    assert_type(activity.to_as2(), dict[str, Any])


def test_storages_by_their_hooks() -> None:
    feed = DictFeed(1)
    activity = Activity(1, Love, 42)
    assert feed.add(activity) == 1
    assert_type(feed[:1][0], Activity)
    assert_type(feed.timeline_storage, DictTimelines)
    given: ActivityId = activity.serialization_id
    assert feed.remove(given) == 1
