"""Pages of a feed for Django views: by a cursor, which is the id of the last item on the page.

A page number is of no use for a feed: while somebody reads page 1, new activities come in on top, and page 2 begins
with what page 1 ended with. A cursor names an item instead, and the next page is what comes after that item, whatever
was added or removed meanwhile. In a link it looks like this:

===================  =================================================================================================
``?cursor=ID``       the page after the item of this id: the next page of a page that ends with it
``?cursor=prev-ID``  the page before it: the previous page of a page that begins with it
no cursor            the first page
===================  =================================================================================================

In **flat feeds** it is the id of an activity, which never changes: nothing is repeated and nothing is skipped.

In **aggregated and notification feeds** it is the id of a group, which starts with the time of the group's last
update. A group that gets an activity has a new id and moves to the top of the feed. Somebody who has seen it further up
does not see it again below; somebody who had not come to it yet does not find it further down, but on the first page,
when that is loaded again. All others are neither repeated nor skipped. A group that *shrinks*, since an activity was
removed from it, may move down, and so be seen a second time: its name, ``group.group``, tells.

Ids are longer than JavaScript's numbers: cursors are str, and stay str in JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar, cast, overload
from urllib.parse import urlsplit, urlunsplit

from stream_framework import ids
from stream_framework.contrib.django.enriching import enrich as enrich_page
from stream_framework.exceptions import ConfigurationError, InvalidIdError, MissingDependencyError, StreamFrameworkError
from stream_framework.typing import ReadInSlices

try:
    from django.core.paginator import InvalidPage
    from django.http import Http404, QueryDict
except ImportError as error:
    raise MissingDependencyError(
        "stream_framework.contrib.django needs Django, which isn't installed: pip install django"
    ) from error

#: What a page holds: the activities, or the groups, of its feed.
Item = TypeVar('Item')
#: How pages are enriched: the keywords of :func:`stream_framework.contrib.django.enrich`, or a function that takes the
#: list of what is on a page, and returns what is to be shown.
Enrich = Mapping[str, Any] | Callable[[list[Any]], list[Any]]

#: What the cursor of a previous page begins with.
BACKWARDS = 'prev-'
# No id of ours comes near it; servers compare ids as doubles first, which end at 308 digits.
_MAX_DIGITS = 300


class InvalidCursor(StreamFrameworkError, InvalidPage, ValueError):
    """A cursor that no page of ours has in its links; also Django's ``InvalidPage``."""


class FeedPage(Sequence[Item]):
    """One page: a sequence of what is on it, and the cursors of its neighbours.

    Made by a :class:`FeedPaginator`. The names are those of Django's ``Page`` where there is something like it.
    """

    def __init__(
        self,
        object_list: list[Item],
        paginator: FeedPaginator[Item],
        cursor: str | None,
        next_cursor: str | None,
        previous_cursor: str | None,
        url: str | None = None,
    ) -> None:
        #: What is on the page: activities, or groups, in the order of the feed.
        self.object_list = object_list
        #: The paginator that it was made by.
        self.paginator = paginator
        #: The cursor that the page was asked for with; ``None`` for the first page.
        self.cursor = cursor
        #: The cursor of the next page, ``None`` on the last one.
        self.next_cursor = next_cursor
        #: The cursor of the previous page, ``None`` on the first one.
        self.previous_cursor = previous_cursor
        self._url = url

    def __len__(self) -> int:
        return len(self.object_list)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        return self.object_list[index]

    def __iter__(self) -> Iterator[Item]:
        return iter(self.object_list)

    def __repr__(self) -> str:
        return f'<{type(self).__name__}: {len(self)} of {self.paginator.feed!r}, cursor {self.cursor}>'

    def has_next(self) -> bool:
        """Whether there is more after this page.

        >>> FeedPaginator(feed, per_page=2).page().has_next()
        True
        """
        return self.next_cursor is not None

    def has_previous(self) -> bool:
        """Whether there was a page before this one; what was on it may have been removed since.

        >>> FeedPaginator(feed, per_page=2).page().has_previous()
        False
        """
        return self.previous_cursor is not None

    def has_other_pages(self) -> bool:
        """Whether there is any other page.

        >>> FeedPaginator(feed, per_page=25).page().has_other_pages()
        False
        """
        return self.has_next() or self.has_previous()

    @property
    def next_url(self) -> str | None:
        """The address of the next page, where the page was made for a request; ``None`` on the last one.

        >>> page = FeedPaginator(feed, per_page=2).page_at('/news', {})
        >>> page.next_url == f'/news?cursor={page.next_cursor}'
        True
        """
        return self._link(self.next_cursor)

    @property
    def previous_url(self) -> str | None:
        """The address of the previous page, where the page was made for a request; ``None`` on the first one.

        >>> FeedPaginator(feed).page_at('/news', {}).previous_url is None
        True
        """
        return self._link(self.previous_cursor)

    def _link(self, cursor: str | None) -> str | None:
        return None if cursor is None or self._url is None else self.paginator.link(self._url, cursor)


class FeedPaginator(Generic[Item]):
    """Cuts a feed into pages. Reading one costs what ``feed[:per_page + 1]`` costs.

    :param feed: a feed; a filtered or ordered one too: the pages stay within the filter, and in that order
    :param per_page: how many items a page has
    :param max_per_page: how many a request may ask for by ``size_param``
    :param cursor_param: the name of the cursor in the query
    :param size_param: the name of the page size in the query; ``None``: requests can't choose it
    :param enrich: what :func:`~stream_framework.contrib.django.enrich` is told, ``{'actor': User}``, or a function that
        takes the list of what is on a page and returns what is to be shown. A page from which something is left out is
        shorter; its cursors stay as they are, so nothing is skipped or repeated
    :raises ConfigurationError: for a feed that can't filter and order, or sizes that can't be

    >>> from stream_framework.activity import Activity
    >>> from stream_framework.feeds.memory import Feed
    >>> from stream_framework.verbs import Love
    >>> feed = Feed('a doctest')
    >>> feed.add_many([Activity(1, Love, number) for number in range(5)])
    5
    >>> paginator = FeedPaginator(feed, per_page=2)
    >>> page = paginator.page()
    >>> [activity.object_id for activity in page], page.has_next(), page.has_previous()
    ([4, 3], True, False)
    >>> feed.add(Activity(1, Love, 5))
    1
    >>> page = paginator.page(page.next_cursor)
    >>> [activity.object_id for activity in page]
    [2, 1]
    >>> [activity.object_id for activity in paginator.page(page.previous_cursor)]
    [4, 3]
    >>> feed.delete()
    """

    def __init__(
        self,
        feed: ReadInSlices[Item],
        per_page: int = 25,
        *,
        max_per_page: int = 100,
        cursor_param: str = 'cursor',
        size_param: str | None = None,
        enrich: Enrich | None = None,
    ) -> None:
        # A page needs more of a feed than slices; their items are all that its type tells.
        self.feed = cast(Any, feed)
        if not (self.feed.filtering_supported and self.feed.ordering_supported):
            raise ConfigurationError(
                f'{type(feed).__name__} can not be cut into pages by cursor: set filtering_supported and '
                'ordering_supported, if its storage filters and orders'
            )
        if not 1 <= per_page <= max_per_page:
            raise ConfigurationError(
                f'per_page is {per_page} and max_per_page {max_per_page}: give 1 <= per_page <= max_per_page'
            )
        self.per_page = per_page
        self.max_per_page = max_per_page
        self.cursor_param = cursor_param
        self.size_param = size_param
        self.enrich = enrich
        self._ascending = bool(self.feed.timeline_storage.ascends(self.feed._ordering_args))

    def page(self, cursor: str | int | None = None, per_page: int | None = None) -> FeedPage[Item]:
        """One page.

        :param cursor: ``next_cursor`` or ``previous_cursor`` of another page; ``None`` or ``''`` for the first page
        :param per_page: how many items, instead of the paginator's own number; at most ``max_per_page`` are given
        :raises InvalidCursor: for anything else; it is Django's ``InvalidPage``

        >>> paginator = FeedPaginator(feed, per_page=2)
        >>> first = paginator.page()
        >>> [activity.object_id for activity in paginator.page(first.next_cursor)]
        [1]
        """
        return self._page(cursor, per_page, None)

    def page_for(self, request: Any) -> FeedPage[Item]:
        """The page that a request asks for, which has ``next_url`` and ``previous_url``.

        A page size that is no positive number counts as none; one above ``max_per_page`` as that.

        :param request: an ``HttpRequest``
        :raises Http404: for a bad cursor, as Django's own list views do for a bad page

        >>> from django.test import RequestFactory
        >>> FeedPaginator(feed, per_page=2).page_for(RequestFactory().get('/news')).next_url.startswith('/news?cursor=')
        True
        """
        try:
            return self.page_at(request.get_full_path(), request.GET)
        except InvalidCursor as error:
            raise Http404(str(error)) from error

    def page_at(self, url: str, query: Mapping[str, Any]) -> FeedPage[Item]:
        """The page that an address asks for: :meth:`page_for` without a request of Django's.

        :param url: what ``next_url`` and ``previous_url`` are made from
        :param query: its query: name -> text
        :raises InvalidCursor: for a bad cursor

        >>> page = FeedPaginator(feed, per_page=2).page_at('/news?tag=tea', {'tag': 'tea'})
        >>> page.next_url == f'/news?tag=tea&cursor={page.next_cursor}'
        True
        """
        return self._page(query.get(self.cursor_param), self._wanted_size(query), url)

    def link(self, url: str, cursor: str) -> str:
        """The same address with this cursor in its query.

        :param url: with or without a host, a query, another cursor

        >>> FeedPaginator(feed).link('/news?tag=tea', '13732667550000000000042003')
        '/news?tag=tea&cursor=13732667550000000000042003'
        """
        parts = urlsplit(url)
        query = QueryDict(parts.query, mutable=True)
        query[self.cursor_param] = cursor
        return urlunsplit(parts._replace(query=query.urlencode()))

    def _wanted_size(self, query: Mapping[str, Any]) -> int | None:
        text = str(query.get(self.size_param, '')) if self.size_param else ''
        if not (text.isascii() and text.isdigit()) or len(text) > 9 or not int(text):
            return None
        return int(text)

    def _page(self, cursor: Any, per_page: int | None, url: str | None) -> FeedPage[Item]:
        page = self._cut(cursor, per_page, url)
        if isinstance(self.enrich, Mapping):
            return enrich_page(page, **self.enrich)
        if self.enrich is not None:
            page.object_list = list(self.enrich(page.object_list))
        return page

    def _cut(self, cursor: Any, per_page: int | None, url: str | None) -> FeedPage[Item]:
        size = self.per_page if per_page is None else min(per_page, self.max_per_page)
        if size < 1:
            raise ConfigurationError(f'per_page is {per_page}: a page has at least one item')
        if cursor is None or cursor == '':
            return self._first(size, url)
        backwards, anchor = _parsed(cursor)
        if backwards:
            return self._before(anchor, size, url) or self._first(size, url)
        found = self._after(anchor)[: size + 1]
        # Where nothing is left behind the anchor, the page before ends with the anchor itself, if that is still there.
        first = _id_of(found[0]) if found else anchor + (1 if self._ascending else -1)
        return FeedPage(
            found[:size],
            self,
            cursor=str(cursor),
            next_cursor=str(_id_of(found[size - 1])) if len(found) > size else None,
            previous_cursor=f'{BACKWARDS}{first}',
            url=url,
        )

    def _first(self, size: int, url: str | None) -> FeedPage[Item]:
        found = self.feed[: size + 1]
        more = str(_id_of(found[size - 1])) if len(found) > size else None
        return FeedPage(found[:size], self, cursor=None, next_cursor=more, previous_cursor=None, url=url)

    def _before(self, anchor: int, size: int, url: str | None) -> FeedPage[Item] | None:
        ascending = self._ascending
        newer = self.feed.filter(**{'activity_id__lt' if ascending else 'activity_id__gt': anchor})
        # The nearest come first, so the list is the page upside down.
        found = newer.order_by('-activity_id' if ascending else 'activity_id')[: size + 1]
        if not found:
            return None
        shown = found[:size][::-1]
        return FeedPage(
            shown,
            self,
            cursor=f'{BACKWARDS}{anchor}',
            next_cursor=str(_id_of(shown[-1])),
            previous_cursor=f'{BACKWARDS}{_id_of(shown[0])}' if len(found) > size else None,
            url=url,
        )

    def _after(self, anchor: int) -> Any:
        return self.feed.filter(**{'activity_id__gt' if self._ascending else 'activity_id__lt': anchor})


def _id_of(item: Any) -> int:
    return ids.normalize_id(item.serialization_id)


def _parsed(cursor: Any) -> tuple[bool, int]:
    """Whether it leads backwards, and from which id."""
    text = str(cursor)
    backwards = text.startswith(BACKWARDS)
    text = text[len(BACKWARDS) :] if backwards else text
    try:
        if len(text) > _MAX_DIGITS:
            raise InvalidIdError('too long')
        return backwards, ids.normalize_id(text)
    except InvalidIdError as error:
        shown = repr(str(cursor)[:60])
        raise InvalidCursor(
            f'{shown} is no cursor of a feed: give next_cursor or previous_cursor of a page, or none for the first page'
        ) from error
