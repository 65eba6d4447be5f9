"""The examples of docs/testing.md run as they stand, in one file, from the first to the last."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from utd_rx.testing import machines, pictures

pytestmark = pytest.mark.long

SHARED = machines, pictures
"""Modules that the page's run is to find loaded: what it loads itself is unloaded again."""

PAGE = Path(__file__).parent.parent / "docs" / "testing.md"


def examples() -> str:
    return "\n\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL))


def run(pytester: pytest.Pytester, source: str, *options: str) -> pytest.RunResult:
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    pytester.makepyfile(test_page=source)
    plugins = "-p", "utd_rx.testing.pytest_plugin", "-p", "no:cacheprovider", "-p", "no:xdist"
    return pytester.runpytest_inprocess(*plugins, *options)


def test_the_page_passes(pytester: pytest.Pytester) -> None:
    source = examples()
    result = run(pytester, source)
    count = len(re.findall(r"^(?:def test_\w+|Test\w+ =)", source, re.MULTILINE))
    assert count > 6
    result.assert_outcomes(passed=count)


def test_the_example_it_names_is_the_one_that_is_left(pytester: pytest.Pytester) -> None:
    """And what the failing test shows is drawn as the page says."""
    asleep = examples().replace("for request in requests:", "for request in requests[1:]:")
    quick = asleep.replace(
        "max_examples=20",
        "max_examples=50, phases=[Phase.generate, Phase.shrink], derandomize=True",
    ).replace("import settings", "import Phase, settings")
    assert quick.count("Phase") == 3
    result = run(pytester, quick, "-k", "Doorkept or whoever_asks")
    result.assert_outcomes(failed=2)
    example, picture = re.findall(r"```\n((?:state|seconds) .*?)```", PAGE.read_text(), re.DOTALL)
    steps = [line[1:].strip() for line in result.outlines if re.match(r"E +state[. ]", line)]
    assert [line for line in steps if "nobody_waits" not in line] == example.splitlines()
    assert {*map(squeezed, picture.splitlines())} <= {*map(squeezed, result.outlines)}


def squeezed(line: str) -> str:
    """How wide a column is depends on what else is in it."""
    return re.sub(r"([ -])\1*", r"\1", line.strip())
