"""What people do on the example site, through a browser: in memory, in SQLite, and on Redis with a worker."""

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


@pytest.fixture(scope='module')
def sqlite_site() -> Iterator[Site]:
    """As ``make pinboard`` starts it."""
    yield from started('sqlite')


@pytest.fixture(scope='module', params=['sqlite', 'redis'])
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
    # Shown where a test fails.
    print(site.last_words())
    for visitor in found:
        assert visitor.errors() == []


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
    # The badge is counted after the page was read: with a worker, a love in between is in the badge alone.
    said = 'Anna loved Something to love'
    ben.wait_at('/notifications/', lambda: said in ben.find('.notification')[0].text, 'the love on top')
    assert 'unseen' in ben.find('.notification')[0].get_attribute('class')
    assert ben.badge() == before + 2
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


def test_deleting_a_notification(visitors: list[Visitor]) -> None:
    anna, ben = visitors
    ben.pin('Something to talk about')
    anna.go(ben.browser.current_url.removeprefix(ben.url))
    anna.write('#id_text', 'Tell me more')
    anna.click('.say button')
    said = 'Anna commented on Something to talk about'
    ben.wait_at('/notifications/?show=unread', lambda: said in ben.find('.lines')[0].text, 'the notification')
    before = ben.badge()
    ben.click('.notification .remove')
    assert ben.browser.current_url == f'{ben.url}/notifications/?show=unread'
    assert said not in ben.find('.lines')[0].text
    assert ben.badge() == before - 1


def test_new_since_the_last_visit(visitors: list[Visitor]) -> None:
    """Looking is enough, where there are scripts."""
    anna, ben = visitors
    anna.wait_at('/home/', lambda: not anna.find('.news'), 'all to be seen')
    ben.pin('News for Anna')
    anna.wait_at('/home/', lambda: anna.find('#new-count'), 'the line')
    assert anna.find('.news p')[0].text == '1 new since your last visit'
    anna.wait(lambda: not anna.find('.news button'), 'it to be marked')
    anna.wait_at('/home/', lambda: not anna.find('.news'), 'the line to go')


def test_activity_of_one_kind(visitors: list[Visitor]) -> None:
    anna, ben = visitors
    ben.pin('One of a kind')
    anna.wait_at('/activity/?show=pins', lambda: 'One of a kind' in anna.find('.line')[0].text, 'the pin')
    assert {'pinned' in line.text for line in anna.find('.line')} == {True}
    anna.press('.tabs a[href="?show=loves"]')
    anna.wait(lambda: anna.find('.tabs a[href="?show=loves"][aria-current]'), 'the other tab')
    assert {'loved' in line.text for line in anna.find('.line')} == {True}


def test_muting(visitors: list[Visitor]) -> None:
    anna, ben = visitors
    ben.pin('Before it is quiet')
    anna.wait_at('/home/', lambda: 'Before it is quiet' in anna.titles(), 'the pin in her feed')
    anna.go('/people/ben/')
    anna.click('#mute')
    assert anna.find('.state')[0].text.startswith('You have muted Ben')
    anna.wait_at('/home/', lambda: 'Ben' not in anna.authors(), 'his pins to go')
    ben.pin('While it is quiet')
    anna.go('/account/')
    assert anna.find('#muted-people')[0].text.startswith('B\nBen Okafor')
    anna.click('#muted-people button')
    assert anna.find('#muted-people')[0].text == 'Nobody.'
    anna.wait_at('/home/', lambda: 'While it is quiet' in anna.titles(), 'his pins to come back')
    assert 'Before it is quiet' in anna.titles()


def test_blocking(visitors: list[Visitor]) -> None:
    anna, ben = visitors
    ben.pin('For nobody I know')
    path = ben.browser.current_url.removeprefix(ben.url)
    anna.wait_at('/home/', lambda: 'For nobody I know' in anna.titles(), 'the pin in her feed')
    anna.go('/people/ben/')
    anna.click('#block')
    assert anna.find('.state')[0].text.startswith('You have blocked Ben')
    anna.wait_at('/home/', lambda: 'Ben' not in anna.authors(), 'his pins to go')
    ben.go('/people/')
    assert ben.find('#person-greta') and not ben.find('#person-anna')
    ben.go('/people/anna/')
    anna.go(path)
    for visitor in visitors:
        assert not visitor.find('.one') and not visitor.find('.profile')
        # The browser's own log of the answer.
        assert all('404 (Not Found)' in error for error in visitor.errors())
    anna.go('/account/')
    anna.click('#blocked-people button')
    anna.go('/people/ben/')
    anna.click('.profile .follow button')
    anna.wait_at('/home/', lambda: 'For nobody I know' in anna.titles(), 'his pins to come back')


def test_deleting_an_account(site: Site, visitors: list[Visitor]) -> None:
    """The last thing that somebody does. The browser asks for the box to be ticked."""
    anna, lior = visitors
    lior.sign_out()
    lior.sign_in('lior')
    anna.go('/people/lior/')
    if anna.find('.profile .follow button')[0].text == 'Follow':
        anna.click('.profile .follow button')
    lior.pin('My last one')
    anna.wait_at('/home/', lambda: 'My last one' in anna.titles(), 'the pin in her feed')
    lior.go('/account/')
    lior.press('#delete-account')
    assert lior.find('#sure:invalid')
    lior.press('#sure')
    lior.click('#delete-account')
    assert lior.find('.message')[0].text.startswith('Your account is gone')
    assert not lior.find('#as-lior')
    anna.wait_at('/home/', lambda: 'Lior' not in anna.authors(), 'his pins to go')


def test_downloading_ones_data(anna: Visitor) -> None:
    anna.pin('To take along')
    anna.go('/account/')
    link = anna.find('#download')[0].get_attribute('href')
    script = 'fetch(arguments[0]).then((response) => response.json()).then(arguments[1])'
    said = anna.browser.execute_async_script(script, link)
    assert said['type'] == 'OrderedCollection'
    assert said['orderedItems'][0]['verb'] == 'pin'
    assert {item['type'] for item in said['orderedItems']} == {'Activity', 'Create', 'Follow', 'Like'}


def test_a_restart_forgets_nothing(tmp_path: Any, browsers: list[Any]) -> None:
    """Feeds, follows, mutes and marks in SQLite, as ``make pinboard`` has them."""
    kept = []
    for first in (True, False):
        with Site('sqlite', pins=2, folder=tmp_path) as site:
            for anna, _ in signed_in(site, browsers):
                if first:
                    anna.go('/people/chiara/')
                    anna.click('#mute')
                    anna.pin('There again tomorrow')
                    anna.go('/home/')
                    anna.wait(lambda anna=anna: not anna.find('.news button'), 'what was new to be marked')
                anna.go('/home/')
                titles, news, badge = anna.titles(), anna.find('.news'), anna.badge()
                anna.go('/account/')
                kept.append((titles, news, badge, anna.find('#muted-people')[0].text))
    assert kept[0] == kept[1]
    assert kept[0][1] == []
    assert kept[0][3].startswith('C\nChiara')


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
        assert visitor.find('.news p')[0].text.endswith(' new since your last visit')
        visitor.click('.news button')
        assert browser.current_url == f'{memory_site.url}/home/'
        assert not visitor.find('.news')
        visitor.click('[rel=next]')
        assert len(visitor.find('[data-feed] > [data-item]')) == 12
        assert '?cursor=' in browser.current_url
        visitor.click('[rel=prev]')
        assert len(visitor.find('[data-feed] > [data-item]')) == 12
        visitor.go('/notifications/')
        first = visitor.items()[0]
        visitor.click('.notification .remove')
        assert first not in visitor.items()
        visitor.go('/people/dmitri/')
        visitor.click('#mute')
        assert visitor.find('.state')
        visitor.click('#mute')
        assert not visitor.find('.state')
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
        pages = ('/home/', '/activity/', '/notifications/', '/people/', '/people/anna/', '/account/')
        for path in (*pages, '/pins/new/', '/pins/30/'):
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
