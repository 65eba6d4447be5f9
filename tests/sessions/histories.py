"""Strategies for everything a session commits, and for histories that a server might make."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import attrs
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.protocol.strategies import (
    chat_objects,
    grid_objects,
    json_values,
    push_objects,
    stage_objects,
)
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.app_json import frozen_json
from utd_rx.models.call import UTDCallStatus
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.protocol.kinds import KINDS
from utd_rx.protocol.waiting import Promise

EACH_STATE = tuple({kind.state: kind for kind in KINDS.values()}.values())
"""A kind for each state: calls are two kinds with one."""

ITEMS = {item.__name__: item for kind in KINDS.values() for item in kind.facts}
"""Everything that sessions commit, by its name in recordings."""

errors = st.builds(
    UTDStreamException,
    st.text(max_size=8),
    code=st.sampled_from(UTDErrorCode),
    status_code=st.none() | st.integers(100, 599),
    retry_after=st.none() | st.floats(allow_nan=False),
    reason=st.none() | st.sampled_from(ConflictReason),
    expired_at=st.none() | st.floats(allow_nan=False),
)

engine_messages = grid_objects.map(
    lambda grid: json.dumps({**grid, "type": "_seat_update"}, default=str).encode()
)
payloads = (
    st.binary(max_size=20)
    | json_values.map(lambda value: json.dumps(value).encode())
    | engine_messages
    | (push_objects | chat_objects).map(lambda wire: json.dumps(wire).encode())
)
call_ids = st.sampled_from(["call_1", "call_2"])
call_objects = st.fixed_dictionaries(
    {"call_id": call_ids, "status": st.sampled_from([status.value for status in UTDCallStatus])},
    optional={
        "caller_identity": st.sampled_from(["me", "ana"]),
        "callee_identity": st.sampled_from(["me", "ana"]) | json_values,
        "metadata": st.just({"why": "s3cr3t"}) | json_values,
        "end_reason": st.sampled_from(["rejected", "lost", "?"]) | json_values,
        "duration_seconds": st.integers(0, 99) | json_values,
        "token": st.just("s3cr3t"),
    },
)
metadata = (
    st.text(max_size=8)
    | st.builds(lambda call: json.dumps({"_call": call, "secret": "s3cr3t"}), call_objects)
    | st.builds(
        lambda grid, stage, lock: json.dumps(
            {"_seats": grid, "_stage": stage, "_comment_lock": lock, "secret": "s3cr3t"},
            default=str,
        ),
        grid_objects,
        stage_objects,
        json_values | st.booleans().map(lambda locked: {"locked": locked}),
    )
    | (st.sampled_from(["host", "admin", "audience"]) | json_values).map(
        lambda role: json.dumps({"role": role, "secret": "s3cr3t"})
    )
)

_SCALARS: dict[Any, SearchStrategy[Any]] = {
    object: json_values.map(frozen_json),
    bool: st.booleans(),
    int: st.integers(),
    float: st.floats(allow_nan=False),
    str: st.text(max_size=5) | st.text(st.characters(categories=["Cs", "Nd"]), max_size=4),
    bytes: payloads,
    UTDStreamException: errors,
}


def values_of(wanted: Any) -> SearchStrategy[Any]:
    """Any value of a declared type: the counterpart of `typed_json`, written apart from it."""
    origin, arguments = get_origin(wanted), get_args(wanted)
    if wanted in _SCALARS:
        return _SCALARS[wanted]
    if origin in (Union, UnionType):
        [kind] = [kind for kind in arguments if kind is not NoneType]
        return st.none() | values_of(kind)
    if origin is tuple:
        return st.lists(values_of(arguments[0]), max_size=2).map(tuple)
    if origin is FrozenMap:
        keys = st.text(max_size=5)
        return st.dictionaries(keys, values_of(arguments[1]), max_size=2).map(FrozenMap)
    if wanted is Promise:
        kinds = {promise for kind in KINDS.values() for promise in kind.promises}
        return st.one_of([values_of(kind) for kind in sorted(kinds, key=lambda k: k.__name__)])
    if issubclass(wanted, Enum):
        return st.sampled_from(wanted)
    hints = get_type_hints(wanted)
    build: Callable[..., Any] = wanted
    named = {("metadata", str): metadata, ("call_id", str): call_ids}
    return st.builds(
        build,
        **{
            name: named[name, hint] if (name, hint) in named else values_of(hint)
            for name, hint in ((field.name, hints[field.name]) for field in attrs.fields(wanted))
        },
    )


def plain(value: Any) -> Any:
    """Return a value in which errors compare by what they say."""
    if isinstance(value, UTDStreamException):
        return tuple(vars(value).values())
    if isinstance(value, tuple):
        return tuple(plain(entry) for entry in value)
    if isinstance(value, FrozenMap):
        return [(key, plain(entry)) for key, entry in value.items()]
    if attrs.has(type(value)):
        return (
            type(value).__name__,
            *(plain(getattr(value, field.name)) for field in attrs.fields(type(value))),
        )
    return value
