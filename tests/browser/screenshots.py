"""Takes the pictures of the documentation: ``make screenshots``, or ``python -m tests.browser.screenshots FOLDER``.

Always the same people and pins; only the drawing of letters differs from machine to machine.
"""

from __future__ import annotations

import io
import pathlib
import sys
from typing import Any

from PIL import Image, ImageOps

from tests.browser.chromium import open_browser
from tests.browser.people import Visitor
from tests.browser.site import Site

#: No picture may be larger, in bytes: they stay in the repository for ever.
LARGEST = 150_000

#: File -> page, for a window of each size.
PAGES = {
    (1200, 800): {
        'welcome': None,
        'feed': '/home/',
        'activity': '/activity/',
        'notifications': '/notifications/',
        'people': '/people/',
        'profile': '/people/ben/',
        'pin': '/pins/30/',
        'new': '/pins/new/',
        'loves': '/activity/?show=loves',
        'account': '/account/',
    },
    (390, 760): {'phone': '/home/', 'phone-activity': '/activity/', 'phone-pin': '/pins/30/'},
}

_LOADED = 'return Array.from(document.images).every((image) => image.complete && image.naturalWidth)'


def main(folder: str) -> None:
    """Write all of them."""
    with Site() as site:
        for (width, height), pages in PAGES.items():
            browser = open_browser(width, height)
            try:
                _take(Visitor(browser, site.url), pages, pathlib.Path(folder))
            finally:
                browser.quit()


def _take(visitor: Visitor, pages: dict[str, Any], folder: pathlib.Path) -> None:
    if None not in pages.values():
        _sign_in(visitor)
    for name, path in pages.items():
        if path is None:
            visitor.go('/')
        else:
            if not visitor.find('.me'):
                _sign_in(visitor)
            if name == 'account':
                _hide_some(visitor)
            visitor.go(path)
        # Pictures below the window are loaded when they come into view.
        visitor.browser.execute_script("for (const image of document.images) image.loading = 'eager'")
        visitor.wait(lambda: visitor.browser.execute_script(_LOADED), 'all pictures')
        target = folder / f'pinboard-{name}.png'
        target.write_bytes(_small(visitor.browser.get_screenshot_as_png()))
        print(f'{target}: {target.stat().st_size} bytes')


def _sign_in(visitor: Visitor) -> None:
    # Not to a page that marks what is new as seen.
    visitor.sign_in('anna', then='/people/')


def _hide_some(visitor: Visitor) -> None:
    for username, button in (('hassan', '#mute'), ('ines', '#block')):
        visitor.go(f'/people/{username}/')
        visitor.click(button)


def _small(png: bytes) -> bytes:
    """The same picture without the last bits of its colours, which are most of a gradient's size."""
    image = Image.open(io.BytesIO(png)).convert('RGB')
    for bits in (6, 5, 4):
        output = io.BytesIO()
        ImageOps.posterize(image, bits).save(output, 'PNG', optimize=True)
        if output.tell() < LARGEST:
            return output.getvalue()
    raise SystemExit(f'a picture is larger than {LARGEST} bytes whatever the colours: make the window smaller')


if __name__ == '__main__':
    main(*sys.argv[1:])
