"""Headless Chromium: found, or installed as Debian's package."""

from __future__ import annotations

import os
import shutil
from typing import Any

from tests.servers import processes

#: For how many seconds to wait for what a page should show.
PATIENCE = 30

PROGRAMS = ('chromium', 'chromedriver')


def programs() -> list[str]:
    """The paths of the browser and its driver.

    :raises LookupError: if one is missing, and can't be installed
    """
    if not all(map(shutil.which, PROGRAMS)):
        processes.install_on_debian('chromium', 'chromium-driver', 'fonts-dejavu-core')
    found = [shutil.which(name) for name in PROGRAMS]
    missing = [name for name, path in zip(PROGRAMS, found, strict=True) if path is None]
    if missing:
        raise LookupError(f'{" and ".join(missing)} are not on the PATH: install Chromium and its driver')
    return [path for path in found if path is not None]


def open_browser(width: int = 1200, height: int = 860, javascript: bool = True) -> Any:
    """A new browser, with no cookies; ``quit()`` it.

    It reaches nothing but this machine: a page that needs anything from elsewhere would not work.

    :raises LookupError: if there is none
    """
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError as error:
        raise LookupError('selenium is not installed: pip install selenium') from error
    chromium, driver = programs()
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    arguments = [
        '--headless=new',
        '--hide-scrollbars',
        '--disable-background-networking',
        '--disable-component-update',
        '--no-first-run',
        # A container's /dev/shm is small.
        '--disable-dev-shm-usage',
        '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1',
        f'--window-size={width},{height}',
    ]
    if os.geteuid() == 0:
        arguments.append('--no-sandbox')
    for argument in arguments:
        options.add_argument(argument)
    if not javascript:
        options.add_experimental_option('prefs', {'profile.managed_default_content_settings.javascript': 2})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    # The window's own bars take some of its size.
    phone = {'width': width, 'height': height, 'deviceScaleFactor': 1, 'mobile': width < 600}
    browser.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', phone)
    return browser
