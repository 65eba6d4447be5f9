"""The table of formats, row by row; what does not fit its declared type is no value."""

from __future__ import annotations

import math
from enum import Enum
from typing import Any

import pytest
from attrs import field, frozen

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.typed_json import DecodeError, codec_of, decode, encode
from utd_rx.protocol.promises import IsSitting
from utd_rx.protocol.waiting import Promise


class Colour(Enum):
    RED = "red"


@frozen
class Inner:
    n: int = 0


@frozen
class Outer:
    name: str
    inner: Inner = Inner()
    tags: tuple[str, ...] = field(factory=tuple)
    level: float | None = None


FORMATS: list[tuple[Any, Any, Any]] = [
    (bool, True, True),
    (int, 5, 5),
    (str, "é", "é"),
    (float, 0.5, 0.5),
    (float, math.inf, "inf"),
    (float, -math.inf, "-inf"),
    (bytes, b"text", "text"),
    (bytes, b"\xff", {"base64": "/w=="}),
    (Colour, Colour.RED, "red"),
    (int | None, None, None),
    (int | None, 3, 3),
    (tuple[int, ...], (1, 2), [1, 2]),
    (FrozenMap[str, int], FrozenMap({"a": 1}), {"a": 1}),
    (object, FrozenMap({"a": (1, None)}), {"a": [1, None]}),
    (Inner, Inner(), {}),
    (Outer, Outer("x", Inner(2), ("t",)), {"name": "x", "inner": {"n": 2}, "tags": ["t"]}),
    (Promise, IsSitting("me", 2), ["IsSitting", {"identity": "me", "index": 2}]),
]  # fmt: skip

WRONG: list[tuple[Any, Any]] = [
    (bool, 1),
    (int, True),
    (int, "5"),
    (int, 5.0),
    (str, None),
    (float, "fast"),
    (float, True),
    (bytes, {"base64": "?"}),
    (bytes, 5),
    (Colour, "blue"),
    (Colour, None),
    (tuple[int, ...], "12"),
    (tuple[int, ...], [1, "2"]),
    (FrozenMap[str, int], [["a", 1]]),
    (Inner, []),
    (Outer, {}),
    (Outer, {"name": "x", "inner": None}),
    (Promise, ["Outer", {"name": "x"}]),
    (Promise, "IsSitting"),
]


@pytest.mark.parametrize(("wanted", "value", "wire"), FORMATS)
def test_each_type_has_its_json_both_ways(wanted: Any, value: Any, wire: Any) -> None:
    write, read = codec_of(wanted)
    assert write(value) == wire
    assert read(wire) == value
    assert type(read(wire)) is type(value)


def test_what_is_no_number_comes_back() -> None:
    write, read = codec_of(float)
    assert write(math.nan) == "nan"
    assert math.isnan(read("nan"))


@pytest.mark.parametrize(("wanted", "wire"), WRONG)
def test_what_does_not_fit_is_nothing(wanted: Any, wire: Any) -> None:
    with pytest.raises(DecodeError):
        decode(frozen(type("Box", (), {"__annotations__": {"it": wanted}})), {"it": wire})


def test_what_is_unknown_is_ignored_and_what_is_missing_has_its_default() -> None:
    assert decode(Outer, {"name": "x", "newer": 1}) == Outer("x")


def test_equal_is_not_enough_to_be_left_out() -> None:
    assert encode(Inner(False)) == {"n": False}


def test_an_error_keeps_what_it_says_and_no_cause() -> None:
    error = UTDStreamException(
        "taken", code=UTDErrorCode.CONFLICT, status_code=409, reason=ConflictReason.ALREADY
    )
    error.__cause__ = ValueError("secret")
    write, read = codec_of(UTDStreamException)
    again = read(write(error))
    assert (again.message, again.code, again.status_code, again.reason, again.__cause__) == (
        "taken", UTDErrorCode.CONFLICT, 409, ConflictReason.ALREADY, None,
    )  # fmt: skip


@pytest.mark.parametrize("wanted", [set[int], dict[str, int], tuple[int, str], int | str])
def test_a_type_without_json_is_a_mistake_of_the_program(wanted: Any) -> None:
    with pytest.raises(TypeError, match="no JSON"):
        codec_of(wanted)
