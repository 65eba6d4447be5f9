"""Values of a class, field by field."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from utd_rx.models.agent import MAX_TOOL_TIMEOUT, MIN_TOOL_TIMEOUT, SAMPLE_RATES
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.testing.strategies.words import (
    SECONDS,
    WORDS,
    People,
    app_json,
    attributes,
    metadata,
    moments,
    room_names,
    sids,
)

T = TypeVar("T")

MADE: Final[dict[Any, Callable[[People], SearchStrategy[Any]]]] = {}
"""What has a strategy of its own, beyond its fields; `utd_rx.testing.strategies` fills it."""

_PEOPLE: Final = frozenset(("identity", "inviter", "target", "sender", "reserved_for"))
_TYPED: Final[dict[Any, SearchStrategy[Any]]] = {
    bool: st.booleans(),
    int: st.integers(1, 2**53),
    float: SECONDS,
    str: WORDS,
    bytes: st.binary(max_size=16),
    FrozenMap[str, str]: attributes(),
    FrozenMap[str, object]: app_json(),
}
_NAMED: Final[dict[tuple[str, Any], SearchStrategy[Any]]] = {
    ("audio", bytes): st.binary(max_size=16).map(lambda half: half + half),  # whole samples
    ("call_id", str): st.integers(0, 2**32).map(lambda number: f"call_{number:024x}"),
    ("channels", int): st.integers(1, 8),
    ("created_at", str): moments(),
    ("banned_at", str): moments(),
    ("expires_at", str): moments(),
    ("default_sample_rate", int): st.sampled_from([48_000, 44_100, 16_000]),
    ("level", float): st.floats(-100.0, 0.0),
    ("loss", float): st.floats(0.0, 1.0),
    ("metadata", str): metadata(),
    ("room_name", str): room_names(),
    ("sample_rate", int): st.sampled_from(SAMPLE_RATES),
    ("seat_index", int): st.integers(0, 7),
    ("sid", str): sids("PA"),
    ("timeout", float): st.floats(MIN_TOOL_TIMEOUT, MAX_TOOL_TIMEOUT),
    ("track_sid", str): sids("TR"),
    ("previous_sid", str): sids("TR"),
    ("type", UTDStreamType): st.sampled_from([kind for kind in UTDStreamType if kind.is_call]),
    ("url", str): st.just("ws://127.0.0.1:1"),
    ("ws_url", str): st.just("ws://127.0.0.1:1/signal"),
}


def built(
    model: Callable[..., T], people: People, **known: SearchStrategy[Any]
) -> SearchStrategy[T]:
    """Values of an attrs class, each field by what is `known`, by its name or by its type."""
    others = {
        name: _value(name, declared, people)
        for name, declared in _types_of(model).items()
        if name not in known
    }
    return st.builds(model, **known, **others)


@cache
def _types_of(model: Any) -> dict[str, Any]:
    hints = get_type_hints(model)
    return {field.name: hints[field.name] for field in attrs.fields(model)}


def _value(name: str, declared: Any, people: People) -> SearchStrategy[Any]:
    """Values of a field, by its name where that says more than its type."""
    origin, arguments = get_origin(declared), get_args(declared)
    if origin in (Union, UnionType):
        (inner,) = (one for one in arguments if one is not NoneType)
        return st.none() | _value(name, inner, people)
    if (name, declared) in _NAMED:
        return _NAMED[name, declared]
    if declared is str and (name in _PEOPLE or name.endswith("_identity")):
        return people
    if origin is tuple:
        return st.lists(_value("identity", arguments[0], people), max_size=3, unique=True).map(
            tuple
        )
    if declared in _TYPED:
        return _TYPED[declared]
    if isinstance(declared, type) and issubclass(declared, Enum):
        return st.sampled_from(declared)
    return MADE[declared](people) if declared in MADE else built(declared, people)
