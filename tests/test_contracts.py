"""Every contract, over every backend in :mod:`tests.backends`."""

from __future__ import annotations

from tests.contracts.activity_storage import ActivityStorageContract
from tests.contracts.aggregated_feed import AggregatedFeedContract
from tests.contracts.badge import BadgeContract
from tests.contracts.each_his_own import EachHisOwnContract
from tests.contracts.erasing import ErasingContract
from tests.contracts.filters import FiltersContract, StatesContract
from tests.contracts.flat_feed import FlatFeedContract
from tests.contracts.follow_storage import FollowStorageContract
from tests.contracts.hooks import HooksContract
from tests.contracts.keywords import KeywordsContract
from tests.contracts.lists_storage import ListsStorageContract
from tests.contracts.manager import ManagerContract
from tests.contracts.merging import MergingContract
from tests.contracts.no_actor import NoActorContract
from tests.contracts.notification_feed import NotificationFeedContract
from tests.contracts.notifying import NotifyingContract
from tests.contracts.relations import RelationsContract
from tests.contracts.seen import SeenContract
from tests.contracts.shortcuts import ShortcutsContract
from tests.contracts.timeline_storage import TimelineStorageContract
from tests.contracts.updating import UpdatingContract


class TestActivityStorage(ActivityStorageContract):
    pass


class TestTimelineStorage(TimelineStorageContract):
    pass


class TestListsStorage(ListsStorageContract):
    pass


class TestFollowStorage(FollowStorageContract):
    pass


class TestFlatFeed(FlatFeedContract):
    pass


class TestAggregatedFeed(AggregatedFeedContract):
    pass


class TestNotificationFeed(NotificationFeedContract):
    pass


class TestHooks(HooksContract):
    pass


class TestManager(ManagerContract):
    pass


class TestNoActor(NoActorContract):
    pass


class TestUpdating(UpdatingContract):
    pass


class TestBadge(BadgeContract):
    pass


class TestEachHisOwn(EachHisOwnContract):
    pass


class TestMerging(MergingContract):
    pass


class TestSeen(SeenContract):
    pass


class TestRelations(RelationsContract):
    pass


class TestFilters(FiltersContract):
    pass


class TestStates(StatesContract):
    pass


class TestNotifying(NotifyingContract):
    pass


class TestErasing(ErasingContract):
    pass


class TestKeywords(KeywordsContract):
    pass


class TestShortcuts(ShortcutsContract):
    pass
