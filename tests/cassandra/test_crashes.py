"""Workers killed at random moments, with feeds on Cassandra and a broker that is Redis: every feed is exact then."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import uuid
from typing import Any

import pytest

from tests.servers import processes


def play(one: Any, seed: int) -> str:
    done = subprocess.run(
        [sys.executable, '-m', 'tests.workers.crashes', json.dumps(one.settings()), str(seed)],
        env={**os.environ, 'FEEDS_BACKEND': 'cassandra', 'FEEDS_RUN': uuid.uuid4().hex[:8]},
        cwd=processes.ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return done.stdout


def test_workers_are_killed(one: Any) -> None:
    play(one, seed=5)


@pytest.mark.soak
@pytest.mark.parametrize('number', range(5))
def test_round_after_round(number: int, one: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Another story each time, with its seed printed."""
    said = play(one, random.SystemRandom().randrange(10**9))
    with capsys.disabled():
        print(f'\nround {number} on Cassandra: {said.strip()}')
