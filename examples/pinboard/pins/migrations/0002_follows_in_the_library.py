"""The library keeps who follows whom: the rows are copied, then the table goes.

The storage is named here as it was then, since a migration must do the same whatever the manager becomes.
"""

from __future__ import annotations

import datetime
from typing import Any

from django.db import migrations

from pins.activities import of_follow
from pins.backends import FollowStorage
from pins.feeds import UserFeed


def copy(apps: Any, schema_editor: Any) -> None:
    """Copy the rows, and what was not among the activities of a person until now: whom he followed."""
    rows = apps.get_model('pins', 'Follow').objects.order_by('follower_id')
    follows = rows.values_list('follower_id', 'followed_id', 'created_at')
    FollowStorage('follow').import_follows(follows.iterator())
    for follower_id, followed_id, created_at in follows.iterator():
        UserFeed(follower_id).add(of_follow(follower_id, followed_id, created_at))


def copy_back(apps: Any, schema_editor: Any) -> None:
    """Write the rows again from what the library keeps."""
    storage, model = FollowStorage('follow'), apps.get_model('pins', 'Follow')
    for person_id in apps.get_model('pins', 'Person').objects.values_list('pk', flat=True):
        model.objects.bulk_create(
            model(
                follower_id=person_id,
                followed_id=follow.target_id,
                created_at=follow.since.replace(tzinfo=datetime.timezone.utc),
            )
            for follow in storage.get_followed(person_id, limit=1_000_000)
        )


class Migration(migrations.Migration):
    """Safe to run again after a crash: what was copied already stays as it is."""

    dependencies = [('pins', '0001_initial')]

    operations = [
        migrations.RunPython(copy, copy_back),
        migrations.DeleteModel(name='Follow'),
    ]
