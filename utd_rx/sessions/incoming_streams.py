"""Texts and files that come: an item each, with its parts and its whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Final, Generic, TypeVar

import reactivex
from reactivex import Observable, abc
from reactivex.disposable import Disposable

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict, invalid
from utd_rx.models.checks import absolute, whole
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.secrets import foreign_text, printable
from utd_rx.models.transfers import TransferInfo
from utd_rx.ports.threads import in_thread
from utd_rx.state.piping import piped
from utd_rx.state.reports import report

T = TypeVar("T")

MAX_WAITING: Final = 16 * 1024 * 1024
"""Bytes of an item that wait for who takes them, each part with `PER_PART`, or for the disk."""

SHORT: Final = 64 * 1024
"""Bytes of an item, counted likewise, up to which it is a short one."""

PER_PART: Final = 64
"""Bytes that a part takes besides its own."""

MAX_WHOLE: Final = 16 * 1024 * 1024
"""Bytes of an item in memory, where nothing else is said."""

MAX_FILE: Final = 1024 * 1024 * 1024
"""Bytes of an item on the disk, where nothing else is said."""

MAX_FILE_NAME: Final = 240
"""Bytes of a file's name: disks take 255, and a number may be added."""


class IncomingTransfer(Generic[T]):
    """Something that somebody sends; it is taken once: as `chunks`, or whole.

    Attributes:
        info: What its sender says of it.
        attributes: Text by key: those of `info`, and in the end what its sender added to them.
    """

    def __init__(
        self, info: TransferInfo, decode: Callable[[bytes], T], drop: Callable[[], None]
    ) -> None:
        self.info = info
        self.attributes = info.attributes
        self._decode: Callable[[bytes], T] = decode
        self._drop = drop
        self._waiting: list[bytes] = []
        self._size = 0
        self._weight = 0
        self._is_over = False
        self._failure: UTDStreamException | None = None
        self._is_taken = False
        self._take: Callable[[bytes], None] = self._keep
        self._end: Callable[[], None] = lambda: None

    def __repr__(self) -> str:
        stands = "coming" if not self._is_over else "failed" if self._failure else "whole"
        return f"<{type(self).__name__} of {self.info.sender!r}, {self._size} bytes, {stands}>"

    @property
    def failure(self) -> UTDStreamException | None:
        """Why it failed, None while it has not."""
        return self._failure

    @property
    def chunks(self) -> Observable[T]:
        """Its parts as they come, from the first on; it ends with the last, or with why it failed.

        For one observer: to another one it is an error, `CONFLICT`, already. What waits for it is
        bounded to 16 MiB: what nobody takes fails beyond.
        """
        chunks: Observable[T] = piped(reactivex.create(self._observe))
        return chunks

    async def read(self, *, limit: int = MAX_WHOLE) -> T:
        """Return the whole, in memory.

        Args:
            limit: Bytes beyond which it is given up, whatever was announced.

        Raises:
            UTDStreamException: `VALIDATION` it is larger than `limit`; `CONFLICT` it is taken
                already, or this client left before all had come; `NETWORK` its sender stopped or
                left; `RATE_LIMITED` too many large ones came at a time.

        Cancelling is safe, and gives it up.
        """
        whole(limit, "limit", 1)
        came = bytearray()  # of any number of parts
        await self._taken(came.extend, limit)
        read: T = self._decode(bytes(came))
        return read

    # --- for who receives it --------------------------------------------------------------------

    @property
    def is_large(self) -> bool:
        """Whether it has brought more than a short one, or announced it."""
        return self._weight > SHORT or (self.info.size or 0) > SHORT

    def part(self, data: bytes) -> None:
        """Take a part."""
        if not self._is_over:
            self._size += len(data)
            self._weight += len(data) + PER_PART
            self._take(data)

    def end(
        self,
        failure: UTDStreamException | None = None,
        added: FrozenMap[str, str] = FrozenMap(),  # noqa: B008 - it cannot change
    ) -> None:
        """Take the end, once."""
        if self._is_over:
            return
        self.attributes = FrozenMap({**self.attributes, **added})
        announced = self.info.size
        if failure is None and announced is not None and announced != self._size:
            sender = foreign_text(self.info.sender)
            words = f"{sender} announced {announced} bytes and sent {self._size}"
            failure = UTDStreamException(words, code=UTDErrorCode.MALFORMED_RESPONSE)
        self._is_over, self._failure = True, failure
        self._end()

    # --- inside ---------------------------------------------------------------------------------

    def _keep(self, data: bytes) -> None:
        self._waiting.append(data)
        if self._size + PER_PART * len(self._waiting) > MAX_WAITING:
            self._waiting.clear()
            self._give_up(_too_large("what nobody takes", MAX_WAITING))

    def _give_up(self, failure: UTDStreamException) -> None:
        self._drop()
        self.end(failure)

    def _begin(self, take: Callable[[bytes], None], end: Callable[[], None]) -> None:
        """Hand over what waits, and what comes from now on."""
        if self._is_taken:
            raise conflict(ConflictReason.ALREADY, "it is taken already: it comes once")
        self._is_taken = True
        waiting, self._waiting = self._waiting, []
        self._take, self._end = take, end
        for data in waiting:
            take(data)
        if self._is_over:
            end()

    async def _taken(self, take: Callable[[bytes], None], limit: int) -> None:
        """Take all of it, `limit` bytes at most."""
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        size = 0

        def count(data: bytes) -> None:
            nonlocal size
            size += len(data)
            if size <= limit:
                take(data)
            else:
                self._give_up(_too_large("it", limit))

        def end() -> None:
            if not over.done():
                over.set_result(None)

        self._begin(count, end)
        try:
            await over
        except asyncio.CancelledError:
            self._give_up(conflict(ConflictReason.LEFT, "nobody waits for it any more"))
            raise
        if size > limit:
            raise _too_large("it", limit)
        if self._failure is not None:
            raise self._failure

    def _observe(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        def take(data: bytes) -> None:
            try:
                observer.on_next(self._decode(data))
            except BaseException as error:  # noqa: BLE001 - reported, or an interrupt and raised
                report(error, "an observer of chunks")

        def end() -> None:
            if self._failure is None:
                observer.on_completed()
            else:
                observer.on_error(self._failure)

        try:
            self._begin(take, end)
        except UTDStreamException as error:
            observer.on_error(error)
            return Disposable()

        def stop() -> None:
            self._take, self._end = lambda data: None, lambda: None
            self._drop()

        return Disposable(stop)


class IncomingText(IncomingTransfer[str]):
    """A text that somebody sends; see `IncomingTransfer`."""

    def __init__(self, info: TransferInfo, drop: Callable[[], None]) -> None:
        super().__init__(info, lambda data: data.decode(errors="replace"), drop)


class IncomingFile(IncomingTransfer[bytes]):
    """A file that somebody sends; see `IncomingTransfer`."""

    def __init__(self, info: TransferInfo, drop: Callable[[], None]) -> None:
        super().__init__(info, lambda data: data, drop)

    async def save(
        self, folder: str | Path, *, name: str | None = None, limit: int = MAX_FILE
    ) -> Path:
        """Write it to a new file in `folder`, and return its path; what fails leaves none.

        The sender's name is a proposal: of a path its last part is taken, without what is hidden
        or reserved, and a number is added rather than another file replaced. It never leaves
        `folder`.

        Args:
            folder: Which is there.
            name: Another name than the sender's.
            limit: Bytes beyond which it is given up, whatever was announced.

        Raises:
            UTDStreamException: As `read`; `VALIDATION` also for a `name` that is none.
            OSError: What the disk says.

        Cancelling is safe: nothing stays.
        """
        whole(limit, "limit", 1)
        if name is not None and safe_name(name) != name:
            raise invalid(f"{name!r} is no file's name: one without folders, not hidden")
        place = absolute(folder, "folder")
        if self._is_taken:
            raise conflict(ConflictReason.ALREADY, "it is taken already: it comes once")
        called = name or safe_name(self.info.name)
        opening = asyncio.ensure_future(in_thread(_new_file, place, called))
        is_whole = False
        try:
            path, file = await asyncio.shield(opening)
            await self._written(file, limit)
            is_whole = True
            return path
        finally:
            closing = asyncio.ensure_future(_closed(opening, is_whole))
            await asyncio.shield(closing)

    async def _written(self, file: IO[bytes], limit: int) -> None:
        waiting = bytearray()
        news = asyncio.Event()

        def take(data: bytes) -> None:
            waiting.extend(data)
            news.set()
            if len(waiting) > MAX_WAITING:
                waiting.clear()
                self._give_up(_too_large("what waits for the disk", MAX_WAITING))

        taking = asyncio.ensure_future(self._taken(take, limit))
        taking.add_done_callback(lambda _: news.set())
        try:
            while not taking.done() or waiting:
                await news.wait()
                news.clear()
                parts = bytes(waiting)
                waiting.clear()
                await in_thread(file.write, parts)
            taking.result()
        finally:
            taking.cancel()


_RESERVED: Final = {"con", "prn", "aux", "nul"} | {
    f"{a}{n}" for a in ("com", "lpt") for n in range(10)
}
"""Names that Windows gives to devices, whatever the ending."""


def safe_name(proposed: str) -> str:
    """Return a name for a file in any folder, as close to `proposed` as is safe; total."""
    last = PurePosixPath(PureWindowsPath(proposed).name).name
    plain = printable(last.encode(errors="replace").decode())
    plain = "".join("_" if sign in '<>:"/\\|?*\ufffd' else sign for sign in plain)
    plain = plain.strip(" .")
    if len(plain.encode()) > MAX_FILE_NAME:
        stem, dot, ending = plain.rpartition(".")
        if dot and stem:
            ending = "." + _cut(ending, 16)
            plain = _cut(stem, MAX_FILE_NAME - len(ending.encode())) + ending
        else:
            plain = _cut(plain, MAX_FILE_NAME)
    if not plain:
        return "file"
    return f"_{plain}" if plain.split(".")[0].lower().strip() in _RESERVED else plain


def _cut(text: str, size: int) -> str:
    """Return what fits into `size` bytes of whole characters, and ends in something to be seen."""
    return text.encode()[:size].decode(errors="ignore").rstrip(" .\u200c\u200d")


def _new_file(folder: Path, name: str) -> tuple[Path, IO[bytes]]:
    stem, dot, ending = name.rpartition(".")
    for number in range(1, 10_000):
        numbered = f"{stem} ({number}){dot}{ending}" if dot and stem else f"{name} ({number})"
        path = folder / (name if number == 1 else numbered)
        try:
            return path, path.open("xb")
        except FileExistsError:
            continue
    raise FileExistsError(f"{folder} has 10,000 files named {name}")


async def _closed(opening: asyncio.Future[tuple[Path, IO[bytes]]], is_whole: bool) -> None:
    await asyncio.wait([opening])
    if opening.exception() is None:
        await in_thread(_close, *opening.result(), is_whole)


def _close(path: Path, file: IO[bytes], is_whole: bool) -> None:
    try:
        file.close()
    finally:
        if not is_whole:
            path.unlink(missing_ok=True)


def _too_large(what: str, limit: int) -> UTDStreamException:
    return invalid(f"{what} is larger than {limit} bytes")
