"""What templates need besides Django's own."""

from __future__ import annotations

import datetime

from django import template
from django.utils import timezone

register = template.Library()


@register.filter
def ago(time: datetime.datetime) -> str:
    """How long ago something was: ``'now'``, ``'5 min'``, ``'3 h'``, ``'2 d'``.

    :param time: an aware time, or a naive one in UTC, as activities hold
    """
    if time.tzinfo is None:
        time = time.replace(tzinfo=datetime.timezone.utc)
    seconds = (timezone.now() - time).total_seconds()
    for unit, length in (('d', 86400), ('h', 3600), ('min', 60)):
        if seconds >= length:
            return f'{int(seconds // length)} {unit}'
    return 'now'
