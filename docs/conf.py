"""How the pages become a site: `make docs`.

Sphinx, because it reads the pages as they stand in the repository (MyST is Markdown), takes the
reference from the objects themselves, as `help()` does, and fails at a link that leads nowhere.
The source folder is the repository's root, so that a link means the same here and there.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

from sphinx.application import Sphinx

import utd_rx

project = "utd_rx"
author = "The utd_rx authors"
copyright = f"2026, {author}"  # noqa: A001 - Sphinx's word
version = release = utd_rx.__version__

root_doc = "README"
include_patterns = ["README.md", "CHANGELOG.md", "docs/**.md", "benchmarks/*.md"]
exclude_patterns = [".*", "build", "dist", "tests", "**/node_modules", "utd_rx"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
suppress_warnings = ["myst.header", "misc.highlighting_failure"]
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "inherited-members": False, "show-inheritance": True}
autodoc_class_signature = "mixed"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
python_use_unqualified_type_names = True
maximum_signature_line_length = 80

html_theme = "furo"
html_title = f"utd_rx {release}"
html_copy_source = False
html_show_sphinx = False

CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)(?=(\w?))")
"""Where a word goes on behind it, as a plural does, reST wants the two told apart."""

CONTENTS = Path(__file__).with_name("contents.txt")


def with_contents(app: Sphinx, page: str, source: list[str]) -> None:
    """Give the front page, which is the README, the table of contents."""
    if page == root_doc:
        source[0] += "\n" + CONTENTS.read_text(encoding="utf-8")


def code_as_markdown(*args: object) -> None:
    """Read the `names` of docstrings as code, which reST would take for something else."""
    lines = cast("list[str]", args[-1])
    lines[:] = [CODE.sub(literal, line) for line in lines]


def literal(code: re.Match[str]) -> str:
    return f"``{code[1]}``" + "\\ " * bool(code[2])


def setup(app: Sphinx) -> None:
    app.connect("source-read", with_contents)
    app.connect("autodoc-process-docstring", code_as_markdown, priority=400)
