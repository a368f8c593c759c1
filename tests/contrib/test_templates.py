"""Django's templates show nothing where an activity knows only an id."""

from __future__ import annotations

from typing import Any

import pytest

from stream_framework.activity import Activity, AggregatedActivity, NotificationActivity
from stream_framework.feeds.memory import Feed
from stream_framework.feeds.notification_feed.memory import NotificationFeed
from stream_framework.verbs import Love
from tests.contracts.support import act
from tests.contrib import configure_django

configure_django()
template = pytest.importorskip('django.template')


class Pin(Activity):
    """An activity of the application."""


class Person:
    id, name = 5, 'anna'


def render(text: str, **context: Any) -> str:
    engine = template.Engine(string_if_invalid=context.pop('string_if_invalid', ''))
    return str(engine.from_string(text).render(template.Context(context)))


@pytest.mark.parametrize('cls', [Activity, Pin])
@pytest.mark.parametrize('name', ['actor', 'object', 'target'])
class TestIdsOnly:
    def test_nothing(self, cls: Any, name: str) -> None:
        activity = act(1, target=3, cls=cls)
        assert render(f'[{{{{ a.{name} }}}}{{{{ a.{name}.name }}}}]', a=activity) == '[]'
        assert render(f'{{{{ a.{name}_id }}}}', a=activity) == str(getattr(activity, f'{name}_id'))

    def test_the_stand_in(self, cls: Any, name: str) -> None:
        assert render(f'{{{{ a.{name} }}}}', a=act(1, target=3, cls=cls), string_if_invalid='?') == '?'

    def test_tags_and_filters(self, cls: Any, name: str) -> None:
        activity = act(1, target=3, cls=cls)
        assert render(f'{{% if a.{name} %}}yes{{% else %}}no{{% endif %}}', a=activity) == 'no'
        assert render(f'{{{{ a.{name}|default:"somebody" }}}}', a=activity) == 'somebody'
        assert render(f'{{% with x=a.{name}.name %}}[{{{{ x }}}}]{{% endwith %}}', a=activity) == '[]'

    def test_in_groups(self, cls: Any, name: str) -> None:
        for group_class in (AggregatedActivity, NotificationActivity):
            group = group_class('g', [act(1, target=3, cls=cls)])
            text = f'{{% for a in group.activities %}}[{{{{ a.{name}.name }}}}]{{% endfor %}}'
            assert render(text + f'{{{{ group.last_activity.{name} }}}}', group=group) == '[]'


def test_what_is_read_from_feeds() -> None:
    for feed_class in (Feed, NotificationFeed):
        feed = type('Own', (feed_class,), {'key_format': 'templates:%(user_id)s'})(1)
        feed.add(act(1))
        activity = getattr(feed[0][0], 'activities', feed[0])[0]
        assert render('[{{ a.actor.name }}]', a=activity) == '[]'
        feed.delete()


def test_objects_that_are_there() -> None:
    assert render('{{ a.actor.name }} {{ a.verb.past_tense }}', a=Activity(Person(), Love, 1)) == 'anna loved'
    assert render('[{{ a.actor.name }}]', a=Activity(None, Love, 1)) == '[]'
