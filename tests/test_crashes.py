"""Workers killed at random moments, the broker restarted, the storage away: every follower's feeds are exact then."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from typing import Any

import pytest

from stream_framework import ledger
from stream_framework.storage.redis import connection
from tests.backends import unavailable
from tests.servers import rabbitmq_nodes, redis_nodes
from tests.workers import crashes

#: Of Kombu's Redis transport, from 5.7 on: a worker looks for orphans each second. Older versions ignore the last two.
ORPHANS = {'visibility_timeout': 10, 'unacked_restore_interval': 1, 'unacked_restore_throttle': 1}


@pytest.fixture(scope='module')
def brokers() -> Iterator[dict[str, Any]]:
    """Brokers that are only ours: they are restarted."""
    started: dict[str, Any] = {}
    try:
        started['redis'] = redis_nodes.LocalRedis()
        started['rabbitmq'] = rabbitmq_nodes.LocalRabbitMQ()
    except LookupError as error:
        for broker in started.values():
            broker.stop()
        unavailable(str(error))
    yield started
    for broker in started.values():
        broker.stop()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Entries are published again soon, and for as long as a round takes."""
    chosen = request.config.getoption('--backend')
    if chosen and 'redis' not in chosen:
        pytest.skip('--backend does not name redis')
    monkeypatch.setattr(ledger, 'ATTEMPTS', 50)
    monkeypatch.setattr(ledger.logger, 'level', logging.ERROR)


@pytest.fixture
def stage(brokers: dict[str, Any], impatient: None) -> Iterator[Any]:
    made: list[crashes.Stage] = []

    def make(broker: str, **options: Any) -> crashes.Stage:
        made.append(crashes.Stage(brokers[broker], options))
        return made[-1]

    yield make
    for one in made:
        one.close()
    connection.reset()


@pytest.mark.parametrize('broker', ['redis', 'rabbitmq'])
def test_workers_are_killed(broker: str, stage: Any) -> None:
    print(crashes.play(stage(broker), seed=1))


def test_the_redis_broker_forgets_everything(stage: Any) -> None:
    one = stage('redis', **ORPHANS)
    crashes.play(one, seed=2, kills=2, event=one.restart_broker)


def test_rabbitmq_is_restarted(stage: Any) -> None:
    one = stage('rabbitmq', confirm_publish=True)
    crashes.play(one, seed=3, kills=2, event=one.restart_broker)


def test_the_storage_is_away(stage: Any) -> None:
    one = stage('redis')
    crashes.play(one, seed=4, kills=2, event=one.storage_away)


@pytest.mark.soak
@pytest.mark.parametrize('number', range(20))
def test_round_after_round(number: int, stage: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Another story each time: printed is its seed, so that one that fails can be told again."""
    seed = random.SystemRandom().randrange(10**9)
    one = stage(['redis', 'rabbitmq'][number % 2], **(ORPHANS if number % 4 == 2 else {}))
    event = [None, one.restart_broker, one.storage_away, None, one.restart_broker][number % 5]
    numbers = crashes.play(one, seed, kills=5, event=event)
    with capsys.disabled():
        print(f'\nround {number}, {type(one.broker).__name__}, {getattr(event, "__name__", "kills alone")}: {numbers}')
