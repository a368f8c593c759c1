"""What people do: each is a row in the database, and then an activity in feeds.

In this order: a worker must find the row. Where a view runs in a transaction (``ATOMIC_REQUESTS``), publish when that
has ended: ``transaction.on_commit(lambda: manager.add_user_activity(...))``.
"""

from __future__ import annotations

import datetime

from django.core.exceptions import ValidationError
from django.utils import timezone

from pins import activities
from pins.managers import manager
from pins.models import Comment, Follow, Love, Person, Pin
from stream_framework.feed_managers.base import remove_operation


def pin(author: Person, title: str, board: str, note: str = '', created_at: datetime.datetime | None = None) -> Pin:
    """Put something on a board."""
    made = Pin.objects.create(
        author=author, title=title, board=board, note=note, created_at=created_at or timezone.now()
    )
    manager.add_user_activity(author.pk, activities.of_pin(made))
    return made


def unpin(pinned: Pin) -> None:
    """Take it off the board, and what others did to it out of all feeds."""
    for love in pinned.loves.select_related('pin'):
        manager.remove_user_activity(love.person_id, activities.of_love(love))
    for comment in pinned.comments.select_related('pin'):
        manager.remove_user_activity(comment.person_id, activities.of_comment(comment))
    manager.remove_user_activity(pinned.author_id, activities.of_pin(pinned))
    pinned.delete()


def love(person: Person, pinned: Pin, created_at: datetime.datetime | None = None) -> Love:
    """Love a pin; once is enough."""
    made, new = Love.objects.get_or_create(
        person=person, pin=pinned, defaults={'created_at': created_at or timezone.now()}
    )
    if new:
        manager.add_user_activity(person.pk, activities.of_love(made))
    return made


def unlove(person: Person, pinned: Pin) -> None:
    """Love it no longer."""
    for made in Love.objects.filter(person=person, pin=pinned).select_related('pin'):
        manager.remove_user_activity(person.pk, activities.of_love(made))
        made.delete()


def comment(person: Person, pinned: Pin, text: str, created_at: datetime.datetime | None = None) -> Comment:
    """Say something about a pin."""
    made = Comment.objects.create(person=person, pin=pinned, text=text, created_at=created_at or timezone.now())
    manager.add_user_activity(person.pk, activities.of_comment(made))
    return made


def follow(follower: Person, followed: Person, created_at: datetime.datetime | None = None) -> None:
    """Follow somebody: one's feeds get what that person did before.

    :raises ValidationError: for oneself
    """
    if follower.pk == followed.pk:
        raise ValidationError('You can not follow yourself.')
    made, new = Follow.objects.get_or_create(
        follower=follower, followed=followed, defaults={'created_at': created_at or timezone.now()}
    )
    if new:
        manager.follow_user(follower.pk, followed.pk)
        manager.notify(activities.of_follow(made))


def unfollow(follower: Person, followed: Person) -> None:
    """Follow somebody no longer: one's feeds lose what that person did."""
    for made in Follow.objects.filter(follower=follower, followed=followed):
        made.delete()
        manager.unfollow_user(follower.pk, followed.pk)
        manager.notify(activities.of_follow(made), remove_operation)
