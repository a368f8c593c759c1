"""Where the tests' Redis servers come from."""

from __future__ import annotations

import os
import pathlib
import shutil
import stat
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tests.backends import unavailable
from tests.servers import processes, redis_nodes

# Docker, as far as it is asked here: an engine that answers, and a service that is up at the port that the file says.
DOCKER = """#!/bin/sh
case "$*" in
  *" up redis") exec {program} --port $REDIS_PORT --bind 127.0.0.1 --save '' --dir {folder} ;;
  *" down "*) echo down >> {folder}/log ;;
esac
"""


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ('URL', 'HOST', 'PORT', 'CLUSTER'):
        monkeypatch.delenv(f'TEST_REDIS_{name}', raising=False)


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Iterator[Any]:
    def make(script: str) -> None:
        program = tmp_path / 'docker'
        try:
            program.write_text(script.format(program=redis_nodes.server_program(), folder=tmp_path))
        except LookupError as error:
            unavailable(str(error))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv('PATH', f'{tmp_path}:{os.environ["PATH"]}')
        processes.has_docker_engine.cache_clear()

    yield make
    monkeypatch.undo()
    processes.has_docker_engine.cache_clear()


@pytest.mark.parametrize(
    ('variables', 'config'),
    [
        ({'URL': 'redis://:secret@example.com:1234/5'}, {'url': 'redis://:secret@example.com:1234/5'}),
        ({'HOST': 'example.com'}, {'host': 'example.com', 'port': 6379}),
        ({'PORT': '1234'}, {'host': '127.0.0.1', 'port': 1234}),
        ({'HOST': 'example.com', 'PORT': '1234'}, {'host': 'example.com', 'port': 1234}),
    ],
)
def test_the_environment_goes_first(
    monkeypatch: pytest.MonkeyPatch, docker: Any, variables: dict[str, str], config: dict[str, Any]
) -> None:
    docker(DOCKER)
    for name, value in variables.items():
        monkeypatch.setenv(f'TEST_REDIS_{name}', value)
    assert redis_nodes.one.__wrapped__() == config
    assert redis_nodes.given('URL', 'HOST', 'PORT')


def test_a_cluster_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('TEST_REDIS_CLUSTER', 'example.com:7000,example.com:7001')
    assert redis_nodes.cluster.__wrapped__() == {'host': 'example.com', 'port': 7000, 'cluster': True}


def test_docker_compose_goes_second(docker: Any, tmp_path: pathlib.Path) -> None:
    docker(DOCKER)
    config = redis_nodes.one.__wrapped__()
    assert pathlib.Path(redis.Redis(**config).config_get('dir')['dir']) == tmp_path


@pytest.mark.parametrize('script', ['#!/bin/sh\nexit 1\n', '#!/bin/sh\ncase "$*" in *" up redis") exit 1;; esac\n'])
def test_else_a_process_of_this_machine(docker: Any, script: str) -> None:
    docker(script)
    config = redis_nodes.one.__wrapped__()
    assert redis.Redis(**config).ping()
    assert config['host'] == '127.0.0.1'
    assert redis.Redis(**config).config_get('save')['save'] == ''


def test_without_any(docker: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    empty = tmp_path / 'empty'
    empty.mkdir()
    monkeypatch.setenv('PATH', str(empty))
    processes.has_docker_engine.cache_clear()
    redis_nodes.server_program.cache_clear()
    try:
        with pytest.raises(LookupError, match='redis-server'):
            redis_nodes.one.__wrapped__()
    finally:
        monkeypatch.undo()
        redis_nodes.server_program.cache_clear()
    assert shutil.which('redis-server') == redis_nodes.server_program() or shutil.which('valkey-server')
