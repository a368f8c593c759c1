"""The application's own tables. Feeds are made from them; who follows whom is kept by the library."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.urls import reverse
from django.utils import timezone

#: Boards, and the colours of the pictures on them: hues of background and foreground.
BOARDS = {
    'mountains': (210, 265),
    'sea': (190, 215),
    'tea': (28, 8),
    'city': (250, 330),
    'garden': (95, 150),
    'ceramics': (18, 45),
}


class Person(AbstractUser):
    """An account."""

    bio = models.CharField(max_length=200, blank=True)
    #: The hue of the avatar, 0 to 359.
    hue = models.PositiveSmallIntegerField(default=0)

    @property
    def name(self) -> str:
        """What is shown."""
        return str(self.first_name or self.username)

    def get_absolute_url(self) -> str:
        """The profile."""
        return str(reverse('profile', args=[self.username]))


class Pin(models.Model):
    """Something that somebody put on a board."""

    author = models.ForeignKey(Person, models.CASCADE, related_name='pins')
    title = models.CharField(max_length=80)
    note = models.CharField(max_length=280, blank=True)
    board = models.CharField(max_length=20, choices=[(name, name.capitalize()) for name in BOARDS])
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ('-created_at', '-id')
        indexes = (models.Index(fields=['author', '-created_at']),)

    def __str__(self) -> str:
        return str(self.title)

    def get_absolute_url(self) -> str:
        """Its page."""
        return str(reverse('pin', args=[self.pk]))


class Love(models.Model):
    """Somebody loves a pin."""

    person = models.ForeignKey(Person, models.CASCADE, related_name='loves')
    pin = models.ForeignKey(Pin, models.CASCADE, related_name='loves')
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = (models.UniqueConstraint(fields=['person', 'pin'], name='loves_once'),)


class Comment(models.Model):
    """Somebody said something about a pin."""

    person = models.ForeignKey(Person, models.CASCADE, related_name='comments')
    pin = models.ForeignKey(Pin, models.CASCADE, related_name='comments')
    text = models.CharField(max_length=280)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ('created_at', 'id')
