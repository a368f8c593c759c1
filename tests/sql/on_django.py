"""``python -m tests.sql.on_django URL SCHEMA``: ``transaction('default')`` on a database of Django's."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import django
from django.conf import settings
from sqlalchemy.engine import make_url


def configure(url: Any, schema: str) -> None:
    """Have Django and the feeds use one database."""
    if url.get_backend_name() == 'sqlite':
        database: dict[str, Any] = {'ENGINE': 'django.db.backends.sqlite3', 'NAME': url.database}
    else:
        database = {
            'ENGINE': 'django.db.backends.postgresql',
            'NAME': url.database,
            'USER': url.username,
            'PASSWORD': url.password,
            'HOST': url.host,
            'PORT': url.port,
        }
    settings.configure(
        DATABASES={'default': database},
        STREAM_SQL_URL=url.render_as_string(hide_password=False),
        STREAM_SQL_SCHEMA=schema or None,
        USE_TZ=True,
    )
    django.setup()


def main(url: str, schema: str) -> None:
    configure(make_url(url), schema)
    from django.db import connection, transaction

    from stream_framework import tasks
    from stream_framework.storage.sql import transaction as in_transaction
    from tests.contracts.support import act
    from tests.sql.support import FOLLOWERS, FlatManager, UserFeed

    published: list[Any] = []
    tasks.StreamTask.__mro__[1].apply_async = lambda task, args, kwargs, *rest, **options: published.append(kwargs)
    FOLLOWERS[13] = [1, 2]
    manager = FlatManager()
    with connection.cursor() as cursor:
        cursor.execute('DROP TABLE IF EXISTS pins')
        cursor.execute('CREATE TABLE pins (id integer)')

    def pin(number: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute('INSERT INTO pins VALUES (%s)', [number])
        with in_transaction('default'):
            manager.add_user_activity(13, act(number, actor=13))

    def state() -> tuple[int, int, int]:
        with connection.cursor() as cursor:
            cursor.execute('SELECT count(*) FROM pins')
            [pins] = cursor.fetchone()
        with in_transaction('default'):
            within = len(UserFeed(13)[:50])
        return pins, within, len(published)

    # On SQLite this makes the tables, in Django's transaction.
    with transaction.atomic():
        pin(1)
        assert state() == (1, 1, 0), state()
    assert state() == (1, 1, 1), state()
    assert len(UserFeed(13)[:50]) == 1
    with contextlib.suppress(ZeroDivisionError), transaction.atomic():
        pin(2)
        raise ZeroDivisionError
    assert state() == (1, 1, 1), state()
    with transaction.atomic():
        with contextlib.suppress(ZeroDivisionError), transaction.atomic():
            pin(3)
            raise ZeroDivisionError
        with transaction.atomic():
            pin(4)
    assert state() == (2, 2, 2), state()
    # Without a transaction of Django's the block is one.
    with contextlib.suppress(ZeroDivisionError), in_transaction('default'):
        manager.add_user_activity(13, act(5, actor=13))
        raise ZeroDivisionError
    assert state() == (2, 2, 2), state()
    with in_transaction('default'):
        manager.add_user_activity(13, act(6, actor=13))
        assert len(published) == 2
    assert state() == (2, 3, 3), state()
    print('all is well')


if __name__ == '__main__':
    main(*sys.argv[1:])
