"""The tests' own manners: each can fail, none waits for the time to pass, few look inside."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.failing import can_fail, every_test, names_in, trees
from tests.support.syntax import parse

TESTS: Final = Path(__file__).parent

MAX_PRIVATE_READS: Final = 17
"""Of `x._y` in all tests; when there are fewer this becomes less, and never more."""

VIRTUAL: Final = ("tests.state.virtual", "utd_rx.testing")
"""An import of one: what sleeps there does so on virtual time."""

PUBLIC: Final = frozenset(("_replace", "_asdict", "_fields", "_repr_html_"))
"""Of a named tuple, whose underscore says only that no field has such a name; and IPython's."""

BY_OTHERS: Final = frozenset(
    (
        "tests.docs.test_examples: test_example",  # the examples
        "tests.rest.test_bearer: test_the_api_is_an_engine_port",  # mypy
        "tests.test_leak_guard: test_joining_a_room_and_leaving_it_is_no_leak",  # the guard
    )
)
"""What fails here, if it does: nothing is to be seen when these run."""


@pytest.fixture(scope="module")
def modules() -> dict[str, ast.Module]:
    return {
        str(path.relative_to(TESTS)): parse(path.read_text(encoding="utf-8"))
        for path in sorted(TESTS.rglob("*.py"))
        if "node_modules" not in path.parts
    }


def name_of(call: ast.Call) -> str:
    """Of what is called, without what it is called on."""
    function = call.func
    return getattr(function, "attr", getattr(function, "id", ""))


def is_realtime(*marks: ast.AST) -> bool:
    return any("mark.realtime" in ast.unparse(mark) for mark in marks)


def sleeps(node: ast.AST) -> Iterator[int]:
    """The lines that wait for time to pass; not those that ask again what nobody tells."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.While():
                continue
            case ast.FunctionDef() | ast.AsyncFunctionDef() if is_realtime(*child.decorator_list):
                continue
            case ast.Call() if name_of(child) == "create_task":
                continue
            case ast.Call(args=[seconds]) if name_of(child) == "sleep":
                if ast.unparse(seconds) != "0":
                    yield child.lineno
        yield from sleeps(child)


def test_every_test_can_fail() -> None:
    """By an assertion of its own, or of what it calls in tests, benchmarks or contracts.

    That what is awaited times out is none: nobody would see what it was for.
    """
    deaf = {f"{test.module}: {test.node.name}" for test in every_test() if not can_fail(test)}
    assert deaf == BY_OTHERS


DEAF = """
from tests.test_manners import MAX_PRIVATE_READS, sleeps
async def sleep(): assert True
async def test_by_a_name_alone(room, clock):
    await clock.sleep(1)
    room.get(MAX_PRIVATE_READS)
    assert_nothing = sleeps(room)
def test_by_a_fixture(sleep): pass
"""

HEARING = """
import pytest
from tests.support import failing
class Base:
    def check(self): self.really()
    def really(self): assert True
class Bench(Base): pass
def helper(): raise AssertionError("no")
def bench() -> Bench: ...
def test_by_raises():
    with pytest.raises(ValueError): pass
def test_by_a_helper(): run(helper())
def test_by_a_method(some: Bench): some.check()
def test_by_what_is_made():
    made = bench()
    made.check()
def test_by_a_module(): failing.method(1, 2)
"""


@pytest.mark.parametrize(("source", "fails"), [(DEAF, False), (HEARING, True)])
def test_the_guard_follows_names_to_what_they_mean(
    source: str, fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(trees(), "tests.made_up", parse(source))
    names_in.cache_clear()
    found = [test for test in every_test() if test.module == "tests.made_up"]
    assert found
    assert {can_fail(test) for test in found} == {fails}
    names_in.cache_clear()


def test_nothing_waits_for_the_time_to_pass(modules: dict[str, ast.Module]) -> None:
    """Unless it is marked `realtime`, or runs on virtual time."""
    waiting = [
        f"{path}:{line}"
        for path, module in modules.items()
        if path.rpartition("/")[2].startswith("test_")
        and not is_realtime(*(node for node in module.body if isinstance(node, ast.Assign)))
        and not any(getattr(node, "module", "") in VIRTUAL for node in module.body)
        for line in sleeps(module)
    ]
    assert waiting == []


def test_a_mark_is_in_the_file_of_its_tests(modules: dict[str, ast.Module]) -> None:
    """`make` collects the files that have one."""
    found = {
        path: node.attr
        for path, module in modules.items()
        for node in ast.walk(module)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pytest.mark"
        if node.attr in ("long", "realtime")
    }
    assert {"long", "realtime"} == set(found.values())
    assert [path for path in found if not path.rpartition("/")[2].startswith("test_")] == []


def test_few_tests_look_inside(modules: dict[str, ast.Module]) -> None:
    found = [
        f"{path}:{node.lineno} {ast.unparse(node)}"
        for path, module in modules.items()
        for node in ast.walk(module)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.endswith("__")
        and node.attr not in PUBLIC
        and ast.unparse(node.value) not in ("self", "cls", "super()")
    ]
    assert len(found) <= MAX_PRIVATE_READS, "\n".join(found)
