"""What people do: each is a row in the database, and then an activity in feeds.

In this order, because a worker must find the row. Where a view runs in a transaction (``ATOMIC_REQUESTS``), publish
when that has ended: ``transaction.on_commit(lambda: manager.add_user_activity(...))``.
"""

from __future__ import annotations

import datetime

from django.core.exceptions import ValidationError
from django.utils import timezone

from pins import activities
from pins.managers import manager
from pins.models import Comment, Love, Person, Pin
from pins.verbs import Follow
from stream_framework.feed_managers.base import FanoutPriority


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


def follow(follower: Person, followed: Person) -> None:
    """Follow somebody: one's feeds get what that person did before.

    :raises ValidationError: for oneself, and where one has blocked the other
    """
    if follower.pk == followed.pk:
        raise ValidationError('You can not follow yourself.')
    if manager.is_blocked(follower.pk, followed.pk):
        raise ValidationError(f'There is a block between you and {followed.name}.')
    if not manager.is_following(follower.pk, [followed.pk]):
        manager.follow_user(follower.pk, followed.pk)
        manager.add_user_activity(follower.pk, activities.of_follow(follower.pk, followed.pk, timezone.now()))


def unfollow(follower: Person, followed: Person) -> None:
    """Follow somebody no longer: one's feeds lose what that person did."""
    # Nothing here says when it was: it is found in the user feed.
    manager.remove_object(follower.pk, followed.pk, verb=Follow)
    manager.unfollow_user(follower.pk, followed.pk)


def mute(person: Person, other: Person) -> None:
    """Hide what somebody does, and follow on."""
    _check_is_other(person, other, 'mute')
    manager.mute_user(person.pk, other.pk)


def unmute(person: Person, other: Person) -> None:
    """Show it again: what that person did meanwhile comes, too."""
    manager.unmute_user(person.pk, other.pk)


def block(person: Person, other: Person) -> None:
    """Hide two people from each other, and let neither follow the other."""
    _check_is_other(person, other, 'block')
    for one, two in ((person, other), (other, person)):
        manager.remove_object(one.pk, two.pk, verb=Follow)
    manager.block_user(person.pk, other.pk)


def unblock(person: Person, other: Person) -> None:
    """End a block. The follows that it ended stay ended."""
    manager.unblock_user(person.pk, other.pk)


def erase(person: Person) -> None:
    """Delete an account, with all that it did, and all that others did to it. Where this dies, do it again."""
    for pinned in person.pins.all():
        unpin(pinned)
    for follower_id in list(manager.get_user_follower_ids(user_id=person.pk)[FanoutPriority.HIGH]):
        manager.remove_object(follower_id, person.pk, verb=Follow)
    manager.erase_user(person.pk)
    person.delete()


def _check_is_other(person: Person, other: Person, what: str) -> None:
    if person.pk == other.pk:
        raise ValidationError(f'You can not {what} yourself.')
