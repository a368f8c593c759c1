"""Pages of a feed for Django REST framework: by a cursor, which is the id of the last item on the page.

What a cursor is, and how it behaves while the feed changes, says :mod:`stream_framework.contrib.django.pagination`.
A view's ``get_queryset`` returns the feed::

    class PinActivitySerializer(ActivitySerializer):
        actor = UserSerializer()
        object = PinSerializer()
        enrich = {'actor': User, 'object': {Pin: Pin.objects.select_related('board')}}


    class FeedView(generics.ListAPIView):
        serializer_class = PinActivitySerializer
        pagination_class = FeedPagination

        def get_queryset(self):
            return manager.get_feeds(self.request.user.id)['normal']

Users and pins are looked up by one query each for a page, see :func:`stream_framework.contrib.django.enrich`.
The response is ``{"next": URL or null, "previous": URL or null, "results": [...]}``.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from stream_framework.contrib.django.enriching import enrich
from stream_framework.contrib.django.pagination import Enrich, FeedPage, FeedPaginator, InvalidCursor
from stream_framework.exceptions import MissingDependencyError

try:
    from django.template import loader
    from rest_framework import serializers
    from rest_framework.exceptions import NotFound
    from rest_framework.pagination import BasePagination
    from rest_framework.response import Response
    from rest_framework.settings import api_settings
except ImportError as error:
    raise MissingDependencyError(
        'stream_framework.contrib.django.rest_framework needs Django REST framework, which is not installed: '
        'pip install djangorestframework'
    ) from error


class FeedPagination(BasePagination):
    """``pagination_class`` of a view whose ``get_queryset`` returns a feed.

    A bad cursor gives 404, as with REST framework's own paginations.
    """

    #: How many items a page has; ``None``: what ``PAGE_SIZE`` of REST framework's settings says, or 25.
    page_size: int | None = None
    #: The name of the cursor in the query.
    cursor_query_param = 'cursor'
    #: The name of the page size in the query; ``None``: requests can't choose it.
    page_size_query_param: str | None = None
    #: How many items a request may ask for.
    max_page_size: int = 100
    #: What :func:`~stream_framework.contrib.django.enrich` is told, ``{'actor': User}``; or override it with a method
    #: that takes the list of what is on a page and returns what is to be shown.
    enrich: Enrich | None = None
    #: What the browsable API draws the links with.
    template = 'rest_framework/pagination/previous_and_next.html'

    page: FeedPage[Any]

    def get_page_size(self) -> int:
        """How many items a page has, unless the request says otherwise."""
        return self.page_size or api_settings.PAGE_SIZE or 25

    def paginate_queryset(self, queryset: Any, request: Any, view: Any = None) -> list[Any]:
        """The items of the page that the request asks for.

        :param queryset: the feed
        :raises NotFound: for a bad cursor
        """
        page_size = self.get_page_size()
        paginator = FeedPaginator(
            queryset,
            page_size,
            max_per_page=max(self.max_page_size, page_size),
            cursor_param=self.cursor_query_param,
            size_param=self.page_size_query_param,
            enrich=self.enrich,
        )
        try:
            self.page = paginator.page_at(request.build_absolute_uri(), request.query_params)
        except InvalidCursor as error:
            raise NotFound(str(error)) from error
        self.display_page_controls = self.page.has_other_pages() and self.template is not None
        return self.page.object_list

    def get_paginated_response(self, data: Any) -> Any:
        """``next``, ``previous`` and ``results``."""
        return Response({'next': self.page.next_url, 'previous': self.page.previous_url, 'results': data})

    def get_paginated_response_schema(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """The same, for OpenAPI."""
        link = {'type': 'string', 'nullable': True, 'format': 'uri'}
        return {
            'type': 'object',
            'required': ['results'],
            'properties': {'next': link, 'previous': link, 'results': schema},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """The parameters of the query, for OpenAPI."""
        described = {self.cursor_query_param: ('string', 'Where the page begins: take it from next or previous.')}
        if self.page_size_query_param is not None:
            described[self.page_size_query_param] = ('integer', f'Items on a page, at most {self.max_page_size}.')
        return [
            {'name': name, 'required': False, 'in': 'query', 'description': text, 'schema': {'type': kind}}
            for name, (kind, text) in described.items()
        ]

    def get_html_context(self) -> dict[str, Any]:
        """What the template of the browsable API gets."""
        return {'previous_url': self.page.previous_url, 'next_url': self.page.next_url}

    def to_html(self) -> str:
        """The links of the browsable API."""
        return loader.get_template(self.template).render(self.get_html_context())


class EnrichingListSerializer(serializers.ListSerializer):
    """Looks up what all items name, before the first one is shown: the list of a :class:`ActivitySerializer`."""

    def to_representation(self, data: Any) -> list[Any]:
        """The items, but for those that name what is gone."""
        items = data if isinstance(data, list) else list(data)
        told = self.child.enrich
        # A list of its own: what is left out stays in the caller's.
        return super().to_representation(enrich(list(items), **told) if told else items)


class ActivitySerializer(serializers.Serializer):
    """An activity: ``id``, ``actor``, ``verb``, ``object``, ``target``, ``time`` and ``extra_context``.

    Actor, object and target are ids. A subclass that shows the rows names a serializer for them, and in ``enrich``
    where they are looked up. Its own ``Meta`` derives from this one.
    """

    class Meta:
        """How many are shown at once."""

        list_serializer_class = EnrichingListSerializer

    #: What :func:`~stream_framework.contrib.django.enrich` is told: ``{'actor': User, 'object': {Pin: Pin.objects}}``.
    enrich: Mapping[str, Any] | None = None

    #: As text, since JavaScript's numbers are too short.
    id = serializers.CharField(source='serialization_id', read_only=True)
    actor = serializers.ReadOnlyField(source='actor_id')
    verb = serializers.CharField(source='verb.infinitive', read_only=True)
    object = serializers.ReadOnlyField(source='object_id')
    target = serializers.ReadOnlyField(source='target_id')
    # The times of activities are naive UTC; REST framework takes naive ones for its own time zone.
    time = serializers.DateTimeField(default_timezone=datetime.timezone.utc, read_only=True)
    extra_context = serializers.ReadOnlyField()

    def to_representation(self, instance: Any) -> Any:
        """The activity.

        :raises NotFound: where it names what is gone
        """
        # In a list this has been done for all of them, and costs no query any more.
        if self.enrich and not enrich([instance], **self.enrich):
            raise NotFound(f'activity {instance.serialization_id} names what is gone')
        return super().to_representation(instance)
