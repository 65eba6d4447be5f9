"""One word, one thing: a class has a name that no other class of the package has."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

from tests.support.syntax import parse

PACKAGE = Path(__file__).parent.parent / "utd_rx"

TWICE = {"OpenInvitation"}
"""The same thing on both sides, of which neither may import the other's."""


def test_no_two_classes_have_one_name() -> None:
    homes = defaultdict[str, list[str]](list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                homes[node.name].append(str(path.relative_to(PACKAGE)))
    assert {name: found for name, found in homes.items() if len(found) > 1}.keys() == TWICE
