"""Every suite that is published is passed by a fake, and the page tells of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.support.syntax import parse

ROOT: Final = Path(__file__).parent.parent.parent
SUITES: Final = ROOT / "utd_rx" / "testing" / "contracts"
PAGE: Final = ROOT / "docs" / "testing.md"


def classes(folder: Path) -> Iterator[tuple[str, ast.ClassDef]]:
    for path in sorted(folder.rglob("*.py")):
        for node in parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                yield path.stem, node


def test_the_page_tells_of_every_suite_and_who_passes_it() -> None:
    published = {
        f"{where}.{node.name}" for where, node in classes(SUITES) if "Contract" in node.name
    }
    rows = re.findall(r"^\| `(\w+\.\w+Contract)` \| (.*)$", PAGE.read_text(), re.MULTILINE)
    assert {suite for suite, _ in rows} == published

    passed = [
        (base.id, node.name.removeprefix("Test"))
        for _, node in classes(ROOT / "tests" / "contracts")
        for base in node.bases
        if isinstance(base, ast.Name) and base.id.endswith("Contract")
    ]
    for suite, told in rows:
        fakes = [name for one, name in passed if one == suite.partition(".")[2] and "Fake" in name]
        assert fakes, suite
        assert all(f"`{name}`" in told for name in fakes), suite
