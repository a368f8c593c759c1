"""Public classes and attributes of the backend, as applications of 1.4.0 name, derive from and make them."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip('cassandra')

from cassandra.cqlengine import columns

from stream_framework import settings
from stream_framework.activity import Activity
from stream_framework.feeds.aggregated_feed.cassandra import CassandraAggregatedFeed
from stream_framework.feeds.cassandra import CassandraFeed
from stream_framework.feeds.notification_feed.cassandra import CassandraNotificationFeed
from stream_framework.serializers.cassandra.activity_serializer import CassandraActivitySerializer
from stream_framework.storage.cassandra import models
from stream_framework.storage.cassandra.timeline_storage import CassandraTimelineStorage
from tests.contracts.support import act, acts, ids


@pytest.mark.parametrize(
    ('feed_class', 'table', 'model'),
    [
        (CassandraFeed, 'example', models.Activity),
        (CassandraAggregatedFeed, 'aggregated', models.AggregatedActivity),
        (CassandraNotificationFeed, 'notification', models.NotificationActivity),
    ],
)
def test_feeds_name_a_table_and_its_model(feed_class: Any, table: str, model: Any) -> None:
    assert (feed_class.timeline_cf_name, feed_class.timeline_model) == (table, model)
    assert feed_class.filtering_supported and feed_class.ordering_supported
    options = feed_class.get_timeline_storage_options()
    assert options['modelClass'] is model
    assert options['column_family_name'] == table
    assert options['hosts'] == settings.STREAM_CASSANDRA_HOSTS
    assert options['serializer_class'] is feed_class.timeline_serializer
    assert options['activity_class'] is Activity
    storage = feed_class.get_timeline_storage()
    assert storage.model.__table_name__ == table
    assert issubclass(storage.model, model)


def test_models_have_a_common_base() -> None:
    for model in (models.Activity, models.AggregatedActivity):
        assert issubclass(model, models.BaseActivity)
    assert {'feed_id', 'activity_id'} <= set(models.Activity._columns)


def test_a_storage_by_itself(one: Any) -> None:
    class Own(models.Activity):
        place = columns.Text(required=False)

    storage = CassandraTimelineStorage(CassandraActivitySerializer, Own, column_family_name='own_of_storage')
    assert storage.model is CassandraTimelineStorage.get_model(Own, 'own_of_storage')
    assert issubclass(storage.model, Own)
    one.prepare(type('OwnFeed', (CassandraFeed,), {'timeline_model': Own, 'timeline_cf_name': 'own_of_storage'}))
    storage.add_many('own:1', acts(3))
    assert ids(storage.get_slice('own:1', 0, None)) == ids(acts(3))[::-1]
    assert {row.activity_id for row in storage.model.objects(feed_id='own:1')} == set(ids(acts(3)))
    with storage.get_batch_interface() as batch:
        assert isinstance(batch, storage.Batch)
        storage.add('own:1', act(5), batch_interface=batch)
    assert storage.count('own:1') == 4
    storage.delete('own:1')


@pytest.mark.parametrize('own', [False, True])
def test_an_activity_serializer_that_makes_rows(one: Any, own: bool) -> None:
    """1.4.0 raised ``TypeError`` where a feed named one: the serializer got no model."""

    class Own(CassandraActivitySerializer):
        pass

    feed_class = one.flat(activity_serializer=Own if own else CassandraActivitySerializer)
    serializer = feed_class.get_activity_storage().serializer
    assert issubclass(serializer.model, models.Activity)
    feed_class.insert_activities(acts(2))
    feed = feed_class(1)
    feed.add_many(acts(3))
    assert ids(feed[:]) == ids(acts(3))[::-1]
    feed_class.remove_activity(act(1))
    feed.delete()
