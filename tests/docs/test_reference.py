"""The reference has every public name, and each is used in an example there."""

from __future__ import annotations

import ast
import re
from importlib import import_module

import pytest

from tests.support.pages import ROOT, blocks_of

PAGES = sorted((ROOT / "docs" / "reference").glob("*.md"))
DOCUMENTED = re.compile(r"^\.\. auto(?:class|function|exception|data):: ([\w.]+)$", re.MULTILINE)
PUBLIC = ("utd_rx", "utd_rx.engine", "utd_rx.notebook", "utd_rx.state", "utd_rx.testing")


def test_no_public_name_is_missing() -> None:
    found = [name for page in PAGES for name in DOCUMENTED.findall(page.read_text())]
    assert sorted(set(found)) == sorted(found)
    public = {name: f"{home}.{name}" for home in reversed(PUBLIC) for name in exported(home)}
    # `record` and `play` are two things each.
    wanted = {*public.values(), "utd_rx.testing.record", "utd_rx.notebook.play"}
    assert wanted - set(found) == set()


def exported(home: str) -> list[str]:
    names: list[str] = import_module(home).__all__
    return names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_is_documented_is_used(page: object) -> None:
    [path] = [one for one in PAGES if one == page]
    used = {name for block in blocks_of(path) for name in names_in(block.program)}
    documented = {name.rpartition(".")[2] for name in DOCUMENTED.findall(path.read_text())}
    own = {name for name in documented if name not in PARTS}
    assert {name for name in own - used if not name.endswith("View")} == set()


PARTS = {"SessionView", "Listening", "Describing", "Choosing", "Encrypting", "RoomChat"}
"""Of a session, which are documented by themselves."""


def names_in(program: str) -> set[str]:
    tree = compile(program, "example", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return names | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
