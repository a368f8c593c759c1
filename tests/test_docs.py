"""What the documentation says runs, is importable, and is complete.

How a page in ``docs/`` is run, in a folder and a process of its own:

- Examples with ``>>>`` are doctests, of one namespace for each page, those in comments included.
- ``.. needs: redis`` (or ``cassandra``) anywhere on the page starts a server, and names it in the environment.
- A code block with the caption ``myapp/feeds.py`` makes that file; the page's examples may import it.
- The comment ``.. run`` above a console block runs its lines that begin with ``$``, before the examples, and compares
  what they print with the lines below them.
- Every other code block has to say why it isn't run: ``.. not run: it needs a broker``.
"""

from __future__ import annotations

import doctest
import importlib
import json
import os
import pathlib
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from stream_framework import settings
from tests.backends import RUN, server, unavailable
from tests.contrib import configure_django

# What is for Django REST framework can be imported only then.
configure_django()

ROOT = pathlib.Path(__file__).parent.parent
PAGES = sorted((ROOT / 'docs').glob('*.rst'))
NAMES = [page.name for page in PAGES]

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
RUN_PAGE = f"""
import doctest, sys
sys.exit(bool(doctest.testfile(sys.argv[1], module_relative=False, optionflags={FLAGS}).failed))
"""


class Block(NamedTuple):
    """A code block, the comments right above it, and under ``file`` its caption."""

    line: int
    language: str
    text: str
    notes: dict[str, str]


def blocks_of(page: pathlib.Path) -> Iterator[Block]:
    """The code blocks of a page that are no doctests."""
    lines = page.read_text().splitlines()
    notes: dict[str, str] = {}
    paragraph = False
    for number, line in enumerate(lines):
        note = re.fullmatch(r' *\.\. (run|not run)(?:: (.+))?', line)
        if note:
            notes[note[1]] = note[2] or ''
            continue
        found = re.fullmatch(r'( *)\.\. code-block:: *(\S+)', line)
        # A paragraph that ends with two colons is followed by a literal block.
        literal = re.fullmatch(r'( *)(?!\.\. )(\S.*)?::', line)
        if found or literal:
            indent = len((found or literal)[1])  # type: ignore[index]
            body = []
            for following in lines[number + 1 :]:
                if following.strip() and len(following) - len(following.lstrip()) <= indent:
                    break
                body.append(following)
            text = textwrap.dedent('\n'.join(body)).strip('\n') + '\n'
            options = re.match(r'(:\w+:.*\n)*', text)[0] if found else ''  # type: ignore[index]
            text = text[len(options) :].strip('\n') + '\n'
            if caption := re.search(r'^:caption: (\S+)$', options, re.MULTILINE):
                notes['file'] = caption[1]
            yield Block(number + 1, found[2] if found else 'literal', text, notes)
            notes, paragraph = {}, False
        elif line.strip() and not line.strip().startswith('..'):
            paragraph = True
        elif paragraph:
            # What is noted is about the paragraph below, which may end with a literal block, and no other.
            notes, paragraph = {}, False


@pytest.fixture
def environment(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[dict[str, str]]:
    """What a page finds in the environment, with the servers that it needs."""
    page = request.getfixturevalue('page')
    env = {name: value for name, value in os.environ.items() if not name.startswith(('STREAM_', 'DJANGO_', 'SQLITE_'))}
    env |= {
        'PATH': f'{pathlib.Path(sys.executable).parent}{os.pathsep}{env.get("PATH", "")}',
        'PYTHONPATH': f'{tmp_path}{os.pathsep}{ROOT}',
        'PYTHONWARNINGS': 'ignore',
        'PROJECT': str(ROOT),
    }
    needs = set(re.findall(r'^\.\. needs: (\w+)$', page.read_text(), re.MULTILINE))
    if 'redis' in needs:
        pytest.importorskip('redis')
        from tests.servers import redis_nodes

        try:
            own = redis_nodes.LocalRedis()
        except LookupError as error:
            unavailable(str(error))
        request.addfinalizer(own.stop)
        env['STREAM_REDIS_URL'] = f'redis://{own.host}:{own.port}'
    if 'cassandra' in needs:
        pytest.importorskip('cassandra')
        from tests.servers import cassandra_nodes

        found = server('cassandra')
        hosts, port = found['STREAM_CASSANDRA_HOSTS'], found['CASSANDRA_DRIVER_KWARGS']['port']
        keyspace = f'docs_{RUN}'
        env['STREAM_CASSANDRA_HOSTS'] = ','.join(f'{host}:{port}' for host in hosts)
        env['STREAM_DEFAULT_KEYSPACE'] = keyspace
        drop = f'DROP KEYSPACE IF EXISTS {keyspace}'
        request.addfinalizer(lambda: cassandra_nodes.execute(hosts, port, drop))
    yield env


@pytest.mark.parametrize('page', PAGES, ids=NAMES)
def test_the_examples_of(page: pathlib.Path, environment: dict[str, str], tmp_path: pathlib.Path) -> None:
    blocks = list(blocks_of(page))
    for block in blocks:
        if name := block.notes.get('file'):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
    for block in blocks:
        if 'run' in block.notes:
            for command, expected in commands_of(block):
                run(page, block, command, expected, environment, tmp_path)
    # In a process of its own: examples register verbs and make a Celery application.
    done = subprocess.run(
        [sys.executable, '-c', RUN_PAGE, str(page)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, f'{done.stdout}{done.stderr}'


def commands_of(block: Block) -> Iterator[tuple[str, str]]:
    """Each command, and what it is said to print."""
    for part in re.split(r'^\$ ', block.text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition('\n')
        yield command, expected.rstrip('\n')


def run(
    page: pathlib.Path, block: Block, command: str, expected: str, env: dict[str, str], folder: pathlib.Path
) -> None:
    done = subprocess.run(
        ['bash', '-c', command], cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    said = done.stdout + done.stderr
    where = f'{page.name}, line {block.line}: $ {command}\n'
    if expected:
        assert doctest.OutputChecker().check_output(expected + '\n', said, FLAGS), f'{where}{said}'
    else:
        assert done.returncode == 0, f'{where}{said}'


@pytest.mark.parametrize('page', PAGES, ids=NAMES)
def test_every_code_block_runs_or_says_why_not_in(page: pathlib.Path) -> None:
    for block in blocks_of(page):
        if '>>> ' in block.text:
            continue
        runs = 'file' in block.notes or ('run' in block.notes and block.language == 'console')
        assert runs or block.notes.get('not run'), f'{page.name}, line {block.line}: neither runs nor says why not'
        if block.notes.get('file', '').endswith('.py'):
            compile(block.text, block.notes['file'], 'exec')


@pytest.mark.parametrize('page', PAGES, ids=NAMES)
def test_what_is_imported_in(page: pathlib.Path) -> None:
    text = page.read_text()
    for module, names in re.findall(r'^[> ]*from (stream_framework[\w.]*) import ([\w, ]+)$', text, re.MULTILINE):
        if '.cassandra' in module:
            pytest.importorskip('cassandra')
        imported = importlib.import_module(module)
        for name in names.split(','):
            name = name.partition(' as ')[0]
            if not hasattr(imported, name.strip()):
                importlib.import_module(f'{module}.{name.strip()}')
    for module in re.findall(r'^\.\. automodule:: (.+)$', text, re.MULTILINE):
        if '.cassandra' in module:
            pytest.importorskip('cassandra')
        importlib.import_module(module)


@pytest.mark.parametrize('page', PAGES, ids=NAMES)
def test_what_a_page_refers_to_is_there(page: pathlib.Path) -> None:
    text = page.read_text()
    for name in re.findall(r'``((?:docs|examples|tests|benchmarks|stream_framework)/[\w./]*)``', text):
        assert (ROOT / name).exists(), name
    targets = re.findall(r'^ *\.\. (?:image|figure|literalinclude|include):: (\S+)$', text, re.MULTILINE)
    for name in targets:
        assert (page.parent / name).exists(), name


def test_every_page_is_in_the_index() -> None:
    text = (ROOT / 'docs' / 'index.rst').read_text()
    for page in PAGES:
        assert page.stem == 'index' or re.search(rf'^   {page.stem}$', text, re.MULTILINE), page.name


def test_every_setting_is_described() -> None:
    text = (ROOT / 'docs' / 'settings.rst').read_text()
    for name in settings.NAMES:
        assert f'``{name}``' in text, name


def test_every_public_module_is_in_the_reference() -> None:
    text = (ROOT / 'docs' / 'api.rst').read_text()
    from tests.test_public_names import NAMES as public

    documented = set(re.findall(r'^\.\. automodule:: (.+)$', text, re.MULTILINE))
    # The older notification feed warns when it is imported, and five holds one name.
    left_out = {
        'stream_framework',
        'stream_framework.feeds.aggregated_feed.notification_feed',
        'stream_framework.utils.five',
    }
    assert set(public) - documented - left_out == set()
    for module in documented:
        assert importlib.import_module(module).__doc__, f'{module} has no docstring'


def test_blocks_are_found(tmp_path: pathlib.Path) -> None:
    page = tmp_path / 'page.rst'
    page.write_text(
        'One::\n\n    a\n\nText.\n\n.. other\n\n.. code-block:: console\n\n   $ true\n\n'
        '- item\n\n  .. code-block:: python\n     :caption: x.py\n\n     x = 1\n\nEnd.\n'
    )
    found: list[Any] = [(block.line, block.language, block.notes) for block in blocks_of(page)]
    assert found == [(1, 'literal', {}), (9, 'console', {}), (15, 'python', {'file': 'x.py'})]
    page.write_text('.. run\n\n.. code-block:: console\n\n   $ echo a\n   a\n   $ true\n')
    [block] = blocks_of(page)
    assert list(commands_of(block)) == [('echo a', 'a'), ('true', '')]


def test_capacities_are_planned_with_what_was_measured() -> None:
    text = (ROOT / 'docs' / 'performance.rst').read_text()
    planned = {name: int(value) for name, value in re.findall(r'^>>> ([A-Z_]+) = ([0-9_]+)', text, re.MULTILINE)}
    found = json.loads((ROOT / 'benchmarks' / 'results' / 'results.json').read_text())
    measured = {(row['part'], row['work']): row['median'] for row in found['rows'] if row['contender'] == 'library'}

    def of(part: str, work: str) -> float:
        [value] = [value for (where, name), value in measured.items() if where == part and re.fullmatch(work, name)]
        return value

    # Bytes are rounded up, rates down.
    assert planned['ENTRY_REDIS'] >= of('redis', 'memory of a flat feed of 100, after .*') / 100
    assert planned['ACTIVITY_REDIS'] >= of('redis', 'memory of an activity with a small context')
    assert planned['ENTRY_CASSANDRA'] >= of('cassandra-disk', 'bytes on disk of an activity with a small context')
    assert planned['WRITES_OF_A_WORKER'] <= of('celery', 'deliver by two worker processes, chunks of 100') / 2
    assert planned['WRITES_OF_A_SERVER'] <= of('redis', 'fan-out to .* flat feeds, holding 100, chunks of 100')
