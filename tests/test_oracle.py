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


#: Keywords of :func:`~tests.oracle.machine_of`.
KINDS = {'by the storage': {}, 'by a hook': {'has_hook': True}, 'in a worker': {'in_worker': True}}


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> dict[str, bool]:
    return KINDS[request.param]


def run(backend: Any, kind: dict[str, bool], **values: Any) -> None:
    if backend.follow_storage_class is None:
        pytest.skip(f'{backend} keeps no follows')
    quiet = settings(deadline=None, suppress_health_check=list(HealthCheck), database=None, print_blob=True, **values)
    run_state_machine_as_test(machine_of(backend, **kind), settings=quiet)


def test_a_few_hundred_steps(backend: Any, kind: dict[str, bool]) -> None:
    run(backend, kind, **QUICK)


@pytest.mark.soak
def test_thousands_of_steps(backend: Any, kind: dict[str, bool]) -> None:
    run(backend, kind, **LONG)
