"""When a value counts as equal to another, whose `==` cannot be trusted, or as what is sought."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from utd_rx.state.callbacks import INSTEAD_OF_STATE, refuse_async

T = TypeVar("T")


def matcher(value_or_predicate: T | Callable[[T], bool]) -> Callable[[T], bool]:
    """Return what tells whether a value equals, or satisfies, the argument; none that is async."""
    refuse_async(value_or_predicate, instead=INSTEAD_OF_STATE, kind="a predicate")
    return value_or_predicate if callable(value_or_predicate) else partial(same, value_or_predicate)


def same(old: object, new: object) -> bool:
    """Tell whether `new` is no change from `old`.

    Uses `==`; falls back to identity when `==` raises or answers with an array (numpy, pandas),
    so a stream of arrays emits every new array and never fails.
    """
    if old is new:
        return True
    # A tuple's own `==` looks for the first difference before it looks at the lengths.
    if type(old) is tuple and type(new) is tuple and len(old) != len(new):
        return False
    try:
        answer = old == new
        if answer is True or answer is False:
            return answer
        # An array has a non-empty shape. Its truth value raises, or is true by accident for a
        # single element, so it is never asked for. numpy's scalar booleans have the shape ().
        return not getattr(answer, "shape", ()) and bool(answer)
    except Exception:  # noqa: BLE001 - whatever a foreign __eq__ raises means "cannot compare"
        return False
