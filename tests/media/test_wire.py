"""What crosses comes whole, or is refused by a sentence that says why."""

from __future__ import annotations

import pickle
import socket
from enum import IntEnum, StrEnum
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.media import wire
from utd_rx.media.wire import Ask, Beat, Delivery, Message, Unframer, framed
from utd_rx.models.secrets import MAX_TEXT

MESSAGES: list[Message] = [Beat(), Ask(1, 2, "connect", b"words"), Delivery(3, ("x" * 500,))]


class Proud(Exception):
    """Cannot be made again from what is pickled of it."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


@given(st.lists(st.sampled_from(MESSAGES), max_size=8), st.integers(1, 700))
def test_messages_come_whole_however_the_bytes_are_cut(sent: list[Message], size: int) -> None:
    stream = b"".join(framed(message) for message in sent)
    unframer, came = Unframer(), []
    for start in range(0, len(stream), size):
        unframer.feed(stream[start : start + size])
        while (found := unframer.next()) is not None:
            came.append(found)
    assert came == [(message, 0) for message in sent]


@pytest.mark.parametrize(
    "stream",
    [
        wire.HEADER.pack(wire.MAX_MESSAGE + 1, 0),
        wire.HEADER.pack(1, wire.MAX_DESCRIPTORS + 1),
        wire.HEADER.pack(5, 0) + b"hello",
        wire.HEADER.pack(0, 0),
        framed(Proud("a", "b"), 1),  # type: ignore[arg-type] # it is none
    ],
    ids=["too long", "too many descriptors", "no pickle", "empty", "not made, with descriptors"],
)
def test_what_is_no_message_is_refused(stream: bytes) -> None:
    unframer = Unframer()
    unframer.feed(stream)
    with pytest.raises(UTDStreamException) as raised:
        unframer.next()
    assert raised.value.code is UTDErrorCode.MALFORMED_RESPONSE


def test_a_message_that_cannot_be_made_is_lost_alone(caplog: pytest.LogCaptureFixture) -> None:
    unframer = Unframer()
    unframer.feed(framed(Delivery(1, Proud("a", "b"))) + framed(Beat()))
    assert (unframer.next(), unframer.next()) == ((Beat(), 0), None)
    assert "cannot be made here" in caplog.text


def test_what_is_alive_or_too_large_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as alive, pytest.raises(UTDStreamException) as raised:
        wire.pickled_value(alive, "what publish() is called with")
    assert raised.value.code is UTDErrorCode.VALIDATION
    assert "publish()" in raised.value.message
    monkeypatch.setattr(wire, "MAX_MESSAGE", 1_000)
    with pytest.raises(UTDStreamException) as raised:
        wire.pickled_value(bytes(600), "it")
    assert raised.value.code is UTDErrorCode.VALIDATION
    assert wire.pickled_value(bytes(300), "it")


class Topic(StrEnum):
    CHAT = "chat"

    def __str__(self) -> str:
        return "no topic"


class Level(IntEnum):
    LOUD = 3


class Words(bytes):
    pass


class Seconds(float):
    pass


@pytest.mark.parametrize("value", [Topic.CHAT, Level.LOUD, Words(b"hm"), Seconds(1.5)])
def test_a_text_or_number_of_an_apps_own_class_crosses_as_what_it_is_as_one(value: Any) -> None:
    crossed = pickle.loads(wire.pickled_value({"it": value, value: ()}, "it"))
    assert crossed == {"it": value, value: ()}
    assert type(crossed["it"]).__module__ == "builtins"


def test_one_of_the_packages_own_stays_of_it() -> None:
    assert pickle.loads(wire.pickled_value(UTDErrorCode.BANNED, "it")) is UTDErrorCode.BANNED
    assert type(pickle.loads(wire.pickled_value(np.float64(2.0), "it"))) is np.float64


def test_an_error_crosses_as_itself_or_as_what_it_says() -> None:
    plain = pickle.loads(wire.pickled_error(UTDStreamException("no", code=UTDErrorCode.NETWORK)))
    assert (plain.message, plain.code) == ("no", UTDErrorCode.NETWORK)
    odd = pickle.loads(wire.pickled_error(Proud("a", "b")))
    assert isinstance(odd, UTDStreamException)
    assert odd.message == "Proud: a b"


def test_what_is_said_of_an_error_that_cannot_cross_is_one_short_printable_line() -> None:
    told = pickle.loads(wire.pickled_error(Proud("\x1b[2J\n", "x" * 1_000_000))).message
    assert told.isprintable()
    assert told.startswith("Proud: \ufffd[2J xxx")
    assert len(told) < 2 * MAX_TEXT
