"""The tolerant readers are total: a value or a default, never an exception."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.strategies import grid_objects, json_values
from utd_rx.protocol.wire.reading import (
    parse_object,
    read_bool,
    read_int,
    read_list,
    read_number,
    read_object,
    read_text,
    read_texts,
)


@given(json_values)
def test_every_reader_takes_every_value(value: object) -> None:
    assert isinstance(read_object(value), dict)
    read_list(value)
    assert read_text(value) != ""
    assert type(read_int(value)) in (int, type(None))
    assert type(read_number(value)) in (float, type(None))
    assert read_bool(value) in (True, False, None)
    for key, text in read_texts(value).items():
        assert isinstance(key, str)
        assert isinstance(text, str)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (7, 7),
        (-7, -7),
        (7.0, 7),
        ("7", 7),
        ("-7", -7),
        (7.5, None),
        (True, None),
        ("7.0", None),
        ("--7", None),
        ("-", None),
        ("", None),
        ("٧", None),
        ("9" * 19, None),
        (2**63 - 1, 2**63 - 1),
        (2**63, None),
        (-(2**63), None),
        (10**400, None),
        (1e308, None),
        (math.inf, None),
        (math.nan, None),
        (None, None),
        ([7], None),
    ],
)
def test_integers(value: object, number: int | None) -> None:
    assert read_int(value) == number


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (7, 7.0),
        (-7.5, -7.5),
        (2**64, 2.0**64),
        pytest.param(10**400, None, id="400 zeros"),
        pytest.param(-(10**400), None, id="-400 zeros"),
        (math.inf, None),
        (math.nan, None),
        (True, None),
        ("7", None),
        (None, None),
    ],
)
def test_numbers(value: object, number: float | None) -> None:
    assert read_number(value) == number


@pytest.mark.parametrize(
    ("value", "truth"),
    [
        (True, True),
        (1, True),
        (0, False),
        (1.0, True),
        ("True", True),
        ("0", False),
        ("no", False),
        ("maybe", None),
        ("", None),
        (None, None),
        ({}, None),
    ],
)
def test_booleans(value: object, truth: bool | None) -> None:
    assert read_bool(value) is truth


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", "a"), ("", None), (42, "42"), (True, None), (1.5, None), (None, None), (2**65, None)],
)
def test_texts(value: object, text: str | None) -> None:
    assert read_text(value) == text


@given(grid_objects)
def test_an_object_is_parsed_from_text_and_bytes(wire: dict[str, object]) -> None:
    text = json.dumps(wire)
    assert json.dumps(parse_object(text)) == json.dumps(parse_object(text.encode())) == text


def test_a_number_beyond_what_python_spells_out_is_no_text() -> None:
    # Not a parameter: pytest would spell it out.
    assert read_text(10**5_000) is None


@given(st.text() | st.binary())
def test_any_text_parses_to_an_object_or_none(text: str | bytes) -> None:
    assert isinstance(parse_object(text), dict | None)


@pytest.mark.parametrize(
    "text", ["[1]", '"x"', "1", "null", "", "{", b"\xff", "[" * 100_000, '{"a":' * 100_000]
)
def test_what_is_no_object_is_none(text: str | bytes) -> None:
    assert parse_object(text) is None
