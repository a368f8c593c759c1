"""Pages by cursor: exact while the feed changes, on every backend, for every kind of feed."""

from __future__ import annotations

import random
from typing import Any

import pytest
from django.core.paginator import InvalidPage
from django.http import Http404
from django.test import RequestFactory

from stream_framework.activity import Activity
from stream_framework.aggregators.base import BaseAggregator, RecentRankMixin
from stream_framework.contrib.django.pagination import FeedPaginator, InvalidCursor
from stream_framework.exceptions import ConfigurationError, StreamFrameworkError
from stream_framework.feeds.memory import Feed
from tests.contracts.support import START, act, acts, names

BAD = (
    'x',
    '1.5',
    '1e9',
    ' ',
    '12 ',
    '²',
    '١٢',
    'prev-',
    'prev-x',
    'next-12',
    '--1',
    '0x10',
    '9' * 301,
    '\x00',
    "1' OR 1=1",
    '1\n',
)


class ByObject(RecentRankMixin, BaseAggregator):
    """A group for each object."""

    def get_group(self, activity: Activity) -> str:
        return f'object-{activity.object_id}'


def numbers(page: Any) -> list[int]:
    return [activity.object_id - 500 for activity in page]


def walk(paginator: FeedPaginator, step: str = 'next_cursor', page: Any = None, limit: int = 100) -> list[Any]:
    """The pages from this one on."""
    pages = [paginator.page() if page is None else page]
    while getattr(pages[-1], step) is not None and len(pages) < limit:
        pages.append(paginator.page(getattr(pages[-1], step)))
    return pages


class TestFlatFeed:
    @pytest.fixture
    def feed(self, backend: Any) -> Any:
        feed = backend.flat()(1)
        feed.add_many(acts(10))
        return feed

    def test_forwards_and_back(self, feed: Any) -> None:
        paginator = FeedPaginator(feed, per_page=4)
        pages = walk(paginator)
        assert [numbers(page) for page in pages] == [[9, 8, 7, 6], [5, 4, 3, 2], [1, 0]]
        assert [page.has_next() for page in pages] == [True, True, False]
        assert [page.has_previous() for page in pages] == [False, True, True]
        assert pages[0].next_cursor == str(act(6).serialization_id)
        back = walk(paginator, 'previous_cursor', pages[-1])
        assert [numbers(page) for page in back] == [[1, 0], [5, 4, 3, 2], [9, 8, 7, 6]]
        assert not back[-1].has_previous() and back[-1].next_cursor == pages[0].next_cursor

    def test_the_end_is_known_on_the_last_page(self, feed: Any) -> None:
        assert [numbers(page) for page in walk(FeedPaginator(feed, per_page=5))] == [[9, 8, 7, 6, 5], [4, 3, 2, 1, 0]]

    def test_empty(self, backend: Any) -> None:
        page = FeedPaginator(backend.flat()(1)).page()
        assert (list(page), page.has_other_pages(), page.next_cursor, page.previous_cursor) == ([], False, None, None)

    def test_stable_while_activities_come_in(self, feed: Any) -> None:
        paginator = FeedPaginator(feed, per_page=3)
        page, seen, new = paginator.page(), [], 10
        while True:
            seen += numbers(page)
            feed.add_many(acts(2, first=new))
            new += 2
            if page.next_cursor is None:
                break
            page = paginator.page(page.next_cursor)
        assert seen == list(range(9, -1, -1))
        back = walk(paginator, 'previous_cursor', page)
        assert [number for page in reversed(back) for number in numbers(page)] == list(range(new - 1, -1, -1))

    def test_of_one_millisecond(self, backend: Any) -> None:
        feed = backend.flat()(1)
        feed.add_many([act(0, object=number, time=START) for number in range(25)])
        pages = walk(FeedPaginator(feed, per_page=4))
        assert [item.object_id for page in pages for item in page] == list(range(24, -1, -1))

    def test_what_a_cursor_names_may_be_gone(self, feed: Any) -> None:
        paginator = FeedPaginator(feed, per_page=4)
        first = paginator.page()
        feed.remove(first[-1])
        second = paginator.page(first.next_cursor)
        assert numbers(second) == [5, 4, 3, 2]
        assert numbers(paginator.page(second.previous_cursor)) == [9, 8, 7]

    def test_nothing_is_left_behind_a_cursor(self, feed: Any) -> None:
        paginator = FeedPaginator(feed, per_page=8)
        first = paginator.page()
        feed.remove_many(acts(2))
        empty = paginator.page(first.next_cursor)
        assert (list(empty), empty.has_next(), empty.has_previous()) == ([], False, True)
        assert numbers(paginator.page(empty.previous_cursor)) == numbers(first)

    def test_nothing_is_left_before_a_cursor(self, feed: Any) -> None:
        paginator = FeedPaginator(feed, per_page=4)
        second = paginator.page(paginator.page().next_cursor)
        feed.remove_many(acts(4, first=6))
        page = paginator.page(second.previous_cursor)
        assert numbers(page) == [5, 4, 3, 2], 'the first page, as it is now'
        assert not page.has_previous() and page.cursor is None

    def test_within_a_filter_and_an_order(self, feed: Any) -> None:
        only = feed.filter(activity_id__gte=act(2).serialization_id, activity_id__lt=act(9).serialization_id)
        assert [numbers(page) for page in walk(FeedPaginator(only, per_page=3))] == [[8, 7, 6], [5, 4, 3], [2]]
        paginator = FeedPaginator(only.order_by('activity_id'), per_page=3)
        pages = walk(paginator)
        assert [numbers(page) for page in pages] == [[2, 3, 4], [5, 6, 7], [8]]
        back = walk(paginator, 'previous_cursor', pages[-1])
        assert [numbers(page) for page in back] == [[8], [5, 6, 7], [2, 3, 4]]

    def test_long_ids(self, feed: Any) -> None:
        assert list(FeedPaginator(feed).page('-' + '9' * 299)) == []
        assert numbers(FeedPaginator(feed).page('9' * 300)) == list(range(9, -1, -1))
        assert numbers(FeedPaginator(feed).page('prev-' + '9' * 300)) == list(range(9, -1, -1))


@pytest.mark.parametrize('kind', ['aggregated', 'notification'])
class TestGroups:
    @pytest.fixture
    def feed(self, backend: Any, kind: str) -> Any:
        feed = getattr(backend, kind)(aggregator_class=ByObject)(1)
        feed.add_many([act(n, object=n) for n in range(10)])
        return feed

    def test_forwards_and_back(self, feed: Any) -> None:
        paginator = FeedPaginator(feed, per_page=4)
        pages = walk(paginator)
        wanted = [[f'object-{n}' for n in part] for part in ([9, 8, 7, 6], [5, 4, 3, 2], [1, 0])]
        assert [names(page) for page in pages] == wanted
        assert pages[0].next_cursor == pages[0][-1].serialization_id
        assert [names(page) for page in walk(paginator, 'previous_cursor', pages[-1])] == wanted[::-1]

    def test_a_group_that_is_updated_moves_to_the_top(self, feed: Any) -> None:
        paginator = FeedPaginator(feed, per_page=4)
        first = paginator.page()
        feed.add(act(20, object=8))  # seen already
        feed.add(act(21, object=4))  # not yet
        second = paginator.page(first.next_cursor)
        assert names(second) == [f'object-{n}' for n in (5, 3, 2, 1)]
        assert names(paginator.page(second.next_cursor)) == ['object-0']
        assert names(paginator.page())[:2] == ['object-4', 'object-8']


class TestMeanwhile:
    def test_readers_and_writers(self) -> None:
        """Whatever comes and goes, what stays is seen exactly once."""
        chance = random.Random(7)
        feed = Feed('pagination of memory')
        feed.delete()
        stay = acts(60)
        passing = acts(60, first=1000)
        feed.add_many(stay[:40])
        seen: list[int] = []
        paginator = FeedPaginator(feed, per_page=7)
        page = paginator.page()
        for _ in range(100):
            seen += [item.serialization_id for item in page]
            some = chance.sample(passing, 5)
            feed.add_many(some[:3])
            feed.remove_many(some[3:])
            feed.add(chance.choice(stay[40:]))
            if page.next_cursor is None:
                break
            page = paginator.page(page.next_cursor)
        assert len(seen) == len(set(seen))
        assert set(seen) == {item.serialization_id for item in stay[:40]}
        feed.delete()


@pytest.fixture
def feed() -> Any:
    feed = Feed('pagination')
    feed.delete()
    feed.add_many(acts(60))
    yield feed
    feed.delete()


@pytest.mark.parametrize('cursor', BAD)
def test_a_bad_cursor(feed: Any, cursor: str) -> None:
    with pytest.raises(InvalidCursor, match='is no cursor of a feed') as caught:
        FeedPaginator(feed).page(cursor)
    for kind in (InvalidPage, ValueError, StreamFrameworkError):
        assert isinstance(caught.value, kind)
    assert len(str(caught.value)) < 250
    request = RequestFactory().get('/feed/', {'cursor': cursor})
    with pytest.raises(Http404, match='is no cursor of a feed'):
        FeedPaginator(feed).page_for(request)


def test_an_empty_cursor_is_the_first_page(feed: Any) -> None:
    assert numbers(FeedPaginator(feed, per_page=1).page('')) == [59]


def test_the_page_of_a_request(feed: Any) -> None:
    paginator = FeedPaginator(feed, per_page=25, size_param='size')
    first = paginator.page_for(RequestFactory().get('/feed/?board=tea+%26+cake&board=x'))
    assert (len(first), first.previous_url) == (25, None)
    assert first.next_url == f'/feed/?board=tea+%26+cake&board=x&cursor={first.next_cursor}'
    second = paginator.page_for(RequestFactory().get(first.next_url))
    assert numbers(second) == list(range(34, 9, -1))
    assert second.previous_url == f'/feed/?board=tea+%26+cake&board=x&cursor=prev-{act(34).serialization_id}'
    assert 'cursor' in second.next_url and second.next_url.count('cursor') == 1
    last = paginator.page_for(RequestFactory().get(second.next_url))
    assert (len(last), last.next_url) == (10, None)
    assert paginator.page().next_url is None, 'made for no request'


@pytest.mark.parametrize(
    'size, shown', [('3', 3), ('60', 40), ('9' * 5000, 25), ('0', 25), ('-1', 25), ('x', 25), ('²', 25), ('', 25)]
)
def test_the_size_of_a_page(feed: Any, size: str, shown: int) -> None:
    request = RequestFactory().get('/feed/', {'size': size})
    assert len(FeedPaginator(feed, 25, max_per_page=40, size_param='size').page_for(request)) == shown
    assert len(FeedPaginator(feed, 25, max_per_page=40).page_for(request)) == 25, 'requests may not choose'


def test_a_page_is_a_sequence(feed: Any) -> None:
    page = FeedPaginator(feed, per_page=3).page()
    assert len(page) == 3 and page[0] == page.object_list[0] and page[:2] == page.object_list[:2]
    assert list(page) == page.object_list and page[1] in page
    assert repr(page) == f'<FeedPage: 3 of <Feed: {feed.key}>, cursor None>'


def test_what_can_not_be(feed: Any) -> None:
    class Unsorted(Feed):
        ordering_supported = False

    with pytest.raises(ConfigurationError, match='Unsorted can not be cut into pages'):
        FeedPaginator(Unsorted(1))
    for sizes in ((0, 10), (11, 10), (-1, -1)):
        with pytest.raises(ConfigurationError, match='per_page'):
            FeedPaginator(feed, sizes[0], max_per_page=sizes[1])
    with pytest.raises(ConfigurationError, match='at least one'):
        FeedPaginator(feed).page(per_page=0)


def test_groups_of_1_4_0(backend: Any) -> None:
    """A group under its old id of 13 digits leads to the next page, too."""
    if backend.name != 'redis':
        pytest.skip('data of 1.4.0 that needs no conversion is on Redis')
    from stream_framework.storage.redis.connection import get_redis_connection

    feed = backend.aggregated(aggregator_class=ByObject)(1)
    whole = [act(n, object=n) for n in range(4)]
    feed.add_many(whole)
    client = get_redis_connection()
    for member, score in client.zrange(feed.key, 0, -1, withscores=True):
        # As 1.4.0 wrote it: the score is cut to whole seconds, the times in the entry have a fraction.
        second = int(score) // 1000
        client.zrem(feed.key, member)
        client.zadd(feed.key, {member.replace(f'{second}.000000', f'{second}.250000'): second * 1000})
    paginator = FeedPaginator(feed, per_page=2)
    first = paginator.page()
    assert len(first.next_cursor) == 13
    assert [names(page) for page in walk(paginator)] == [['object-3', 'object-2'], ['object-1', 'object-0']]
