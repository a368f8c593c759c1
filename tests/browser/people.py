"""People in front of browsers: what they do on the site, and what they see there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.browser.chromium import PATIENCE


class Visitor:
    """Somebody with a browser.

    :param browser: a new one
    :param url: where the site is
    """

    def __init__(self, browser: Any, url: str) -> None:
        self.browser = browser
        self.url = url

    def sign_in(self, username: str, then: str = '/home/') -> None:
        """By a click on the account, which leads to another page."""
        self.go(f'/?next={then}')
        self.click(f'#as-{username}')

    def sign_out(self) -> None:
        """By the menu."""
        self.press('.me summary')
        self.click('#sign-out')

    def go(self, path: str) -> None:
        """Open a page."""
        self.browser.get(self.url + path)

    def find(self, selector: str) -> list[Any]:
        """The elements that a CSS selector finds."""
        found: list[Any] = self.browser.find_elements('css selector', selector)
        return found

    def click(self, selector: str) -> None:
        """Click the first one, and wait for the page that this leads to."""
        before = self.find('html')[0]
        self.find(selector)[0].click()
        self.wait(lambda: self._is_gone(before) and self._is_loaded(), f'a page after {selector}')

    def press(self, selector: str) -> None:
        """Click the first one, which leads to no other page."""
        self.find(selector)[0].click()

    def write(self, selector: str, text: str) -> None:
        """Type into a field."""
        self.find(selector)[0].send_keys(text)

    def pin(self, title: str, board: str = 'tea') -> None:
        """Pin something by the form."""
        self.go('/pins/new/')
        self.write('#id_title', title)
        # The radio button lies invisibly over its picture.
        self.press(f'input[name=board][value={board}]')
        self.click('#pin-it')
        assert self.find('.message'), self.find('body')[0].text

    def titles(self) -> list[str]:
        """The titles of the cards on the page."""
        return self._texts('.card h2')

    def items(self) -> list[str]:
        """The ids of what is in the feed on the page."""
        script = "return Array.from(document.querySelectorAll('[data-feed] > [data-item]'), e => e.dataset.item)"
        items: list[str] = self.browser.execute_script(script)
        return items

    def authors(self) -> list[str]:
        """Whose cards are on the page."""
        return self._texts('.card .person span:last-child')

    def badge(self) -> int:
        """The number in the header."""
        found = self._texts('#badge')
        return int(found[0]) if found else 0

    def scroll_to_the_end(self) -> None:
        """As far as the page goes now."""
        self.browser.execute_script('window.scrollTo(0, document.body.scrollHeight)')

    def wait(self, check: Callable[[], Any], what: str) -> Any:
        """Until something is so."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.browser, PATIENCE, poll_frequency=0.1).until(lambda _: check(), what)

    def wait_at(self, path: str, check: Callable[[], Any], what: str) -> None:
        """Load a page until something is so there: what a worker does is seen a moment later."""

        def look() -> Any:
            self.go(path)
            return check()

        self.wait(look, what)

    def errors(self) -> list[str]:
        """What the browser complained about."""
        return [entry['message'] for entry in self.browser.get_log('browser') if entry['level'] == 'SEVERE']

    def _texts(self, selector: str) -> list[str]:
        script = 'return Array.from(document.querySelectorAll(arguments[0]), e => e.textContent.trim())'
        texts: list[str] = self.browser.execute_script(script, selector)
        return texts

    def _is_loaded(self) -> bool:
        return bool(self.browser.execute_script("return document.readyState === 'complete'"))

    @staticmethod
    def _is_gone(element: Any) -> bool:
        from selenium.common.exceptions import WebDriverException

        try:
            element.is_enabled()
        except WebDriverException:
            return True
        return False
