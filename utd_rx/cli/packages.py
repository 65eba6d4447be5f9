"""Which packages are here, so that a command can say what to install instead of failing to load."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec


def missing(modules: Iterable[str]) -> list[str]:
    """Return those of `modules` that cannot be imported."""
    return [module for module in modules if not is_there(module)]


def is_there(module: str) -> bool:
    """Whether `module` can be imported; only the package it is in is, to see."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # that package
        return False
