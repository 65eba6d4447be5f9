"""Texts and files of a session: those that come, and those that it sends."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import reactivex
from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict, invalid
from utd_rx.models import events as ev
from utd_rx.models.checks import absolute
from utd_rx.models.secrets import foreign_text
from utd_rx.models.transfers import TransferInfo
from utd_rx.ports.methods import text as checked_text
from utd_rx.ports.room import RoomPort
from utd_rx.ports.threads import in_thread
from utd_rx.ports.transfers import (
    TransferBegan,
    TransferEnded,
    TransferHeader,
    TransferNews,
    TransferPart,
    topic_name,
)
from utd_rx.protocol.waiting import Waiting
from utd_rx.sessions.commands import command
from utd_rx.sessions.file_sending import FileSending, file_size, opened
from utd_rx.sessions.incoming_streams import IncomingFile, IncomingText
from utd_rx.sessions.media_view import MediaView
from utd_rx.sessions.runner import Runner
from utd_rx.state.events import EventStream
from utd_rx.state.piping import piped

St = TypeVar("St", bound=Waiting)

Incoming: TypeAlias = IncomingText | IncomingFile

MAX_COMING: Final = 64
"""Texts and files of more than `SHORT` that come at a time; what is more is not received, and told
as `DataMissed`."""

MAX_COMING_OF_ONE: Final = 16
"""Those of one sender."""

MAX_ALL: Final = 1024
"""Texts and files of any size that come at a time; likewise. Short ones that are sent one after the
other are many at a time where a busy loop hears of them together."""

MAX_ALL_OF_ONE: Final = 256
"""Those of one sender."""

MAX_SENDING: Final = 16
"""Texts and files that are sent at a time."""

MAX_SENT_TEXT: Final = 16 * 1024 * 1024
"""Bytes of a text; a larger one is a file."""

PART: Final = 60_000
"""Bytes of a part that LiveKit is given at a time; it splits them further."""


class Transfers:
    """What one session sends and receives so."""

    def __init__(self, runner: Runner[Any], room: RoomPort) -> None:
        self._runner = runner
        self._room = room
        self._coming: dict[int, Incoming] = {}
        self._topics: dict[tuple[str, bool], tuple[EventStream[Any], Callable[[], None]]] = {}
        self._observers: dict[tuple[str, bool], int] = {}
        self._sending: set[asyncio.Future[Any]] = set()
        self._own: dict[str, str] = {}
        runner.events.subscribe(self._mind, on_completed=self._close)

    # --- received -------------------------------------------------------------------------------

    def take(self, topic: str, sink: Callable[[IncomingText], None], instead: str) -> None:
        """Have the session itself take the texts of a topic; an app has what comes of them."""
        self._own[topic] = instead
        self.observe(topic, True).subscribe(sink)

    def texts(self, topic: str) -> Observable[IncomingText]:
        """Return the texts of a topic that the session does not take itself."""
        if (instead := self._own.get(topic)) is not None:
            message = f"the texts of {topic!r} are taken by the session: observe {instead}"
            raise conflict(ConflictReason.ALREADY, message)
        return self.observe(topic, True)

    def observe(self, topic: str, is_text: bool) -> Observable[Any]:
        """Return what comes on a topic, while somebody observes it."""
        key = topic_name(topic), is_text

        def subscribe(
            observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            self._runner.require_here()
            if key not in self._topics:
                stop = self._room.receive_streams(
                    topic, is_text, lambda news: self._hear(key, news)
                )
                self._topics[key] = EventStream(), stop
                self._observers[key] = 0
            self._observers[key] += 1
            receiving = self._topics[key][0].subscribe(observer, scheduler=scheduler)
            ending = Disposable(lambda: self._runner.at_home(lambda: self._unobserve(key)))
            return CompositeDisposable(receiving, ending)

        coming: Observable[Any] = piped(reactivex.create(subscribe))
        return coming

    def _unobserve(self, key: tuple[str, bool]) -> None:
        self._observers[key] -= 1
        if not self._observers[key] and key in self._topics:
            self._topics.pop(key)[1]()

    def _hear(self, key: tuple[str, bool], news: TransferNews) -> None:
        match news:
            case TransferBegan(number=number, info=info):
                self._arrive(key, number, info)
            case TransferPart(number=number, data=data):
                if (item := self._coming.get(number)) is not None:
                    was_large = item.is_large
                    item.part(data)
                    if item.is_large and not was_large and number in self._coming:
                        self._require_room(number, item)
            case TransferEnded(number=number, failure=failure, attributes=added):
                if (item := self._coming.pop(number, None)) is not None:
                    item.end(failure, added)

    def _arrive(self, key: tuple[str, bool], number: int, info: TransferInfo) -> None:
        is_text = key[1]

        def drop() -> None:
            if self._coming.pop(number, None) is not None:
                self._drop(number)

        if key not in self._topics or self._runner.machine.closed:
            self._drop(number)
            return
        item = self._coming[number] = (IncomingText if is_text else IncomingFile)(info, drop)
        if self._require_room(number, item):
            self._topics[key][0].emit(item)

    def _require_room(self, number: int, item: Incoming) -> bool:
        """Let an item go, and tell so, unless there is room for it."""
        is_large = item.is_large
        senders = [one.info.sender for one in self._coming.values() if one.is_large or not is_large]
        most, of_one = (MAX_COMING, MAX_COMING_OF_ONE) if is_large else (MAX_ALL, MAX_ALL_OF_ONE)
        if len(senders) <= most and senders.count(item.info.sender) <= of_one:
            return True
        del self._coming[number]
        self._drop(number)
        message = f"too many texts and files of {foreign_text(item.info.sender)} came at a time"
        item.end(UTDStreamException(message, code=UTDErrorCode.RATE_LIMITED))
        self._runner.tell(ev.DataMissed(1))
        return False

    def _drop(self, number: int) -> None:
        if not self._runner.machine.closed:
            self._runner.spawn(self._room.drop_stream(number), "drop a stream")

    def _mind(self, event: ev.RoomEvent) -> None:
        match event:
            case ev.ParticipantDisconnected(identity=identity):
                message = f"{foreign_text(identity)} left before all had come"
                left = UTDStreamException(message, code=UTDErrorCode.NETWORK)
                self._fail(left, lambda sender: sender == identity)
            case ev.Disconnected():
                message = "the connection ended before all had come"
                self._fail(conflict(ConflictReason.LEFT, message), lambda _: True)

    def _fail(self, failure: UTDStreamException, is_of: Callable[[str], bool]) -> None:
        for number, item in tuple(self._coming.items()):
            if is_of(item.info.sender):
                del self._coming[number]
                self._drop(number)
                item.end(failure)

    def _close(self) -> None:
        self._fail(conflict(ConflictReason.CLOSED, "the session is closed"), lambda _: True)
        for stream, stop in tuple(self._topics.values()):
            stop()
            stream.close()
        self._topics.clear()
        for sending in tuple(self._sending):
            sending.cancel()

    # --- sent -----------------------------------------------------------------------------------

    def require_sendable(self) -> None:
        """Check that one more can be sent."""
        self._runner.require_here()
        self._runner.require_joined()
        if len(self._sending) >= MAX_SENDING:
            message = f"{MAX_SENDING} texts and files are on their way: wait for one of them"
            raise conflict(ConflictReason.BUSY, message)

    async def send_text(self, text: str, header: TransferHeader) -> None:
        """Send a text, in parts."""
        data = checked_text(text, "a text", MAX_SENT_TEXT).encode()

        async def part() -> bytes:
            nonlocal data
            end = min(PART, len(data))
            while end < len(data) and data[end] & 0xC0 == 0x80:  # within a character
                end -= 1
            sent, data = data[:end], data[end:]
            return sent

        await self._send(lambda: self._send_now(header, part, lambda size: None))

    async def send_file(
        self, place: Path, header: TransferHeader, sent: Callable[[int], None]
    ) -> None:
        """Send a file, in parts."""

        async def send() -> None:
            file = await opened(place)
            try:
                await self._send_now(header, lambda: in_thread(file.read, PART), sent)
            finally:
                file.close()

        await self._send(send)

    async def _send(self, send: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.require_sendable()
        epoch = self._runner.require_joined()
        me = asyncio.ensure_future(send())
        self._sending.add(me)
        try:
            await me
        except asyncio.CancelledError:
            if self._runner.machine.closed:
                raise conflict(ConflictReason.CLOSED, "the session is closed") from None
            raise
        except UTDStreamException as error:
            if error.code is not UTDErrorCode.NETWORK or self._is_in(epoch):
                raise
            # Native code may say so of its own end before it says that it has ended.
            message = "the room was left before all was sent"
            raise conflict(ConflictReason.LEFT, message) from error
        finally:
            me.cancel()
            self._sending.discard(me)

    def _is_in(self, epoch: int) -> bool:
        connection = self._runner.session.connection
        return connection.epoch == epoch and not connection.is_resting

    async def _send_now(
        self, header: TransferHeader, part: Callable[[], Any], sent: Callable[[int], None]
    ) -> None:
        if header.to == ():
            return  # LiveKit takes an empty list for everybody
        number, size = await self._room.open_stream(header), 0
        reason = "its sender gave it up"
        try:
            while data := await part():
                size += len(data)
                if header.size is not None and size > header.size:
                    raise invalid(
                        f"the file holds more than the {header.size} bytes that it began with: "
                        "send a copy of it"
                    )
                await self._room.write_stream(number, data)
                sent(size)
            if header.size is not None and size < header.size:
                raise invalid("the file shrank while it was sent: send a copy of it")
            reason = ""
        finally:
            await self._room.end_stream(number, reason)


class Transferring(MediaView[St]):
    """The part of a session that sends and receives texts and files."""

    _transfers: Transfers

    @command
    async def send_text(
        self,
        text: str,
        *,
        topic: str = "",
        to: Sequence[str] | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        """Send a text of any length to everybody, or to the identities in `to`: LiveKit's text
        stream.

        Args:
            text: 16 MiB of UTF-8 at most.
            topic: What its receivers observe, `text_streams(topic)`; 256 bytes at most, and none of
                LiveKit's methods (`lk.rpc_…`).
            to: Identities, be they here or not; None for everybody who is here now.
            attributes: Text by key, for its receivers.

        Raises:
            UTDStreamException: `VALIDATION` what cannot be sent; `FORBIDDEN` sending data is not
                granted; `CONFLICT` not joined, left meanwhile, or 16 are on their way; `NETWORK`
                or `TIMEOUT` LiveKit does not take it.

        Cancelling is safe: its receivers are told that it failed.
        """
        self._transfers.require_sendable()
        header = TransferHeader(is_text=True, topic=topic, to=to, attributes=attributes or {})
        await self._transfers.send_text(text, header)

    def send_file(
        self,
        path: str | Path,
        *,
        topic: str = "",
        to: Sequence[str] | None = None,
        name: str | None = None,
        mime_type: str | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> FileSending:
        """Send a file to everybody, or to the identities in `to`: LiveKit's byte stream.

        It begins at once; `await` what is returned, and observe its `progress`.

        Args:
            path: Of a file, which is opened and read on a thread while it is sent; no pipe and
                no device.
            topic: What its receivers observe, `files(topic)`; 256 bytes at most.
            to: Identities, be they here or not; None for everybody who is here now.
            name: What its receivers are told, that of the file by default.
            mime_type: Likewise; guessed by the name by default.
            attributes: Text by key, for its receivers.

        Raises:
            UTDStreamException: As `send_text`, here or when it is awaited; `VALIDATION` what is
                no file, or not of the size that it began with, as those of `/proc`.
            OSError: There is no such file; when awaited, it cannot be opened or read.
        """
        self._transfers.require_sendable()
        place = absolute(path, "path")
        called = place.name if name is None else name
        guessed = mimetypes.guess_type(called)[0] or "application/octet-stream"
        header = TransferHeader(
            is_text=False,
            topic=topic,
            to=to,
            name=called,
            mime_type=guessed if mime_type is None else mime_type,
            size=file_size(place),
            attributes=attributes or {},
        )
        return FileSending(
            header.size or 0, lambda sent: self._transfers.send_file(place, header, sent)
        )

    def text_streams(self, topic: str) -> Observable[IncomingText]:
        """Return the texts that others send on a topic, each when it begins, while observed.

        Of those beyond 64 KiB 64 come at a time, 16 of one sender, and 1,024 of all, 256 of one;
        what is more is not received, or fails as `RATE_LIMITED` once it has begun, and `events`
        tells of it, `DataMissed`. Observe it on the session's loop. `VALIDATION` for what is no
        topic, or one of LiveKit's methods, `CONFLICT` for one that the session itself takes:
        `transcript`, and in a plain room `chat`, have its texts.
        """
        return self._transfers.texts(topic)

    def files(self, topic: str) -> Observable[IncomingFile]:
        """Return the files that others send on a topic, as `text_streams` the texts."""
        return self._transfers.observe(topic, False)
