"""Every way into a feed against the one definition of what it holds: :mod:`tests.oracle`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.oracle import machine_of

# Not shrunk: that takes minutes, and the soak does it.
QUICK: dict[str, Any] = {'max_examples': 12, 'stateful_step_count': 40, 'derandomize': True, 'phases': [Phase.generate]}
LONG: dict[str, Any] = {'max_examples': 150, 'stateful_step_count': 60, 'derandomize': False}


def run(backend: Any, **values: Any) -> None:
    if backend.follow_storage_class is None:
        pytest.skip(f'{backend} keeps no follows')
    quiet = settings(deadline=None, suppress_health_check=list(HealthCheck), database=None, print_blob=True, **values)
    run_state_machine_as_test(machine_of(backend), settings=quiet)


def test_a_few_hundred_steps(backend: Any) -> None:
    run(backend, **QUICK)


@pytest.mark.soak
def test_thousands_of_steps(backend: Any) -> None:
    run(backend, **LONG)
