"""What ``python -m build`` makes installs into an empty environment, and is complete there."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import tarfile
import zipfile
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).parent.parent

_IMPORT_ALL = """
import pkgutil, sys, warnings
import stream_framework
warnings.simplefilter('ignore')
missing = []
for module in pkgutil.walk_packages(stream_framework.__path__, 'stream_framework.'):
    if module.name.endswith('__main__'):
        continue
    try:
        __import__(module.name)
    except ImportError as error:
        missing.append(module.name)
        wanted = 'django' if '.contrib.' in module.name else 'stream-framework[cassandra]'
        assert f'pip install {wanted}' in str(error), (module.name, error)
assert all('cassandra' in name or '.contrib.django.' in name for name in missing), missing
assert not {'redis', 'cassandra', 'django', 'statsd'} & set(sys.modules)
print(stream_framework.__version__, stream_framework.__file__)
"""


def run(*command: Any, **kwargs: Any) -> str:
    env = {name: value for name, value in os.environ.items() if name not in ('PYTHONPATH', 'PIP_REQUIRE_VIRTUALENV')}
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=env, **kwargs)
    assert done.returncode == 0, f'{command}: {done.stdout}\n{done.stderr}'
    return done.stdout


@pytest.fixture(scope='module')
def built(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with an sdist, and the wheel that is made of it."""
    pytest.importorskip('build')
    folder = tmp_path_factory.mktemp('dist')
    tree = tmp_path_factory.mktemp('tree') / 'project'
    # A copy, without what an earlier build may have left: setuptools would put that into the wheel.
    names = ['stream_framework', 'setup.py', 'setup.cfg', 'pyproject.toml', 'README.md', 'LICENSE']
    tree.mkdir()
    run('cp', '-R', *(ROOT / name for name in names), tree)
    run(sys.executable, '-m', 'build', '--outdir', folder, tree)
    return folder


def test_both_hold_everything(built: pathlib.Path) -> None:
    files = {
        str(path.relative_to(ROOT))
        for path in (ROOT / 'stream_framework').rglob('*')
        if path.is_file() and path.suffix in ('.py', '.lua', '.typed')
    }
    (wheel,) = built.glob('stream_framework-*-py3-none-any.whl')
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = {name for name in archive.namelist() if '.dist-info/' not in name}
    assert in_wheel == files
    (sdist,) = built.glob('stream_framework-*.tar.gz')
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition('/')[2] for name in archive.getnames()}
    assert files <= in_sdist
    assert {'LICENSE', 'README.md', 'setup.py', 'setup.cfg', 'pyproject.toml'} <= in_sdist


def test_the_wheel_in_an_empty_environment(built: pathlib.Path, tmp_path: pathlib.Path) -> None:
    run(sys.executable, '-m', 'venv', tmp_path / 'venv')
    python = tmp_path / 'venv' / 'bin' / 'python'
    (wheel,) = built.glob('*.whl')
    run(python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', wheel)
    version, file = run(python, '-c', _IMPORT_ALL, cwd=tmp_path).split()
    assert version == '2.0.0'
    assert str(tmp_path) in file
    extras = run(
        python, '-c', 'import importlib.metadata as m; print(m.metadata("stream_framework").get_all("Provides-Extra"))'
    )
    for extra in ('redis', 'cassandra', 'statsd', 'python-statsd', 'pinboard', 'test', 'docs'):
        assert f"'{extra}'" in extras
