"""Every public method of what applications use has an example, which runs with the tests."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from stream_framework.activity import Activity, AggregatedActivity, DehydratedActivity
from stream_framework.aggregators.base import BaseAggregator, NotificationAggregator, RecentVerbAggregator
from stream_framework.feed_managers.base import Manager
from stream_framework.feeds.aggregated_feed.base import AggregatedFeed
from stream_framework.feeds.base import BaseFeed
from stream_framework.feeds.notification_feed.base import BaseNotificationFeed
from stream_framework.utils.shortcuts import Shortcut

CLASSES: list[Any] = [
    Activity,
    AggregatedActivity,
    DehydratedActivity,
    BaseAggregator,
    RecentVerbAggregator,
    NotificationAggregator,
    BaseFeed,
    AggregatedFeed,
    BaseNotificationFeed,
    Manager,
]


def without_example(cls: Any) -> list[str]:
    """The public methods of a class that have no example. A plain form is explained by its shortcut's."""
    missing = []
    for base in cls.__mro__:
        for name, value in vars(base).items():
            if (
                name.startswith('_')
                or name.endswith('_by_hooks')
                or not base.__module__.startswith('stream_framework.')
            ):
                continue
            is_method = inspect.isfunction(value) or isinstance(value, (property, classmethod, staticmethod, Shortcut))
            if is_method and '>>>' not in (value.__doc__ or ''):
                missing.append(f'{base.__name__}.{name}')
    return missing


@pytest.mark.parametrize('cls', CLASSES, ids=lambda cls: cls.__name__)
def test_each_method_has_an_example(cls: Any) -> None:
    assert without_example(cls) == []


def test_each_method_of_pages_has_an_example() -> None:
    pytest.importorskip('django')
    from stream_framework.contrib.django.pagination import FeedPage, FeedPaginator

    assert [*without_example(FeedPage), *without_example(FeedPaginator)] == []
