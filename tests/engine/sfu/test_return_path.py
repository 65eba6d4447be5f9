"""A client is sent nothing at an address that it did not answer from."""

from __future__ import annotations

import pytest
from aioice import stun

from utd_rx.engine.sfu.return_path import ReturnPath

HOME, ELSEWHERE = ("10.0.0.1", 1, "127.0.0.1"), ("10.0.0.2", 2, "127.0.0.1")
PASSWORD = "of the client"


def asked(path: ReturnPath, address: tuple[str, int, str] = ELSEWHERE, now: float = 0.0) -> bytes:
    question = path.on_check("ours", address, now, is_nominating=True)
    assert question is not None
    return question


def answer(question: bytes, password: str = PASSWORD) -> stun.Message:
    asked_ = stun.parse_message(question)
    assert asked_.check_message_integrity(PASSWORD.encode())
    assert asked_.attributes["USERNAME"] == "theirs:ours"
    made = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, asked_.transaction_id)
    made.add_message_integrity(password.encode())
    return stun.parse_message(bytes(made))


@pytest.fixture
def path() -> ReturnPath:
    """Of a client that is at home."""
    made = ReturnPath()
    made.know("theirs", PASSWORD)
    assert made.on_check("ours", HOME, 0.0, is_nominating=False) is None
    assert made.address == HOME
    return made


def test_who_nominates_another_address_is_asked_there_and_moves_when_the_answer_comes(
    path: ReturnPath,
) -> None:
    question = asked(path)
    assert path.address == HOME
    assert path.on_answer(answer(question), ELSEWHERE)
    assert path.address == ELSEWHERE
    assert path.on_check("ours", ELSEWHERE, 1.0, is_nominating=True) is None


def test_a_check_that_nominates_nothing_moves_nobody(path: ReturnPath) -> None:
    assert path.on_check("ours", ELSEWHERE, 0.0, is_nominating=False) is None
    assert path.address == HOME


def test_an_answer_counts_from_where_it_was_asked_by_whom_and_once(path: ReturnPath) -> None:
    right = answer(asked(path))
    assert not path.on_answer(right, HOME)
    assert not path.on_answer(answer(asked(path), password="another"), ELSEWHERE)
    guessed = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE)
    guessed.add_message_integrity(PASSWORD.encode())
    assert not path.on_answer(stun.parse_message(bytes(guessed)), ELSEWHERE)
    assert path.address == HOME
    assert path.on_answer(right, ELSEWHERE)
    assert not path.on_answer(right, ELSEWHERE)


def test_a_question_that_was_lost_is_put_again_and_either_answer_counts(path: ReturnPath) -> None:
    first, again = asked(path), asked(path, now=1.0)
    assert answer(first).transaction_id == answer(again).transaction_id


def test_answers_to_what_was_asked_before_an_ice_restart_count_no_more(path: ReturnPath) -> None:
    before = answer(asked(path))
    path.know("theirs", PASSWORD)  # the same again, as in every offer
    asked(path)
    path.know("theirs anew", "another")
    assert not path.on_answer(before, ELSEWHERE)


def test_before_its_sdp_came_nobody_can_be_asked_and_nothing_but_dtls_is_sent() -> None:
    path = ReturnPath()
    for address in (HOME, ELSEWHERE):
        assert path.on_check("ours", address, 0.0, is_nominating=True) is None
        assert path.address == address


def test_few_addresses_are_asked_and_not_often(path: ReturnPath) -> None:
    at = [(f"10.0.1.{n}", n, "127.0.0.1") for n in range(100)]
    questions = [path.on_check("ours", one, 0.0, is_nominating=True) for one in at]
    put = [one for one in questions if one is not None]
    assert len(put) == 20
    forgotten = [path.on_answer(answer(one), where) for one, where in zip(put, at, strict=False)]
    assert forgotten.index(True) == 16
