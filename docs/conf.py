"""How the documentation is built: ``make docs``."""

from __future__ import annotations

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

import django.conf

from stream_framework import __version__

# The pagination of Django REST framework can be imported only then.
django.conf.settings.configure()

project = 'Stream Framework'
author = 'Stream Framework contributors'
copyright = '2026, Stream Framework contributors'
version = release = __version__

# The change log is written in Markdown, as it is read where the code is.
extensions = ['sphinx.ext.autodoc', 'sphinx.ext.viewcode', 'myst_parser']
source_suffix = {'.rst': 'restructuredtext'}
exclude_patterns = ['_build']
html_theme = 'furo'
html_title = f'Stream Framework {release}'
html_static_path = ['_static']
html_css_files = ['custom.css']
pygments_style = 'default'
pygments_dark_style = 'github-dark'
html_theme_options = {
    # Pinboard's red, dark enough on white and light enough on black to be read in small letters.
    'light_css_variables': {
        'color-brand-primary': '#b23320',
        'color-brand-content': '#b23320',
        'color-sidebar-link-text--top-level': 'var(--color-foreground-primary)',
    },
    'dark_css_variables': {'color-brand-primary': '#ff8a73', 'color-brand-content': '#ff8a73'},
    'top_of_page_buttons': [],
}

autodoc_member_order = 'bysource'
autodoc_typehints = 'signature'
autodoc_default_options = {'members': True, 'show-inheritance': True}
# The reference links what it documents; not everything that a signature names is part of it.
nitpicky = False
