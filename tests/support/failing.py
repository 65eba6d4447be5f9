"""Whether what a test calls can fail: followed from function to function, by what names mean."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from tests.support.syntax import parse

ROOT: Final = Path(__file__).parents[2]
FOLDERS: Final = ("tests", "utd_rx/testing", "benchmarks")

ASSERTING: Final = frozenset(
    ("pytest.raises", "pytest.warns", "pytest.fail", "run_state_machine_as_test")
)
"""Of pytest and Hypothesis."""

OF_ITS_RESULTS: Final = frozenset(("assert_outcomes", "fnmatch_lines"))
"""Of the results of pytest under pytest."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef


class Place(NamedTuple):
    """A function or class, and what names mean around it."""

    module: str
    node: Definition
    owner: str | None = None


@cache
def trees() -> dict[str, ast.Module]:
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): parse(
            path.read_text(encoding="utf-8")
        )
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "node_modules" not in path.parts
    }


@cache
def names_in(module: str) -> dict[str, Place | str]:
    """Return what the names of a module mean: a definition, or "module" or "module:name"."""
    found: dict[str, Place | str] = {}
    for node in ast.walk(trees()[module]):
        match node:
            case ast.ImportFrom(module=str(source), names=names):
                for one in names:
                    whole = f"{source}.{one.name}"
                    found[one.asname or one.name] = (
                        whole if whole in trees() else f"{source}:{one.name}"
                    )
            case ast.Import(names=names):
                found |= {one.asname: one.name for one in names if one.asname}
    for node in trees()[module].body:
        if isinstance(node, Definition):
            found[node.name] = Place(module, node)
    return found


def meant(module: str, name: str) -> Place | str | None:
    """Return what `name` means in `module`, wherever it comes from."""
    found = names_in(module).get(name) if module in trees() else None
    if isinstance(found, str) and ":" in found:
        return meant(*found.split(":"))
    return found


def method(of: Place, name: str) -> Iterator[Place]:
    """Yield the method of a class, its own or inherited."""
    assert isinstance(of.node, ast.ClassDef)
    for node in of.node.body:
        if isinstance(node, Function) and node.name == name:
            yield Place(of.module, node, of.node.name)
            return
    for base in of.node.bases:
        parent = resolve(of.module, getattr(base, "value", base))
        if isinstance(parent, Place) and isinstance(parent.node, ast.ClassDef):
            yield from method(parent, name)


def resolve(module: str, expression: ast.AST) -> Place | str | None:
    match expression:
        case ast.Name(id=name):
            return meant(module, name)
        case ast.Attribute(value=value, attr=name):
            where = resolve(module, value)
            return meant(where, name) if isinstance(where, str) else None
    return None


def classes_of(place: Place) -> dict[str, Place]:
    """Return the classes of the variables of a function, as far as it says them."""
    found: dict[str, Place] = {}

    def note(name: str, kind: ast.AST | None) -> None:
        if isinstance(kind, ast.Await):
            kind = kind.value
        if isinstance(kind, ast.Call):
            kind = kind.func
        where = None if kind is None else resolve(place.module, kind)
        if isinstance(where, Place):
            if isinstance(where.node, Function):
                returns = where.node.returns
                for part in ast.walk(returns) if returns is not None else ():
                    told = resolve(where.module, part)
                    if isinstance(told, Place) and isinstance(told.node, ast.ClassDef):
                        found[name] = told
            else:
                found[name] = where

    for node in ast.walk(place.node):
        match node:
            case ast.arg(arg=name, annotation=annotation):
                note(name, annotation)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                note(name, value)
            case ast.withitem(context_expr=value, optional_vars=ast.Name(id=name)):
                note(name, value)
    return found


def calls(place: Place) -> Iterator[Place]:
    """Yield what a function may call: what it names, and the methods of what it names."""
    classes = classes_of(place)
    for node in ast.walk(place.node):
        match node:
            case ast.Name() | ast.Attribute():
                found = resolve(place.module, node)
                if isinstance(found, Place):
                    yield found
        match node:
            case ast.Attribute(value=ast.Name(id="self"), attr=name) if place.owner:
                own = meant(place.module, place.owner)
                if isinstance(own, Place):
                    yield from method(own, name)
            case ast.Attribute(value=ast.Name(id=variable), attr=name) if variable in classes:
                yield from method(classes[variable], name)
            case ast.Attribute(value=ast.Call(func=function), attr=name):
                found = resolve(place.module, function)
                if isinstance(found, Place) and isinstance(found.node, ast.ClassDef):
                    yield from method(found, name)


def asserts(node: ast.AST) -> bool:
    """Whether it fails by itself, where something is not so."""
    for child in ast.walk(node):
        match child:
            case ast.Assert() | ast.Raise(exc=ast.Name(id="AssertionError")):
                return True
            case ast.Raise(exc=ast.Call(func=ast.Name(id="AssertionError"))):
                return True
            case ast.Name() | ast.Attribute() if ast.unparse(child) in ASSERTING:
                return True
            case ast.Attribute(attr=name) if name in OF_ITS_RESULTS:
                return True
    return False


def can_fail(place: Place, seen: set[ast.AST] | None = None) -> bool:
    """Whether a test, or what it calls, reaches an assertion."""
    seen = set() if seen is None else seen
    if place.node in seen:
        return False
    seen.add(place.node)
    if isinstance(place.node, ast.ClassDef):
        special = ("__init__", "__enter__", "__exit__", "__aenter__", "__aexit__", "__call__")
        return any(can_fail(one, seen) for name in special for one in method(place, name))
    if asserts(place.node):
        return True
    return any(can_fail(one, seen) for one in calls(place))


def every_test() -> Iterator[Place]:
    """Yield every test function, also those of classes."""
    for module, tree in trees().items():
        for node in tree.body:
            if isinstance(node, Function) and node.name.startswith("test_"):
                yield Place(module, node)
            elif isinstance(node, ast.ClassDef):
                for inner in node.body:
                    if isinstance(inner, Function) and inner.name.startswith("test_"):
                        yield Place(module, inner, node.name)
