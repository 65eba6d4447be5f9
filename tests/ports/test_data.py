"""A message that cannot be sent as it is meant is refused before it is sent."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.ports.data import (
    MAX_ATTRIBUTES,
    MAX_DATA,
    MAX_METADATA,
    MAX_NAME,
    DataMessage,
    SelfDescription,
)


def test_what_is_sent_does_not_change_any_more() -> None:
    data, to = bytearray(b"x"), ["ann"]
    message = DataMessage(data, topic="t", to=to)
    data[0] = 0
    to.append("bob")
    assert (message.data, message.topic, message.to) == (b"x", "t", ("ann",))
    assert pickle.loads(pickle.dumps(message)) == message
    assert DataMessage(memoryview(b"ab")[1:]).data == b"b"


@pytest.mark.parametrize(
    ("data", "how"),
    [
        ("text", {}),
        ([1, 2], {}),
        (None, {}),
        (b"x", {"to": "bob"}),
        (b"x", {"to": b"bob"}),
        (b"x", {"to": [""]}),
        (b"x", {"to": ["\ud800"]}),
        (b"x", {"topic": "\ud800"}),
        (b"x", {"topic": b"t"}),
        (b"x", {"topic": None}),
        (b"x", {"reliable": "no"}),
        (b"x" * (MAX_DATA + 1), {}),
        (b"x" * MAX_DATA, {"topic": "t"}),
        (b"x" * MAX_DATA, {"to": ["a"]}),
    ],
)
def test_anything_else_is_refused(data: Any, how: dict[str, Any]) -> None:
    with pytest.raises(UTDStreamException) as caught:
        DataMessage(data, **how)
    assert caught.value.code is UTDErrorCode.VALIDATION


def test_nobody_is_not_everybody() -> None:
    assert DataMessage(b"x", to=()).to == ()
    assert DataMessage(b"x").to is None


@pytest.mark.parametrize(
    ("said", "most"),
    [
        (lambda size: SelfDescription(name="x" * size), MAX_NAME),
        (lambda size: SelfDescription(metadata="x" * size), MAX_METADATA),
        (lambda size: SelfDescription(attributes={"key": "x" * (size - 3)}), MAX_ATTRIBUTES),
    ],
    ids=["name", "metadata", "attributes"],
)
def test_what_one_says_of_oneself_is_bounded(
    said: Callable[[int], SelfDescription], most: int
) -> None:
    assert said(most)
    with pytest.raises(UTDStreamException) as caught:
        said(most + 1)
    assert caught.value.code is UTDErrorCode.VALIDATION
