"""Rows for ids: one query for each model of a page, on pages of every kind."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.paginator import Paginator
from django.db import connection, models
from django.test.utils import CaptureQueriesContext
from rest_framework import generics, serializers
from rest_framework.exceptions import NotFound
from rest_framework.renderers import JSONRenderer
from rest_framework.test import APIRequestFactory

from stream_framework.activity import Activity
from stream_framework.contrib.django import LEFT_OUT, enrich
from stream_framework.contrib.django.pagination import FeedPaginator
from stream_framework.contrib.django.rest_framework import ActivitySerializer, FeedPagination
from stream_framework.exceptions import ConfigurationError
from stream_framework.feeds.aggregated_feed.memory import AggregatedFeed
from stream_framework.feeds.memory import Feed
from stream_framework.feeds.notification_feed.memory import NotificationFeed
from stream_framework.verbs import Comment, Follow, Love
from tests.contracts.support import at
from tests.contrib.test_pagination import ByObject, walk


class User(models.Model):
    name = models.CharField(max_length=20)

    class Meta:
        app_label = 'enriching'


class Pin(models.Model):
    author = models.ForeignKey(User, models.CASCADE)
    title = models.CharField(max_length=20)

    class Meta:
        app_label = 'enriching'


class Visible(models.Manager[Any]):
    def get_queryset(self) -> Any:
        return super().get_queryset().filter(hidden=False)


class Board(models.Model):
    """A primary key of text that is not called id, and a manager that hides some."""

    slug = models.CharField(primary_key=True, max_length=20)
    hidden = models.BooleanField(default=False)

    everything: Any = models.Manager()
    objects: Any = Visible()

    class Meta:
        app_label = 'enriching'


class Token(models.Model):
    key = models.UUIDField(primary_key=True)

    class Meta:
        app_label = 'enriching'


class Profile(models.Model):
    """Its primary key is that of its user."""

    user = models.OneToOneField(User, models.CASCADE, primary_key=True)

    class Meta:
        app_label = 'enriching'


MODELS = (User, Pin, Board, Token, Profile)


class Grouped(AggregatedFeed):
    key_format = 'enriched, grouped:%(user_id)s'
    aggregator_class = ByObject


class Notifications(NotificationFeed):
    key_format = 'enriched, notifications:%(user_id)s'
    markers_key_format = 'enriched, markers:%(user_id)s'
    aggregator_class = ByObject


@pytest.fixture(autouse=True, scope='module')
def tables() -> Iterator[None]:
    with connection.schema_editor() as editor:
        for model in MODELS:
            editor.create_model(model)
    yield
    with connection.schema_editor() as editor:
        for model in reversed(MODELS):
            editor.delete_model(model)


@pytest.fixture(autouse=True)
def rows(tables: None) -> Iterator[None]:
    users = User.objects.bulk_create([User(id=number, name=f'user {number}') for number in range(1, 6)])
    Pin.objects.bulk_create([Pin(id=number, title=f'pin {number}', author=users[0]) for number in range(1, 6)])
    Board.everything.bulk_create([Board(slug='tea'), Board(slug='17'), Board(slug='secret', hidden=True)])
    Token.objects.create(key=uuid.UUID(int=7))
    Profile.objects.create(user_id=1)
    yield
    for model in reversed(MODELS):
        model._base_manager.all().delete()
    for feed in (Feed('enriched'), Grouped(1), Notifications(1)):
        feed.delete()


class queries:
    """How many queries a block makes."""

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.context = CaptureQueriesContext(connection)

    def __enter__(self) -> None:
        self.context.__enter__()

    def __exit__(self, *error: Any) -> None:
        self.context.__exit__(*error)
        if error[0] is None:
            said = [query['sql'] for query in self.context.captured_queries]
            assert len(said) == self.expected, said


def loved(number: int, actor: Any = None, pin: Any = None, verb: Any = Love, **kwargs: Any) -> Activity:
    return Activity(actor or number, verb, pin or number, time=at(number), **kwargs)


def flat(*activities: Activity) -> list[Any]:
    """A page as it is read from a feed."""
    feed = Feed('enriched')
    feed.add_many(activities)
    return feed[:100]


def names(page: Any) -> list[tuple[str, str]]:
    return [(activity.actor.name, activity.object.title) for activity in page]


class TestAPage:
    def test_of_a_flat_feed(self) -> None:
        page = flat(*(loved(number) for number in range(1, 6)))
        with queries(2):
            found = enrich(page, actor=User, object={Pin: Pin.objects})
            assert names(found) == [(f'user {number}', f'pin {number}') for number in (5, 4, 3, 2, 1)]
        assert found is page

    def test_rows_are_shared(self) -> None:
        one, other = enrich(flat(loved(1), loved(2, actor=1)), actor=User)
        assert one.actor is other.actor
        assert not hasattr(one, 'object')

    @pytest.mark.parametrize('feed_class', [Grouped, Notifications])
    def test_of_groups(self, feed_class: Any) -> None:
        feed = feed_class(1)
        feed.add_many([loved(number, pin=1 + number % 2) for number in range(1, 6)])
        with queries(2):
            groups = enrich(feed[:10], actor=User, object=Pin)
            found = [[(a.actor.pk, a.object.pk) for a in group.activities] for group in groups]
        assert found == [[(1, 2), (3, 2), (5, 2)], [(2, 1), (4, 1)]]

    def test_without_activities(self) -> None:
        with queries(0):
            assert enrich([], actor=User) == []

    def test_again_costs_nothing(self) -> None:
        page = enrich(flat(loved(1), loved(2, target=9)), actor=User, target=User, missing=lambda *_: None)
        with queries(0):
            enrich(page, actor=User, target=User)
        assert [activity.target for activity in page] == [None, None]

    def test_any_other_iterable(self) -> None:
        found = enrich(iter(flat(loved(1))), actor=User, object=Pin)
        assert names(found) == [('user 1', 'pin 1')]

    def test_of_djangos_own_paginator(self) -> None:
        page = Paginator(flat(loved(1), loved(2), loved(3)), 2).page(1)
        assert names(enrich(page, actor=User, object=Pin)) == [('user 3', 'pin 3'), ('user 2', 'pin 2')]

    def test_nobody_and_nothing(self) -> None:
        page = flat(Activity(None, Love, 1, time=at(1)))
        [found] = enrich(page, actor=User, object=Pin, target=Board)
        assert (found.actor, found.object.pk, found.target) == (None, 1, None)

    def test_is_stored_as_before(self) -> None:
        [found] = enrich(flat(loved(1, extra_context={'a': 1})), actor=User, object=Pin)
        before = found.serialization_id
        feed = Feed('enriched again')
        feed.add(found)
        [read] = feed[:1]
        assert (read.serialization_id, read.actor_id, read.object_id) == (before, 1, 1)
        assert not hasattr(read, 'actor')
        feed.delete()

    def test_that_holds_only_ids(self) -> None:
        flat(loved(1))
        with pytest.raises(ValueError, match='holds only ids'):
            enrich(Feed('enriched').get_activity_slice(0, 1, rehydrate=False), actor=User)


class TestWhereItIsLookedUp:
    def test_a_queryset_is_kept_as_it_is(self) -> None:
        pins = Pin.objects.select_related('author').annotate(number=models.F('id') * 10).only('title', 'author')
        page = flat(loved(1), loved(2))
        with queries(1):
            enrich(page, object=pins)
            assert [(a.object.author.name, a.object.number) for a in page] == [('user 1', 20), ('user 1', 10)]
        # The queryset was not evaluated itself: the next page asks again.
        User.objects.filter(pk=1).update(name='renamed')
        assert enrich(flat(loved(1)), object=pins)[0].object.author.name == 'renamed'

    def test_prefetches_are_one_query_more(self) -> None:
        page = flat(loved(1), loved(2))
        with queries(2):
            enrich(page, actor=User.objects.prefetch_related('pin_set'))
            assert [len(a.actor.pin_set.all()) for a in page] == [0, 5]

    def test_managers_and_filters_say_what_is_there(self) -> None:
        page = [Activity(1, Love, slug, time=at(1)) for slug in ('tea', 'secret')]
        assert [a.object_id for a in enrich(list(page), object={Board: Board.everything})] == ['tea', 'secret']
        page = [Activity(1, Love, slug, time=at(1)) for slug in ('tea', 'secret')]
        assert [a.object_id for a in enrich(page, object={Board: Board.objects})] == ['tea']

    def test_verbs_tell_models_apart(self) -> None:
        page = flat(loved(1), loved(2, verb=Follow), loved(3, verb=Comment))
        with queries(2):
            enrich(page, actor=User, object={Love: Pin.objects, Follow: User})
        comment, follow, love = page
        assert (type(love.object), type(follow.object)) == (Pin, User)
        # A verb that isn't named is left alone.
        assert not hasattr(comment, 'object')

    def test_a_verb_by_its_id_and_with_its_subclasses(self) -> None:
        class Adore(Love):
            id = 903

        activities = [loved(1, verb=Adore), loved(2, verb=Love)]
        assert [type(a.object) for a in enrich(activities, object={Love.id: Pin})] == [Pin, Pin]

    def test_a_function_tells_models_apart(self) -> None:
        def of(activity: Activity) -> Any:
            kind = activity.extra_context.get('kind')
            # A queryset that is made for each activity is one query nevertheless.
            return {'pin': Pin.objects.select_related('author'), 'user': User, None: None}[kind]

        page = flat(*(loved(n, extra_context={'kind': kind}) for n, kind in enumerate(('pin', 'pin', 'user'), 1)))
        page += flat(loved(4))[:1]
        with queries(2):
            enrich(page, object=of)
            found = [type(getattr(a, 'object', None)) for a in page]
        assert found == [User, Pin, Pin, type(None)]

    def test_roles_of_one_model_share_a_query(self) -> None:
        page = flat(loved(1, pin=2, target=3))
        with queries(1):
            [found] = enrich(page, actor=User, object={User: User.objects}, target=User.objects.all())
        assert [found.actor.pk, found.object.pk, found.target.pk] == [1, 2, 3]

    def test_roles_of_one_model_with_other_rows_do_not(self) -> None:
        page = flat(loved(1, pin=2))
        with queries(2):
            assert enrich(page, actor=User, object=User.objects.exclude(pk=2)) == []

    def test_nothing_of_a_model(self) -> None:
        assert enrich(flat(loved(1)), actor=User.objects.none()) == []

    @pytest.mark.parametrize('source', ['User', 5, object(), {}, {'user': User}, {User: 5}, {Love: 'Pin'}])
    def test_what_names_no_model(self, source: Any) -> None:
        with pytest.raises(ConfigurationError, match='actor'):
            enrich(flat(loved(1)), actor=source)

    def test_several_models_need_something_that_tells_them_apart(self) -> None:
        with pytest.raises(ConfigurationError, match='Love: Pin, Follow: User'):
            enrich(flat(loved(1)), object={Pin: Pin.objects, User: User.objects})

    def test_a_function_that_returns_no_model(self) -> None:
        with pytest.raises(ConfigurationError, match="'Pin'"):
            enrich(flat(loved(1)), object=lambda activity: 'Pin')


class TestKeys:
    @pytest.mark.parametrize(
        'model, value, key',
        [
            (Token, uuid.UUID(int=7), uuid.UUID(int=7)),
            (Token, str(uuid.UUID(int=7)), uuid.UUID(int=7)),
            (Board, 'tea', 'tea'),
            (Board, 17, '17'),
            (Pin, '3', 3),
            (Profile, 1, 1),
            (Profile, '1', 1),
        ],
    )
    def test_are_read_as_the_model_reads_them(self, model: Any, value: Any, key: Any) -> None:
        [found] = enrich(flat(Activity(1, Love, value, time=at(1))), object=model)
        assert (type(found.object), found.object.pk) == (model, key)
        assert found.object_id == value

    @pytest.mark.parametrize('model', [Pin, Profile])
    @pytest.mark.parametrize('value', ['x', 2**70, -(2**70), uuid.UUID(int=2**100), 'a\0b'])
    def test_that_no_row_of_numbers_can_have(self, model: Any, value: Any) -> None:
        assert enrich([Activity(1, Love, value, time=at(1))], object=model) == []

    @pytest.mark.parametrize(
        'model, value', [(Token, 'x'), (Token, 5), (Board, 'a\0b'), (Board, '\ud800'), (Board, uuid.UUID(int=1))]
    )
    def test_that_no_row_can_have(self, model: Any, value: Any) -> None:
        page = [Activity(1, Love, value, time=at(1))]
        assert enrich(page, object=model) == []

    def test_more_than_a_statement_of_sqlite_takes(self) -> None:
        User.objects.bulk_create([User(id=number, name='x') for number in range(1000, 3500)])
        page = [Activity(number, Love, 1, time=at(1)) for number in range(1000, 3500)]
        assert all(activity.actor.pk == activity.actor_id for activity in enrich(page, actor=User))


class TestWhatIsGone:
    def test_leaves_the_page(self) -> None:
        page = flat(loved(1), loved(2), loved(3))
        User.objects.filter(pk=2).delete()
        Pin.objects.filter(pk=3).delete()
        found = enrich(page, actor=User, object=Pin)
        assert [activity.object_id for activity in found] == [1]
        assert page == found

    def test_leaves_groups(self) -> None:
        feed = Grouped(1)
        feed.add_many([loved(1, pin=1), loved(2, pin=1), loved(3, pin=2)])
        User.objects.filter(pk__in=(2, 3)).delete()
        [group] = enrich(feed[:10], actor=User)
        assert (group.group, group.actor_ids, group.actor_count) == ('object-1', [1], 1)
        # What is stored stays.
        assert [len(group) for group in feed[:10]] == [1, 2]

    def test_is_shown_as_the_application_says(self) -> None:
        def stand_in(activity: Activity, role: str) -> Any:
            return User(name=f'gone: {activity.actor_id}') if role == 'actor' else LEFT_OUT

        page = flat(loved(1), loved(2), loved(9, pin=1), loved(8))
        User.objects.filter(pk=2).delete()
        found = enrich(page, actor=User, object=Pin, missing=stand_in)
        assert names(found) == [('gone: 9', 'pin 1'), ('gone: 2', 'pin 2'), ('user 1', 'pin 1')]


TOLD = {'actor': User, 'object': {Pin: Pin.objects.select_related('author')}}


class TestPaginators:
    @pytest.fixture(autouse=True)
    def feed(self) -> Any:
        Feed('enriched').add_many([loved(number) for number in range(1, 6)])

    def test_pages(self) -> None:
        paginator = FeedPaginator(Feed('enriched'), 2, enrich=TOLD)
        with queries(2):
            page = paginator.page()
            assert names(page) == [('user 5', 'pin 5'), ('user 4', 'pin 4')]
        assert names(paginator.page(page.next_cursor)) == [('user 3', 'pin 3'), ('user 2', 'pin 2')]
        assert names(paginator.page(paginator.page(page.next_cursor).previous_cursor)) == names(page)

    def test_what_is_gone_changes_no_cursor(self) -> None:
        User.objects.filter(pk__in=(4, 3)).delete()
        pages = walk(FeedPaginator(Feed('enriched'), 2, enrich=TOLD))
        assert [[activity.actor_id for activity in page] for page in pages] == [[5], [2], [1]]

    def test_a_function(self) -> None:
        def told(items: list[Any]) -> list[Any]:
            return enrich(items[:1], actor=User)

        assert [a.actor.pk for a in FeedPaginator(Feed('enriched'), 2, enrich=told).page()] == [5]


class UserSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()


class PinSerializer(serializers.Serializer[Any]):
    title = serializers.CharField()
    author = UserSerializer()


class PinActivitySerializer(ActivitySerializer):
    actor = UserSerializer()
    object = PinSerializer()
    enrich = TOLD


class Pages(FeedPagination):
    page_size = 3


class EnrichingPages(Pages):
    enrich = TOLD


class MethodPages(Pages):
    def enrich(self, items: list[Any]) -> list[Any]:  # type: ignore[override]
        return enrich(items, **TOLD)


class View(generics.ListAPIView[Any]):
    serializer_class: Any = PinActivitySerializer
    pagination_class: Any = Pages
    renderer_classes = [JSONRenderer]
    authentication_classes: list[Any] = []
    permission_classes: list[Any] = []

    def get_queryset(self) -> Any:
        return Feed('enriched')


class GroupSerializer(serializers.Serializer[Any]):
    activities = PinActivitySerializer(many=True)


class TestRestFramework:
    @pytest.mark.parametrize('pages', [Pages, EnrichingPages, MethodPages])
    def test_a_page(self, pages: Any) -> None:
        Feed('enriched').add_many([loved(number) for number in range(1, 6)])
        with queries(2):
            response = View.as_view(pagination_class=pages)(APIRequestFactory().get('/'))
            results = response.data['results']
        assert [item['actor']['name'] for item in results] == ['user 5', 'user 4', 'user 3']
        assert results[0]['object'] == {'title': 'pin 5', 'author': {'name': 'user 1'}}

    def test_groups(self) -> None:
        feed = Grouped(1)
        feed.add_many([loved(number) for number in range(1, 6)])

        class Groups(View):
            serializer_class = GroupSerializer
            pagination_class = EnrichingPages

            def get_queryset(self) -> Any:
                return feed

        with queries(2):
            data = Groups.as_view()(APIRequestFactory().get('/')).data
        assert [[item['actor']['name'] for item in group['activities']] for group in data['results']] == [
            ['user 5'],
            ['user 4'],
            ['user 3'],
        ]

    def test_one_activity(self) -> None:
        [activity] = flat(loved(1))
        assert PinActivitySerializer(activity).data['actor'] == {'name': 'user 1'}
        with pytest.raises(NotFound):
            _ = PinActivitySerializer(loved(9)).data

    def test_a_list_stays_the_callers(self) -> None:
        page = flat(loved(1), loved(9))
        assert len(PinActivitySerializer(page, many=True).data) == 1
        assert len(page) == 2

    def test_ids_and_times(self) -> None:
        said = ActivitySerializer(loved(1, actor='anna', extra_context={'a': 1})).data
        assert said == {
            'id': str(loved(1, actor='anna').serialization_id),
            'actor': 'anna',
            'verb': 'love',
            'object': 1,
            'target': None,
            'time': '2013-07-08T06:59:16Z',
            'extra_context': {'a': 1},
        }


def test_importing_needs_no_settings() -> None:
    code = (
        'import sys\n'
        'import stream_framework.contrib.django\n'
        'from stream_framework.contrib.django import enrich\n'
        'assert "django" not in sys.modules'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
