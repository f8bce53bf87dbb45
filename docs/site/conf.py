"""Settings of Sphinx for the staged pages (see build.py)."""

import re
from typing import Any

import voxplain

project = "voxplain"
author = "The voxplain developers"
copyright = "the voxplain developers, Apache License 2.0"
version = release = voxplain.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc"]
exclude_patterns = ["_static"]
smartquotes = False  # "blur" is a value that one types
default_role = "py:obj"  # `VideoModel` in a docstring is a link where the name is public
autosummary_generate = False  # build.py writes one page for each public name
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "none"  # the docstrings give types with shapes and units
autodoc_preserve_defaults = True
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
python_maximum_signature_line_length = 100
toc_object_entries = False

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4  # links to headings are written as GitHub writes them, and checked
# Shell and Python in the pages have "…" for what is left out; the highlighter then goes on without that token.
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_title = f"voxplain {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b57a4", "color-brand-content": "#0b57a4"},
    "dark_css_variables": {"color-brand-primary": "#7fb4ee", "color-brand-content": "#7fb4ee"},
}


def docstring(app: Any, what: str, name: str, found: Any, options: Any, lines: list[str]) -> None:
    """Make reStructuredText of what the docstrings write as plain text, before numpydoc reads them.

    |x| is an absolute value, not a substitution, and each reference is an item of a list, continued by an indent.
    """
    section = ""
    for i, line in enumerate(lines):
        if i + 1 < len(lines) and re.fullmatch(r"-{3,}", lines[i + 1]):
            section = line
        if "``" not in line and not line.startswith(">>>"):
            line = line.replace("|", "\\|")
        if section == "References" and line and line != section and not re.fullmatch(r"-{3,}", line):
            line = f"  {line.lstrip()}" if line.startswith(" ") else f"- {line}"
        lines[i] = line


def setup(app: Any) -> None:
    """Register what this file adds to Sphinx."""
    app.connect("autodoc-process-docstring", docstring, priority=400)
