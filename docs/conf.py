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
html_theme = 'alabaster'
html_static_path = ['_static']
html_theme_options = {
    'description': 'News feeds, activity streams and notifications',
    'fixed_sidebar': True,
    'page_width': '1140px',
}
html_sidebars = {'**': ['about.html', 'searchfield.html', 'navigation.html']}

autodoc_member_order = 'bysource'
autodoc_typehints = 'signature'
autodoc_default_options = {'members': True, 'show-inheritance': True}
# The reference links what it documents; not everything that a signature names is part of it.
nitpicky = False
