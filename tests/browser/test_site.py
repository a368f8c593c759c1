"""What people do on the example site, through a browser: in memory, and on Redis with a worker."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.backends import unavailable
from tests.browser.chromium import open_browser
from tests.browser.people import Visitor
from tests.browser.site import PROJECT, Site
from tests.servers import processes


def started(backend: str) -> Iterator[Site]:
    try:
        # So many that a feed has four pages.
        site = Site(backend, pins=9)
    except LookupError as error:
        unavailable(f'no site on {backend}: {error}')
    yield site
    site.stop()


@pytest.fixture(scope='module')
def memory_site() -> Iterator[Site]:
    """One for all tests: seeding takes seconds."""
    yield from started('memory')


@pytest.fixture(scope='module')
def redis_site() -> Iterator[Site]:
    """With a server of its own and a worker."""
    yield from started('redis')


@pytest.fixture(scope='module', params=['memory', 'redis'])
def site(request: pytest.FixtureRequest) -> Any:
    """The site on each backend, for what a backend has a hand in."""
    return request.getfixturevalue(f'{request.param}_site')


@pytest.fixture(scope='module')
def browsers() -> Iterator[list[Any]]:
    """Two browsers for all tests, each with cookies of its own."""
    opened: list[Any] = []
    try:
        opened += [open_browser(), open_browser()]
    except LookupError as error:
        unavailable(f'no browser: {error}')
    yield opened
    for browser in opened:
        browser.quit()


@pytest.fixture
def visitors(site: Site, browsers: list[Any]) -> Iterator[list[Visitor]]:
    """Anna and Ben, whom she follows, signed in."""
    yield from signed_in(site, browsers)


@pytest.fixture
def anna(memory_site: Site, browsers: list[Any]) -> Iterator[Visitor]:
    """Anna alone, for what no backend has a hand in."""
    for found in signed_in(memory_site, browsers[:1]):
        yield found[0]


def signed_in(site: Site, browsers: list[Any]) -> Iterator[list[Visitor]]:
    found = []
    for browser, name in zip(browsers, ('anna', 'ben'), strict=False):
        browser.delete_all_cookies()
        visitor = Visitor(browser, site.url)
        visitor.sign_in(name)
        visitor.errors()
        found.append(visitor)
    yield found
    for visitor in found:
        assert visitor.errors() == [], site.last_words()


def test_what_one_pins_another_sees(visitors: list[Visitor]) -> None:
    anna, ben = visitors
    ben.pin('Paper boats on the canal', 'city')
    assert ben.find('.message')[0].text.startswith('Pinned')
    anna.wait_at('/home/', lambda: anna.titles()[0] == 'Paper boats on the canal', 'the pin in her feed')
    anna.wait_at('/activity/', lambda: 'Ben pinned' in anna.find('.line')[0].text, 'the pin in her grouped feed')


def test_a_mistake_in_the_form(anna: Visitor) -> None:
    anna.go('/pins/new/')
    anna.write('#id_note', 'No title, no board')
    anna.click('#pin-it')
    assert [error.text for error in anna.find('.errorlist')] == ['This field is required.'] * 2
    assert anna.find('#id_note')[0].get_attribute('value') == 'No title, no board'
    # The browser's own log of the answer, which is a 400.
    assert len(anna.errors()) == 1


def test_scrolling_while_pins_come_in(visitors: list[Visitor]) -> None:
    """To the end of the feed, over three pages and more: nothing is repeated, nothing skipped."""
    anna, ben = visitors
    anna.go('/home/')
    expected = anna.items()
    following = anna.find('[rel=next]')[0].get_attribute('href')
    while following:
        items, following = _page_of(anna, following)
        expected += items
    anna.go('/home/')
    pages = 1
    while anna.find('[rel=next]'):
        before = len(anna.items())
        ben.pin(f'While she scrolls, {pages}')
        anna.scroll_to_the_end()
        anna.wait(lambda before=before: len(anna.items()) > before, 'another page')
        pages += 1
    assert pages >= 3
    assert anna.items() == expected
    assert len(set(expected)) == len(expected) > 36
    assert anna.find('.more')[0].text == 'That is all.'
    anna.wait_at(
        '/home/', lambda: anna.titles()[0] == f'While she scrolls, {pages - 1}', 'the pins that came in meanwhile'
    )


def _page_of(visitor: Visitor, url: str) -> tuple[list[str], str | None]:
    """The items of a page, and the address of the next one, fetched without being shown."""
    script = """
        const [url, done] = arguments;
        fetch(url).then((response) => response.text()).then((text) => {
            const page = new DOMParser().parseFromString(text, 'text/html');
            const items = Array.from(page.querySelectorAll('[data-feed] > [data-item]'), (item) => item.dataset.item);
            const next = page.querySelector('[rel=next]');
            done([items, next && new URL(next.getAttribute('href'), url).href]);
        });"""
    items, following = visitor.browser.execute_async_script(script, url)
    return items, following


def test_unfollowing_and_following(visitors: list[Visitor]) -> None:
    anna, ben = visitors
    ben.pin('Before she leaves')
    anna.wait_at('/home/', lambda: 'Before she leaves' in anna.titles(), 'the pin in her feed')
    anna.go('/people/ben/')
    anna.click('.profile .follow button')
    assert anna.find('.profile .follow button')[0].text == 'Follow'
    anna.wait_at('/home/', lambda: 'Ben' not in anna.authors(), 'his pins to go')
    anna.scroll_to_the_end()
    anna.wait(lambda: len(anna.items()) > 12, 'the second page')
    assert 'Ben' not in anna.authors()
    ben.pin('After she left')
    anna.go('/people/ben/')
    anna.click('.profile .follow button')
    anna.wait_at('/home/', lambda: 'After she left' in anna.titles(), 'his pins to come back')
    assert 'Before she leaves' in anna.titles()


def test_notifications(visitors: list[Visitor]) -> None:
    anna, ben = visitors
    before = ben.badge()
    ben.pin('Something to love')
    path = ben.browser.current_url.removeprefix(ben.url)
    assert ben.badge() == before
    anna.go(path)
    anna.write('#id_text', 'I love it; really')
    anna.click('.say button')
    assert anna.find('.comments li')[-1].text.endswith('I love it; really')
    anna.press('form.love button')
    anna.wait(lambda: anna.find('form.love [aria-pressed=true]'), 'a red heart')
    assert anna.find('form.love .count')[0].text == '1'
    ben.wait_at('/notifications/', lambda: ben.badge() == before + 2, 'two notifications')
    first = ben.find('.notification')[0]
    assert 'unseen' in first.get_attribute('class') and 'Anna loved Something to love' in first.text
    ben.click('.notification .open')
    assert ben.browser.current_url == ben.url + path, 'it leads to what it is about'
    assert ben.badge() == before + 1
    ben.go('/notifications/')
    assert 'unread' not in ben.find('.notification')[0].get_attribute('class')
    ben.click('#all-seen')
    assert (ben.badge(), ben.find('#all-seen')) == (0, [])
    assert ben.find('.notification.unread'), 'what was seen is not read yet'
    ben.click('#all-read')
    assert ben.find('.notification.unread') == []
    # Taken back, it is no notification any more.
    anna.press('form.love button')
    anna.wait(lambda: anna.find('form.love [aria-pressed=false]'), 'a heart that is not red')
    ben.wait_at('/notifications/', lambda: 'loved Something to love' not in ben.find('.lines')[0].text, 'it to go')


def test_a_pin_that_is_removed(visitors: list[Visitor]) -> None:
    anna, ben = visitors
    ben.pin('A mistake')
    path = ben.browser.current_url.removeprefix(ben.url)
    anna.wait_at('/home/', lambda: 'A mistake' in anna.titles(), 'the pin in her feed')
    ben.go(path)
    ben.click('#remove')
    anna.wait_at('/home/', lambda: 'A mistake' not in anna.titles(), 'the pin to go')


def test_without_scripts(memory_site: Site) -> None:
    browser = open_browser(javascript=False)
    try:
        visitor = Visitor(browser, memory_site.url)
        visitor.sign_in('chiara')
        cards = visitor.find('[data-feed] > [data-item]')
        assert len(cards) == 12
        heart = visitor.find('form.love [aria-pressed=false]')[0]
        label = heart.get_attribute('aria-label')
        heart.click()
        visitor.wait(lambda: visitor.find(f'form.love [aria-pressed=true][aria-label="{label}"]'), 'a red heart')
        assert browser.current_url == f'{memory_site.url}/home/'
        visitor.click('[rel=next]')
        assert len(visitor.find('[data-feed] > [data-item]')) == 12
        assert '?cursor=' in browser.current_url
        visitor.click('[rel=prev]')
        assert len(visitor.find('[data-feed] > [data-item]')) == 12
    finally:
        browser.quit()


def test_signing_out(anna: Visitor) -> None:
    anna.sign_out()
    assert anna.find('.accounts')
    anna.go('/activity/')
    assert anna.browser.current_url == f'{anna.url}/?next=/activity/'
    anna.click('#as-greta')
    assert anna.browser.current_url == f'{anna.url}/activity/'


@pytest.mark.parametrize('width', [360, 1200])
def test_nothing_is_wider_than_the_window(memory_site: Site, width: int) -> None:
    browser = open_browser(width)
    try:
        visitor = Visitor(browser, memory_site.url)
        visitor.sign_in('dmitri')
        for path in ('/home/', '/activity/', '/notifications/', '/people/', '/people/anna/', '/pins/new/', '/pins/30/'):
            visitor.go(path)
            assert browser.execute_script('return document.documentElement.scrollWidth') == width, path
        assert visitor.errors() == []
    finally:
        browser.quit()


def test_it_asks_for_redis(tmp_path: Any) -> None:
    """Where none answers, it says so, and what to do, and ends."""
    [port] = processes.free_ports(1)
    done = subprocess.run(
        [sys.executable, str(PROJECT / 'manage.py'), 'serve', '--port', '1'],
        env={
            **os.environ,
            'PINBOARD_BACKEND': 'redis',
            'PINBOARD_DATABASE': str(tmp_path / 'site.sqlite3'),
            'PYTHONPATH': str(processes.ROOT),
            'STREAM_REDIS_URL': f'redis://:secret@127.0.0.1:{port}/0',
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert f'CommandError: Redis does not answer at 127.0.0.1:{port}/0' in done.stderr
    assert 'docker compose up -d redis' in done.stderr
    assert 'secret' not in done.stderr
