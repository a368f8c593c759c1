"""The pagination of Django REST framework, through a view as an application writes it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from rest_framework import generics, serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.test import APIRequestFactory

from stream_framework.contrib.django.rest_framework import FeedPagination
from stream_framework.feeds.aggregated_feed.memory import AggregatedFeed
from stream_framework.feeds.memory import Feed
from tests.contracts.support import act, acts
from tests.contrib.test_pagination import BAD, ByObject


class ActivitySerializer(serializers.Serializer[Any]):
    id = serializers.CharField(source='serialization_id')
    actor = serializers.IntegerField(source='actor_id')
    verb = serializers.CharField(source='verb.past_tense')
    object = serializers.IntegerField(source='object_id')


class GroupSerializer(serializers.Serializer[Any]):
    id = serializers.CharField(source='serialization_id')
    name = serializers.CharField(source='group')
    activities = ActivitySerializer(many=True)


class Pages(FeedPagination):
    page_size = 4
    page_size_query_param = 'size'
    max_page_size = 6


class FeedView(generics.ListAPIView[Any]):
    serializer_class = ActivitySerializer
    pagination_class = Pages
    renderer_classes = [JSONRenderer]
    authentication_classes: list[Any] = []
    permission_classes: list[Any] = []

    def get_queryset(self) -> Any:
        return Feed('rest framework')


class GroupedFeed(AggregatedFeed):
    key_format = 'rest framework, grouped:%(user_id)s'
    aggregator_class = ByObject


class GroupsView(FeedView):
    serializer_class = GroupSerializer

    def get_queryset(self) -> Any:
        return GroupedFeed(1)


@pytest.fixture(autouse=True)
def feeds() -> Any:
    Feed('rest framework').add_many(acts(10))
    GroupedFeed(1).add_many([act(n, object=n) for n in range(6)])
    yield
    Feed('rest framework').delete()
    GroupedFeed(1).delete()


def get(url: str, view: Any = FeedView) -> Any:
    return view.as_view()(APIRequestFactory().get(url))


def test_pages() -> None:
    first = get('/feed/').data
    assert [item['object'] for item in first['results']] == [509, 508, 507, 506]
    assert first['results'][0]['id'] == str(act(9).serialization_id)
    assert first['previous'] is None
    assert first['next'] == f'http://testserver/feed/?cursor={act(6).serialization_id}'
    second = get(first['next']).data
    assert [item['object'] for item in second['results']] == [505, 504, 503, 502]
    assert second['previous'] == f'http://testserver/feed/?cursor=prev-{act(5).serialization_id}'
    last = get(second['next']).data
    assert ([item['object'] for item in last['results']], last['next']) == ([501, 500], None)
    assert get(second['previous']).data == first


def test_groups() -> None:
    first = get('/groups/', GroupsView).data
    assert [item['name'] for item in first['results']] == ['object-5', 'object-4', 'object-3', 'object-2']
    second = get(first['next'], GroupsView).data
    assert [item['name'] for item in second['results']] == ['object-1', 'object-0']
    assert [item['object'] for item in second['results'][0]['activities']] == [1]


@pytest.mark.parametrize('cursor', BAD)
def test_a_bad_cursor(cursor: str) -> None:
    request = APIRequestFactory().get('/feed/', {'cursor': cursor})
    response = FeedView.as_view()(request)
    assert response.status_code == 404
    assert 'is no cursor of a feed' in response.data['detail']


@pytest.mark.parametrize('size, shown', [('2', 2), ('6', 6), ('7', 6), ('0', 4), ('x', 4)])
def test_the_size_of_a_page(size: str, shown: int) -> None:
    assert len(get(f'/feed/?size={size}').data['results']) == shown


def test_what_rest_framework_makes_of_it() -> None:
    pagination = Pages()
    view = FeedView()
    request = view.initialize_request(APIRequestFactory().get('/feed/'))
    pagination.paginate_queryset(Feed('rest framework'), request)
    assert '?cursor=' in pagination.get_html_context()['next_url']
    assert [item['name'] for item in pagination.get_schema_operation_parameters(view)] == ['cursor', 'size']
    schema = pagination.get_paginated_response_schema({'type': 'array'})
    assert set(schema['properties']) == {'next', 'previous', 'results'}


def test_the_size_that_the_settings_name() -> None:
    assert FeedPagination().get_page_size() == 25


def test_without_rest_framework() -> None:
    code = (
        'import sys; sys.modules["rest_framework"] = None\n'
        'from django.conf import settings; settings.configure()\n'
        'import stream_framework.contrib.django.rest_framework'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert 'MissingDependencyError' in done.stderr
    assert 'pip install djangorestframework' in done.stderr
