"""Python's syntax trees, also while other threads make some."""

from __future__ import annotations

import ast

_TRIES = 5


def parse(source: str) -> ast.Module:
    """Return the tree of `source`.

    CPython 3.11 counts how deep it is for all threads together, so that one that parses at the same
    time, or a finalizer that does, makes it a `SystemError` (python/cpython#106905).
    """
    for _ in range(_TRIES):
        try:
            return ast.parse(source)
        except SystemError:
            continue
    return ast.parse(source)
