"""The texts and files of a `FakeRoom`: those that the test sends, and those that it receives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count

from attrs import define, field

from utd_rx.errors import ConflictReason, UTDStreamException, conflict
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.transfers import TransferInfo
from utd_rx.ports.transfers import (
    TransferBegan,
    TransferEnded,
    TransferHeader,
    TransferPart,
    TransferSink,
    topic_name,
)


@define
class SentTransfer:
    """A text or a file that was sent; `reason` is None until it has ended, and "" when whole."""

    header: TransferHeader
    parts: list[bytes] = field(factory=list)
    reason: str | None = None


class FakeTransfers:
    """Both sides of them.

    Attributes:
        sent: What was sent from here, in order.
        dropped: The numbers of those that are not wanted any more.
    """

    def __init__(self) -> None:
        self.sent: list[SentTransfer] = []
        self.dropped: list[int] = []
        self._sinks: dict[tuple[str, bool], TransferSink] = {}
        self._coming: dict[int, TransferSink] = {}
        self._going: dict[int, SentTransfer] = {}
        self._numbers = count(1)

    def begin(self, info: TransferInfo, *, is_text: bool) -> int:
        """Let somebody begin to send; returns what `part` and `finish` take."""
        number = next(self._numbers)
        if (sink := self._sinks.get((info.topic, is_text))) is not None:
            self._coming[number] = sink
            sink(TransferBegan(number, info))
        return number

    def part(self, number: int, data: bytes) -> None:
        """Let a part of it come."""
        if (sink := self._coming.get(number)) is not None:
            sink(TransferPart(number, data))

    def finish(
        self,
        number: int,
        failure: UTDStreamException | None = None,
        *,
        added: Mapping[str, str] | None = None,
    ) -> None:
        """Let it end, with attributes that are `added` in the end."""
        if (sink := self._coming.pop(number, None)) is not None:
            sink(TransferEnded(number, failure, FrozenMap(added or {})))

    def lose(self) -> None:
        """Let the connection end."""
        self._going.clear()
        for number in tuple(self._coming):
            self.finish(number, conflict(ConflictReason.LEFT, "The connection ended."))

    def receive(self, topic: str, is_text: bool, sink: TransferSink) -> Callable[[], None]:
        """See `RoomPort`, as for the rest."""
        key = topic_name(topic), is_text
        if key in self._sinks:
            raise conflict(ConflictReason.ALREADY, f"{topic} is received already")
        self._sinks[key] = sink
        return lambda: (self._sinks.pop(key, None), None)[1]

    def drop(self, number: int) -> None:
        """See `RoomPort`."""
        self.dropped.append(number)
        self._coming.pop(number, None)

    def open(self, header: TransferHeader) -> int:
        """See `RoomPort`."""
        number = next(self._numbers)
        self._going[number] = SentTransfer(header)
        self.sent.append(self._going[number])
        return number

    def write(self, number: int, data: bytes) -> None:
        """See `RoomPort`."""
        if number not in self._going:
            raise conflict(ConflictReason.LEFT, "The connection ended.")
        self._going[number].parts.append(data)

    def end(self, number: int, reason: str) -> None:
        """See `RoomPort`."""
        if (sent := self._going.pop(number, None)) is not None:
            sent.reason = reason
