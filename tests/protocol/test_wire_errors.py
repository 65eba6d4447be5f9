"""An error reply becomes one exception, whatever its body."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures import wire_fixture
from tests.protocol.strategies import error_objects
from utd_rx.errors import ConflictReason, UTDErrorCode
from utd_rx.models.secrets import MAX_TEXT, foreign_text
from utd_rx.protocol.wire.errors import error_from_wire, error_to_wire


@pytest.mark.parametrize("case", wire_fixture("errors"), ids=lambda case: case["message"])
def test_the_golden_errors(case: dict[str, Any]) -> None:
    error = error_from_wire(case["status"], case["body"], retry_after=2.5)
    assert (error.status_code, error.code.value, error.message, error.retry_after) == (
        case["status"],
        case["code"],
        case["message"],
        2.5,
    )


@given(st.integers(300, 599), error_objects)
def test_any_body_gives_an_exception_with_a_short_message(
    status: int, wire: dict[str, object]
) -> None:
    error = error_from_wire(status, wire)
    assert error.status_code == status
    assert 0 < len(error.message) <= MAX_TEXT + 1


@given(
    st.integers(400, 599),
    st.text(min_size=1, max_size=MAX_TEXT),
    st.sampled_from(UTDErrorCode),
)
def test_an_error_survives_the_wire(status: int, message: str, code: UTDErrorCode) -> None:
    error = error_from_wire(status, error_to_wire(message, code))
    told = foreign_text(message) or f"the engine answered HTTP {status} without a message"
    assert (error.message, error.code, error.status_code) == (told, code, status)


def test_message_goes_before_error_and_detail() -> None:
    wire = {"detail": "c", "error": "b", "message": "a"}
    assert error_from_wire(404, wire).message == "a"
    assert error_from_wire(404, {**wire, "message": ""}).message == "b"
    assert error_from_wire(404, {**wire, "message": [], "error": None}).message == "c"


def test_a_long_message_is_cut() -> None:
    assert error_from_wire(500, {"message": "x" * 10**6}).message == "x" * MAX_TEXT + "…"


def test_a_message_is_printed_as_one_line_that_no_terminal_obeys() -> None:
    error = error_from_wire(
        503, {"message": "down\ud800\x1b[31m\r\nERROR \u202e eyJhbGc.eyJz.c2ln"}
    )
    assert error.message == "down\ufffd\ufffd[31m ERROR \ufffd …"
    f"{error}{error!r}".encode()


@pytest.mark.parametrize("before", [0, MAX_TEXT - 15, MAX_TEXT - 1])
def test_no_part_of_a_secret_stays_where_a_message_is_cut(before: int) -> None:
    message = "x" * before + "hunter%2F2+hunter/2" + "y" * MAX_TEXT
    told = error_from_wire(401, {"message": message}, secrets=("hunter/2", None)).message
    assert len(told) == MAX_TEXT + 1
    assert "hunt" not in told
    assert told.startswith("x" * before + "…")


@pytest.mark.parametrize(
    "message",
    [
        "you already sit on a seat; move instead",
        "'omar' already sits on a seat",
        "User is already seated",
        "your request is pending already",
        "'omar' was invited already",
        "'omar' has the role admin already",
        "Participant already has this role",
    ],
)
def test_a_conflict_with_what_is_so_already_says_so(message: str) -> None:
    assert error_from_wire(409, {"message": message}).reason is ConflictReason.ALREADY


@pytest.mark.parametrize(
    "message",
    [
        "the seat is already taken",
        "seat 3 is occupied",
        "no seat is free",
        "too many requests are pending; try again later",
        "you have no seat to move from; take one instead",
        "",
    ],
)
def test_any_other_conflict_is_a_refusal(message: str) -> None:
    assert error_from_wire(409, {"message": message}).reason is ConflictReason.REFUSED


def test_whom_one_calls_may_be_on_a_call() -> None:
    busy = error_from_wire(409, {"message": "Callee is already on a call"})
    assert busy.reason is ConflictReason.BUSY


def test_only_a_conflict_has_a_reason() -> None:
    assert error_from_wire(403, {"message": "you already sit on a seat"}).reason is None
