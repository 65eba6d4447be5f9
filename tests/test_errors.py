"""One exception, a closed set of codes, and one place that classifies."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utd_rx.errors import (
    CODE_BY_STATUS,
    MAX_MESSAGE,
    ConflictReason,
    UTDErrorCode,
    UTDStreamException,
    classify_response,
    conflict,
    invalid,
)


def _error(code: UTDErrorCode) -> UTDStreamException:
    return UTDStreamException("no", code=code, status_code=403, retry_after=1.5)


@pytest.mark.parametrize("code", UTDErrorCode)
def test_every_code_has_one_spelling(code: UTDErrorCode) -> None:
    assert UTDErrorCode.from_wire(code.value) is code
    assert code.value == code.name[0].lower() + code.name.title().replace("_", "")[1:]


@pytest.mark.parametrize("value", [None, "", "BANNED", "teapot", 403, True, ["banned"], {}])
def test_an_unknown_spelling_is_none(value: object) -> None:
    assert UTDErrorCode.from_wire(value) is None


@pytest.mark.parametrize("code", UTDErrorCode)
def test_each_question_has_its_code(code: UTDErrorCode) -> None:
    error = _error(code)
    assert error.is_banned is (code is UTDErrorCode.BANNED)
    assert error.is_forbidden is (code is UTDErrorCode.FORBIDDEN)
    assert error.is_rate_limited is (code is UTDErrorCode.RATE_LIMITED)
    assert error.is_feature_disabled is (code is UTDErrorCode.FEATURE_DISABLED)


@pytest.mark.parametrize("code", UTDErrorCode)
def test_an_error_crosses_a_process_whole(code: UTDErrorCode) -> None:
    for other in (pickle.loads(pickle.dumps(_error(code))), copy.copy(_error(code))):
        assert isinstance(other, UTDStreamException)
        assert vars(other) == vars(_error(code))
        assert str(other) == str(_error(code))


def test_a_message_that_names_what_is_long_is_cut() -> None:
    for size in (MAX_MESSAGE, MAX_MESSAGE + 1):
        error = UTDStreamException("x" * size)
        assert len(error.message) == len(error.args[0]) == MAX_MESSAGE
        assert error.message.endswith("x" if size == MAX_MESSAGE else "…")
    assert len(str(invalid(f"nobody is here as {'ann' * 100_000!r}"))) < MAX_MESSAGE + 20


def test_the_least_error_is_unknown_and_has_no_status() -> None:
    error = UTDStreamException("why")
    assert (error.code, error.status_code, error.retry_after) == (UTDErrorCode.UNKNOWN, None, None)
    assert repr(error) == "UTDStreamException('why', code=UNKNOWN)"
    assert repr(_error(UTDErrorCode.BANNED)).endswith("code=BANNED, status_code=403)")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("User is banned", UTDErrorCode.BANNED),
        ("you ARE BANNED", UTDErrorCode.BANNED),
        ("Calls are not enabled for this project", UTDErrorCode.FEATURE_DISABLED),
        ("Recording is not available", UTDErrorCode.FEATURE_DISABLED),
        ("Chat is disabled", UTDErrorCode.FEATURE_DISABLED),
        ("Project is suspended", UTDErrorCode.FORBIDDEN),
        ("The banner is not yours", UTDErrorCode.FORBIDDEN),
        ("", UTDErrorCode.FORBIDDEN),
    ],
)
def test_a_403_is_told_apart_by_its_words(message: str, code: UTDErrorCode) -> None:
    assert classify_response(403, message) is code


@pytest.mark.parametrize("status", [401, 404, 409, 422, 429, 500])
def test_the_words_count_for_403_alone(status: int) -> None:
    assert classify_response(status, "User is banned") is classify_response(status, "")


@given(st.integers(100, 999), st.text(), st.sampled_from(UTDErrorCode))
def test_the_engines_own_code_goes_first(status: int, message: str, code: UTDErrorCode) -> None:
    assert classify_response(status, message, code.value) is code


@given(st.integers(100, 999), st.text(), st.none() | st.text() | st.integers())
def test_every_reply_has_a_class(status: int, message: str, code: object) -> None:
    found = classify_response(status, message, code)
    assert isinstance(found, UTDErrorCode)
    if status in CODE_BY_STATUS and status != 403 and UTDErrorCode.from_wire(code) is None:
        assert found is CODE_BY_STATUS[status]


@pytest.mark.parametrize("status", [500, 501, 502, 503, 599])
def test_a_failing_engine_is_server(status: int) -> None:
    assert classify_response(status, "oops") is UTDErrorCode.SERVER


@pytest.mark.parametrize("reason", ConflictReason)
def test_conflicts_can_be_told_apart_by_a_program(reason: ConflictReason) -> None:
    error = conflict(reason, "no")
    assert (error.code, error.reason) == (UTDErrorCode.CONFLICT, reason)
    assert pickle.loads(pickle.dumps(error)).reason is reason


def test_only_a_conflict_has_a_reason_and_the_engine_s_is_that_it_refused() -> None:
    assert UTDStreamException("x", code=UTDErrorCode.CONFLICT).reason is ConflictReason.REFUSED
    assert UTDStreamException("x", code=UTDErrorCode.TIMEOUT).reason is None
