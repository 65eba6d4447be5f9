"""Text and byte streams of one connection, both ways."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.secrets import foreign_text
from utd_rx.models.transfers import TransferInfo
from utd_rx.ports.transfers import (
    TransferBegan,
    TransferEnded,
    TransferHeader,
    TransferPart,
    TransferSink,
)
from utd_rx.rtc import ffi, native

if TYPE_CHECKING:
    from livekit import rtc

    Reader = rtc.TextStreamReader | rtc.ByteStreamReader

T = TypeVar("T")

WRITE_TIMEOUT: Final = 30.0
"""Seconds for one step of sending: opening, a part, the end."""

TURN: Final = 0.005
"""Seconds for which parts of one stream are taken in one turn of the loop."""


class DataStreams:
    """One connection's, which is over when `ended` is done; `heard` takes of whom something
    came."""

    def __init__(
        self, room: rtc.Room, ended: asyncio.Future[None], heard: Callable[[str], None]
    ) -> None:
        self._heard = heard
        self._room = room
        self._ended = ended
        self._writers: dict[int, Any] = {}
        self._reading: dict[int, asyncio.Task[None]] = {}
        self._steps: set[asyncio.Task[Any]] = set()

    # -- received -------------------------------------------------------------------------------

    def receive(self, topic: str, is_text: bool, sink: TransferSink) -> None:
        """Deliver the streams of a topic; see `RoomPort.receive_streams`."""

        def begin(reader: Reader, sender: str) -> None:
            self._heard(sender)
            number = next(ffi.numbers)
            work = self._read(number, reader, sender, sink)
            self._reading[number] = asyncio.create_task(work, name="utd_rx.rtc: read a stream")

        if self._ended.done():
            return
        if is_text:
            self._room.register_text_stream_handler(topic, begin)
        else:
            self._room.register_byte_stream_handler(topic, begin)

    def stop(self, topic: str, is_text: bool) -> None:
        """Deliver no more of them; what has begun goes on."""
        if is_text:
            self._room.unregister_text_stream_handler(topic)
        else:
            self._room.unregister_byte_stream_handler(topic)

    def drop(self, number: int) -> None:
        """See `RoomPort.drop_stream`."""
        if (reading := self._reading.pop(number, None)) is not None:
            reading.cancel()

    async def aclose(self) -> None:
        """End what is read, which fails, and what is sent. Idempotent."""
        tasks = [*self._reading.values(), *self._steps]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _read(self, number: int, reader: Reader, sender: str, sink: TransferSink) -> None:
        loop = asyncio.get_running_loop()
        info = _info(reader.info, sender)
        sink(TransferBegan(number, info))
        failure: UTDStreamException | None = None
        until = loop.time() + TURN
        try:
            async for part in reader:
                sink(TransferPart(number, part.encode() if isinstance(part, str) else part))
                if loop.time() >= until:
                    await asyncio.sleep(0)  # a large one that is all there takes no turn for itself
                    until = loop.time() + TURN
        except asyncio.CancelledError:
            failure = conflict(ConflictReason.LEFT, "The connection ended before all had come.")
            raise
        except native.sdk().data_stream.StreamError as error:
            words = foreign_text(error.description)
            failure = UTDStreamException(
                f"{foreign_text(sender)} did not send all of it: {words}",
                code=UTDErrorCode.NETWORK,
            )
        finally:
            reader.close()
            if self._reading.pop(number, None) is not None:  # else nobody wants it any more
                told = (reader.info.attributes or {}).items()
                added = FrozenMap(set(told) - set(info.attributes.items()))
                sink(TransferEnded(number, failure, added))

    # -- sent -----------------------------------------------------------------------------------

    async def open(self, header: TransferHeader) -> int:
        """See `RoomPort.open_stream`."""
        local = self._room.local_participant
        if not local.permissions.can_publish_data:
            raise UTDStreamException(
                "The server has not granted sending data.", code=UTDErrorCode.FORBIDDEN
            )
        to, attributes = list(header.to or ()), dict(header.attributes)
        opening = self._begin(
            local.stream_text(
                topic=header.topic,
                attributes=attributes,
                destination_identities=to,
                stream_id=header.id or None,
            )
            if header.is_text
            else local.stream_bytes(
                header.name,
                topic=header.topic,
                total_size=header.size,
                mime_type=header.mime_type,
                stream_id=header.id or None,
                attributes=attributes,
                destination_identities=to,
            )
        )
        number = next(ffi.numbers)

        try:
            await self._settle(opening)
        except BaseException:
            opening.add_done_callback(self._abandon)
            raise
        self._writers[number] = opening.result()
        return number

    async def write(self, number: int, data: bytes) -> None:
        """See `RoomPort.write_stream`."""
        writer = self._writers.get(number)
        if writer is None:
            raise conflict(ConflictReason.LEFT, "The connection ended before all was sent.")
        is_text = isinstance(writer, native.sdk().TextStreamWriter)
        await self._settle(self._begin(writer.write(data.decode() if is_text else data)))

    async def end(self, number: int, reason: str) -> None:
        """See `RoomPort.end_stream`."""
        writer = self._writers.pop(number, None)
        if writer is not None and not self._ended.done():
            await self._settle(self._begin(writer.aclose(reason=reason)))

    def _abandon(self, opening: asyncio.Task[Any]) -> None:
        """End a stream whose opening nobody waited for: on its own it would pass for whole."""
        is_open = not opening.cancelled() and opening.exception() is None
        if is_open and not self._ended.done():
            self._begin(opening.result().aclose(reason="its sender gave it up"))

    def _begin(self, step: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        if self._ended.done():
            step.close()
            raise conflict(ConflictReason.LEFT, "The connection ended before all was sent.")
        task = asyncio.create_task(step, name="utd_rx.rtc: send a stream")
        self._steps.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._steps.discard(task)
        if not task.cancelled():
            task.exception()  # seen: nobody may be left to see it

    async def _settle(self, step: asyncio.Task[Any]) -> None:
        rivals: list[asyncio.Future[Any]] = [step, self._ended]
        await asyncio.wait(rivals, timeout=WRITE_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
        if self._ended.done():
            raise conflict(ConflictReason.LEFT, "The connection ended before all was sent.")
        if not step.done():
            message = f"LiveKit did not take a part within {WRITE_TIMEOUT:g} s."
            raise UTDStreamException(message, code=UTDErrorCode.TIMEOUT)
        if isinstance(error := step.exception(), native.sdk().data_stream.StreamError):
            words = foreign_text(error.description)
            raise UTDStreamException(f"Sending failed: {words}", code=UTDErrorCode.NETWORK)
        step.result()


def _info(told: Any, sender: str) -> TransferInfo:
    return TransferInfo(
        told.stream_id,
        sender,
        told.topic,
        getattr(told, "name", ""),
        told.mime_type,
        told.size or None,
        FrozenMap(told.attributes or {}),
        told.timestamp / 1000 if told.timestamp else None,
    )
