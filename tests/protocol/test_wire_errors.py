"""An error reply becomes one exception, whatever its body."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures import wire_fixture
from tests.protocol.strategies import error_objects
from utd_rx.errors import UTDErrorCode
from utd_rx.protocol.wire.errors import MAX_MESSAGE, error_from_wire, error_to_wire


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
    assert 0 < len(error.message) <= MAX_MESSAGE


@given(
    st.integers(400, 599),
    st.text(min_size=1, max_size=MAX_MESSAGE),
    st.sampled_from(UTDErrorCode),
)
def test_an_error_survives_the_wire(status: int, message: str, code: UTDErrorCode) -> None:
    error = error_from_wire(status, error_to_wire(message, code))
    assert (error.message, error.code, error.status_code) == (message, code, status)


def test_message_goes_before_error_and_detail() -> None:
    wire = {"detail": "c", "error": "b", "message": "a"}
    assert error_from_wire(404, wire).message == "a"
    assert error_from_wire(404, {**wire, "message": ""}).message == "b"
    assert error_from_wire(404, {**wire, "message": [], "error": None}).message == "c"


def test_a_long_message_is_cut() -> None:
    assert error_from_wire(500, {"message": "x" * 10**6}).message == "x" * MAX_MESSAGE
