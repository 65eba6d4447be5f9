"""The tests' own manners: each can fail, none waits for the time to pass, few look inside."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parent

MAX_PRIVATE_READS: Final = 17
"""Of `x._y` in all tests; when there are fewer this becomes less, and never more."""

VIRTUAL: Final = "tests.state.virtual"
"""An import of it: what sleeps there does so on virtual time."""

PUBLIC: Final = frozenset(("_replace", "_asdict", "_fields"))
"""Of a named tuple, whose underscore says only that no field has such a name."""

FAILS: Final = frozenset(
    ("raises", "warns", "fail", "assert_outcomes", "fnmatch_lines", "run_state_machine_as_test")
)

BY_MYPY: Final = frozenset(("rest/test_bearer.py: test_the_api_is_an_engine_port",))
"""Nothing to be seen when it runs."""


@pytest.fixture(scope="module")
def modules() -> dict[str, ast.Module]:
    return {
        str(path.relative_to(TESTS)): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(TESTS.rglob("*.py"))
        if "node_modules" not in path.parts
    }


Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(module: ast.Module) -> Iterator[Function]:
    return (node for node in ast.walk(module) if isinstance(node, Function))


def name_of(call: ast.Call) -> str:
    """Of what is called, without what it is called on."""
    function = call.func
    return getattr(function, "attr", getattr(function, "id", ""))


def called(node: ast.AST) -> set[str]:
    return {name_of(one) for one in ast.walk(node) if isinstance(one, ast.Call)}


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


def test_every_test_can_fail(modules: dict[str, ast.Module]) -> None:
    """By an assertion of its own, or of what it calls: found by name, in all of the tests."""
    calls, asserting = dict[str, set[str]](), set(FAILS)
    tests = list[tuple[str, set[str]]]()
    for path, module in modules.items():
        for function in functions(module):
            names = called(function)
            if any(isinstance(node, ast.Assert | ast.Raise) for node in ast.walk(function)):
                asserting.add(function.name)
            elif function.name.startswith("test_"):
                tests.append((f"{path}: {function.name}", names))
            calls[function.name] = calls.get(function.name, set()) | names
    while more := {name for name in calls if calls[name] & asserting} - asserting:
        asserting |= more
    assert {test for test, names in tests if not names & asserting} == BY_MYPY


def test_nothing_waits_for_the_time_to_pass(modules: dict[str, ast.Module]) -> None:
    """Unless it is marked `realtime`, or runs on virtual time."""
    waiting = [
        f"{path}:{line}"
        for path, module in modules.items()
        if path.rpartition("/")[2].startswith("test_")
        and not is_realtime(*(node for node in module.body if isinstance(node, ast.Assign)))
        and not any(getattr(node, "module", "") == VIRTUAL for node in module.body)
        for line in sleeps(module)
    ]
    assert waiting == []


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
