"""docs/security.md names every bound there is, with its value and the test that holds it."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from attrs import fields, frozen

from utd_rx.engine.serving import GuestLimits

ROOT: Final = Path(__file__).parents[2]
COVERED: Final = ("engine", "rest", "rtc", "protocol", "ports", "sessions")
"""Packages of `utd_rx` of which every bound is in the table."""

NOT_BOUNDS: Final = {
    "engine.sfu.inbound._MAX_LOUD_MS": "how sound is measured",
    "engine.sfu.numbering._MAX_CLOCK_ERROR": "how far two clocks may differ",
    "engine.page.feed.MAX_CALLS": "how much is shown",
    "engine.page.happenings.MAX_PEOPLE": "how much is shown",
    "engine.page.shown.MAX_PEOPLE": "how much is shown",
    "engine.agent.call.MAX_HEARD": "what a test may look back at",
    "ports.audio.MAX_GAIN": "how loud it may be",
    "rtc.processing.MAX_DELAY": "how late an echo may come",
}

_ROW: Final = re.compile(r"\| [^|]+ \| ([^|`]+) \(`([\w.]+)`\) \| [^|]+ \| ([^|]+) \|")
_TEST: Final = re.compile(r"`((?:tests|utd_rx/testing)/[\w/]+\.py::\w+)`")
_BOUND: Final = re.compile(r"_?MAX_[A-Z_]+")


@frozen
class Row:
    value: str
    name: str
    tests: tuple[str, ...]


def rows() -> list[Row]:
    """Read all tables under the heading."""
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    text = page.partition("\n## Limits\n")[2].partition("\n## ")[0]
    lines = [one for one in text.splitlines() if one.startswith("| ") and "`" in one]
    found = [_ROW.fullmatch(one) for one in lines]
    assert None not in found, [one for one, match in zip(lines, found, strict=True) if not match]
    return [
        Row(match[1], match[2], tuple(_TEST.findall(match[3])))
        for match in found
        if match is not None
    ]


def bounds() -> Iterator[str]:
    """Yield the name of each constant that is called one."""
    for package in COVERED:
        for path in sorted((ROOT / "utd_rx" / package).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT / "utd_rx").with_suffix("").parts)
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                target = node.target if isinstance(node, ast.AnnAssign) else None
                if isinstance(target, ast.Name) and _BOUND.fullmatch(target.id):
                    yield f"{module}.{target.id}"
    yield from (f"engine.serving.GuestLimits.{one.name}" for one in fields(GuestLimits))


def value_of(name: str) -> Any:
    module, _, constant = name.rpartition(".")
    if module.endswith("GuestLimits"):
        return getattr(GuestLimits(), constant)
    return getattr(importlib.import_module(f"utd_rx.{module}"), constant)


def written(value: Any) -> set[str]:
    """Return how a value may be written."""
    ways = {f"{value:,}"}
    for unit, size in (("KiB", 1024), ("MiB", 1024 * 1024)):
        if value % size == 0:
            ways.add(f"{value // size:,} {unit}")
    return ways


def test_no_bound_is_missing_and_none_is_told_twice() -> None:
    named = [one.name for one in rows()]
    assert sorted(set(named)) == sorted(named)
    assert set(bounds()) - set(named) == NOT_BOUNDS.keys()


def test_the_values_are_those_of_the_code() -> None:
    wrong = [one for one in rows() if one.value not in written(value_of(one.name))]
    assert wrong == []


def test_each_is_held_by_a_test_that_is_there() -> None:
    for row in rows():
        assert row.tests, row
        for test in row.tests:
            path, _, name = test.partition("::")
            text = (ROOT / path).read_text(encoding="utf-8")
            assert re.search(rf"def {name}\(", text), test
