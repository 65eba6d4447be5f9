"""What is written of a call is read again, and nothing hostile raises."""

from __future__ import annotations

import json
import math
import pickle

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.protocol.strategies import json_values
from tests.sessions.histories import call_objects
from utd_rx.models.app_json import MAX_DEPTH, frozen_json, plain_json
from utd_rx.models.call import UTDCall, UTDCallEndReason, UTDCallStatus
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol.wire.calls import (
    MAX_IDENTITY,
    MAX_NAME,
    call_from_wire,
    call_to_wire,
    without_credentials,
)
from utd_rx.protocol.wire.signals import frame_from_wire

R = UTDCallEndReason


@given(call_objects)
def test_a_call_that_was_read_comes_back(wire: dict[str, object]) -> None:
    call = call_from_wire(wire)
    assume(call is not None)  # an identity may be too long
    assert call is not None
    hash(call)
    assert pickle.loads(pickle.dumps(call)) == call
    again = call_from_wire(json.loads(json.dumps(call_to_wire(call), ensure_ascii=False)))
    assert again == call


@given(st.dictionaries(st.text(max_size=8), json_values, max_size=5))
def test_anything_else_is_none(wire: dict[str, object]) -> None:
    assert call_from_wire(wire) is None


@given(json_values)
@example("\ud800\udc00")
def test_an_app_s_json_becomes_a_value_that_is_written_as_it_was(value: object) -> None:
    frozen = frozen_json(value)
    hash(frozen)
    assert frozen_json(plain_json(frozen)) == frozen
    # Escaped, two surrogates beside each other would be read as the one character they stand for.
    written = json.dumps(plain_json(frozen), allow_nan=False, ensure_ascii=False)
    assert frozen_json(json.loads(written)) == frozen


def test_what_json_lacks_or_nests_too_deeply_is_none() -> None:
    assert frozen_json([math.nan, math.inf, {1}, b"x"]) == (None, None, None, None)
    deep: object = 1
    for _ in range(10_000):
        deep = [deep]
    depth, value = 0, frozen_json(deep)
    while isinstance(value, tuple):
        depth, value = depth + 1, value[0]
    assert (depth, value) == (MAX_DEPTH, None)


@pytest.mark.parametrize(
    "more",
    [
        {"call_id": "../x"},
        {"call_id": "x" * 129},
        {"call_id": "call_1\n"},
        {"caller_identity": "x" * 257},
        {"callee_identity": "\u0639" * 129},
    ],
)
def test_what_nobody_could_be_called_is_no_call(more: dict[str, str]) -> None:
    wire = {"call_id": "call_1", "status": "initiating", "caller_identity": "x" * 256}
    assert call_from_wire(wire) is not None
    assert call_from_wire({**wire, **more}) is None
    assert frame_from_wire({"type": "call_incoming", "call": {**wire, **more}}) is None


def test_what_is_joined_and_shown_of_a_call_is_bounded() -> None:
    wire = {"call_id": "call_1", "status": "ringing", "room_name": "../y", "caller_name": "x" * 999}
    call = call_from_wire(wire)
    assert call is not None
    assert (call.room_name, call.caller_name) == ("call_1", "x" * MAX_NAME)
    assert call_from_wire(wire | {"caller_identity": "é" * (MAX_IDENTITY // 2)}) is not None
    assert call_from_wire(wire | {"caller_identity": "é" * (MAX_IDENTITY // 2) + "e"}) is None


@pytest.mark.parametrize(
    ("status", "said", "reason"),
    [
        ("rejected", "busy", R.REJECTED),
        ("rejected", None, R.REJECTED),
        ("busy", "caller_hangup", R.BUSY),
        ("busy", "?", R.BUSY),
        ("missed", None, R.RING_TIMEOUT),
        ("missed", "rejected", R.RING_TIMEOUT),
        ("ended", "rejected", R.UNKNOWN),
        ("ended", "ring_timeout", R.UNKNOWN),
        ("ended", "peer_lost", R.PEER_LOST),
    ],
)
def test_the_status_outdoes_a_reason_that_contradicts_it(
    status: str, said: str | None, reason: UTDCallEndReason
) -> None:
    call = call_from_wire({"call_id": "call_1", "status": status, "end_reason": said})
    assert call is not None
    assert call.end_reason is reason


def test_no_call_lasts_less_than_no_time() -> None:
    call = call_from_wire({"call_id": "call_1", "status": "ended", "duration_seconds": -7})
    assert call is not None
    assert call.duration_seconds == 0.0


def test_credentials_are_taken_off_and_nothing_else() -> None:
    bare = UTDCall("call_1", UTDCallStatus.RINGING, UTDStreamType.AUDIO_CALL)
    full = UTDCall(
        "call_1", UTDCallStatus.RINGING, UTDStreamType.AUDIO_CALL, token="t0ken", url="ws://x"
    )
    assert without_credentials(full) == bare
    assert without_credentials(bare) is bare
    assert "t0ken" not in repr(full)
    assert call_to_wire(bare).get("metadata") is None
    assert call_from_wire({**call_to_wire(bare), "metadata": []}) is not None
    assert bare.metadata == FrozenMap()
