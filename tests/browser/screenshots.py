"""Takes the pictures of the documentation: ``make screenshots``, or ``python -m tests.browser.screenshots FOLDER``.

Always the same people and pins; only the drawing of letters differs from machine to machine.
"""

from __future__ import annotations

import io
import pathlib
import sys

from PIL import Image

from tests.browser.chromium import open_browser
from tests.browser.people import Visitor
from tests.browser.site import Site

#: No picture may be larger, in bytes: they stay in the repository for ever.
LARGEST = 80_000

#: Size of a window -> file -> page.
PAGES = {
    (1200, 800): {
        'welcome': '/',
        'feed': '/home/',
        'activity': '/activity/',
        'loves': '/activity/?show=loves',
        'notifications': '/notifications/',
        'people': '/people/',
        'profile': '/people/ben/',
        'pin': '/pins/30/',
        'new': '/pins/new/',
        'muted': '/people/hassan/',
        'account': '/account/',
    },
    (390, 760): {
        'phone': '/home/',
        'phone-activity': '/activity/',
        'phone-pin': '/pins/30/',
        'phone-people': '/people/',
    },
}
#: Those that are taken in dark colours as well, for readers in the dark.
DARK = ('activity', 'feed')

_LOADED = 'return Array.from(document.images).every((image) => image.complete && image.naturalWidth)'


def main(folder: str) -> None:
    """Write all of them."""
    with Site() as site:
        for (width, height), pages in PAGES.items():
            browser = open_browser(width, height)
            try:
                _take_all(Visitor(browser, site.url), pages, pathlib.Path(folder))
            finally:
                browser.quit()


def _take_all(visitor: Visitor, pages: dict[str, str], folder: pathlib.Path) -> None:
    for name, path in pages.items():
        if name != 'welcome' and not visitor.find('.me'):
            # Not to a page that marks what is new as seen.
            visitor.sign_in('anna', then='/people/')
        if name == 'muted':
            _hide_some(visitor)
        visitor.go(path)
        # Pictures below the window are loaded when they come into view.
        visitor.browser.execute_script("for (const image of document.images) image.loading = 'eager'")
        visitor.wait(lambda: visitor.browser.execute_script(_LOADED), 'all pictures')
        _take(visitor, folder / f'pinboard-{name}.png')
        if name in DARK:
            # The same page, not loaded again: to load it marks what is new as seen.
            _set_colours(visitor, 'dark')
            _take(visitor, folder / f'pinboard-{name}-dark.png')
            _set_colours(visitor, 'light')


def _take(visitor: Visitor, target: pathlib.Path) -> None:
    target.write_bytes(_small(visitor.browser.get_screenshot_as_png()))
    print(f'{target}: {target.stat().st_size} bytes')


def _set_colours(visitor: Visitor, colours: str) -> None:
    features = [{'name': 'prefers-color-scheme', 'value': colours}]
    visitor.browser.execute_cdp_cmd('Emulation.setEmulatedMedia', {'features': features})


def _hide_some(visitor: Visitor) -> None:
    for username, button in (('hassan', '#mute'), ('ines', '#block')):
        visitor.go(f'/people/{username}/')
        visitor.click(button)


def _small(png: bytes) -> bytes:
    """The same picture with 256 colours, which is half as large and looks the same."""
    image = Image.open(io.BytesIO(png)).convert('RGB')
    output = io.BytesIO()
    image.quantize(256, kmeans=2, dither=Image.Dither.NONE).save(output, 'PNG', optimize=True)
    if output.tell() > LARGEST:
        raise SystemExit(f'a picture is larger than {LARGEST} bytes: make the window smaller')
    return output.getvalue()


if __name__ == '__main__':
    main(*sys.argv[1:])
