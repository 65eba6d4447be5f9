"""Texts and files between the rooms of a world: messages of a topic, as its methods are."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from itertools import count
from typing import Final, TypeAlias

from attrs import frozen

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.models import events as ev
from utd_rx.models.transfers import TransferInfo
from utd_rx.ports.data import DataMessage
from utd_rx.ports.transfers import (
    TransferBegan,
    TransferEnded,
    TransferHeader,
    TransferPart,
    TransferSink,
    topic_name,
)

TRANSFERS: Final = "utd_rx world: transfers"

Send: TypeAlias = Callable[[DataMessage], None]


@frozen
class _Piece:
    """A piece of what somebody sends: its header, a part, or the end, which has a reason."""

    sender: str
    number: int
    header: TransferHeader | None = None
    data: bytes = b""
    reason: str | None = None
    sent_at: float | None = None


class WorldTransfers:
    """Those of one room, over all its connections."""

    def __init__(self) -> None:
        self._sinks: dict[tuple[str, bool], TransferSink] = {}
        self._coming: dict[tuple[str, int], tuple[int, TransferSink]] = {}
        self._going: dict[int, tuple[str, tuple[str, ...] | None]] = {}
        self._numbers = count(1)

    def receive(self, topic: str, is_text: bool, sink: TransferSink) -> Callable[[], None]:
        """See `RoomPort`, as for the rest."""
        key = topic_name(topic), is_text
        if key in self._sinks:
            raise conflict(ConflictReason.ALREADY, f"{topic!r} is received already.")
        self._sinks[key] = sink
        return lambda: (self._sinks.pop(key, None), None)[1]

    def drop(self, number: int) -> None:
        """See `RoomPort`."""
        self._coming = {key: one for key, one in self._coming.items() if one[0] != number}

    def open(self, header: TransferHeader, sender: str, sent_at: float, send: Send) -> int:
        """See `RoomPort`."""
        number = next(self._numbers)
        self._going[number] = sender, header.to
        send(_message(_Piece(sender, number, header, sent_at=sent_at), header.to))
        return number

    def write(self, number: int, data: bytes, send: Send) -> None:
        """See `RoomPort`."""
        if number not in self._going:
            raise conflict(ConflictReason.LEFT, "The connection ended.")
        sender, to = self._going[number]
        send(_message(_Piece(sender, number, data=data), to))

    def end(self, number: int, reason: str, send: Send) -> None:
        """See `RoomPort`."""
        sender, to = self._going.pop(number, ("", None))
        if sender:
            send(_message(_Piece(sender, number, reason=reason), to))

    def take(self, message: ev.DataReceived) -> None:
        """Take a message of the topic."""
        piece: _Piece = pickle.loads(message.payload)  # noqa: S301 - our own words
        key, header = (piece.sender, piece.number), piece.header
        if header is not None:
            if (sink := self._sinks.get((header.topic, header.is_text))) is None:
                return
            number = next(self._numbers)
            self._coming[key] = number, sink
            words = header.topic, header.name, header.mime_type, header.size, header.attributes
            info = TransferInfo(
                header.id or f"stream {piece.number}", piece.sender, *words, piece.sent_at
            )
            sink(TransferBegan(number, info))
        elif key in self._coming:
            number, sink = self._coming[key]
            if piece.reason is None:
                sink(TransferPart(number, piece.data))
            else:
                del self._coming[key]
                sink(TransferEnded(number, _failure(piece.sender, piece.reason)))

    def gone(self, sender: str) -> None:
        """Take it that somebody left."""
        for key in [key for key in self._coming if key[0] == sender]:
            number, sink = self._coming.pop(key)
            sink(TransferEnded(number, _failure(sender, "they left")))

    def lose(self) -> None:
        """Take it that the connection ended."""
        self._going.clear()
        coming, self._coming = self._coming, {}
        for number, sink in coming.values():
            sink(TransferEnded(number, conflict(ConflictReason.LEFT, "The connection ended.")))


def _failure(sender: str, reason: str) -> UTDStreamException | None:
    if not reason:
        return None
    message = f"{sender} did not send all of it: {reason}"
    return UTDStreamException(message, code=UTDErrorCode.NETWORK)


def _message(piece: _Piece, to: tuple[str, ...] | None) -> DataMessage:
    return DataMessage(pickle.dumps(piece), topic=TRANSFERS, to=to)
