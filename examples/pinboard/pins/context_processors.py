"""What every page shows."""

from __future__ import annotations

from typing import Any

from pins.managers import manager


def news(request: Any) -> dict[str, Any]:
    """What is new: how many notifications are unseen, and how much is new in each feed. Two round trips."""
    if not request.user.is_authenticated:
        return {}
    notifications = manager.get_feeds(request.user.pk)['notifications']
    return {'unseen_count': notifications.count_unseen(), 'new_counts': manager.count_new(request.user.pk)}
