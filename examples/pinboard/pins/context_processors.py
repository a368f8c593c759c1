"""What every page shows."""

from __future__ import annotations

from typing import Any

from pins.managers import manager


def notifications(request: Any) -> dict[str, Any]:
    """The badge in the header: how many notifications are unseen. One round trip to Redis."""
    if not request.user.is_authenticated:
        return {}
    return {'unseen_count': manager.get_notifications(request.user.pk).count_unseen()}
