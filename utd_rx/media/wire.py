"""What crosses between the app and its media process: frozen messages, pickled one by one.

Both ends are the same code of the same user, so that a pickle proves as much as the process that
reads it: there is no border between them that it could open.
"""

from __future__ import annotations

import io
import logging
import pickle
import struct
import sys
from typing import Any, Final, TypeAlias

from attrs import frozen

from utd_rx.errors import UTDErrorCode, UTDStreamException, invalid
from utd_rx.media.ring import RingShape
from utd_rx.models.audio import AudioFormat
from utd_rx.models.secrets import foreign_text
from utd_rx.models.video import VideoFormat

logger: Final = logging.getLogger(__name__)

HEADER: Final = struct.Struct("!IB")
"""Before each message: its bytes, and how many descriptors came along."""

_KNOWN: Final = sys.stdlib_module_names | {"utd_rx", "numpy"}

MAX_MESSAGE: Final = 1024 * 1024 * 1024
"""Bytes: everybody's metadata in a full room, half a megabyte each. Anything longer says that the
two ends have lost each other."""

MAX_DESCRIPTORS: Final = 8
"""With one message."""


@frozen
class SinkNumber:
    """Stands for a function that stays in the app, in the place of an argument; `takes` says what,
    where that does not come through the pipe alone."""

    number: int
    takes: str = ""


# -- from the app to the child --------------------------------------------------------------------


@frozen
class MakePort:
    """Call `factory`, a `module:name`, with arguments, and let `port` name what it returns."""

    port: int
    factory: str
    words: bytes


@frozen
class DropPort:
    """Nobody in the app knows that port any more."""

    port: int


@frozen
class Ask:
    """Call a method of a port; `words` are its pickled arguments, `(args, kwargs)`."""

    number: int
    port: int
    method: str
    words: bytes
    wants_result: bool = True
    says_begun: bool = False


@frozen
class CancelAsk:
    """Nobody waits for it any more; its result is sent all the same."""

    number: int


@frozen
class StopAsk:
    """Call what a method that listens returned."""

    number: int


# -- from the child to the app --------------------------------------------------------------------


@frozen
class Result:
    """What became of an `Ask`; `words` is pickled, what was returned, or raised."""

    number: int
    words: bytes
    is_error: bool = False


@frozen
class AskBegun:
    """What a port tells behind this, it tells since it was asked something that `says_begun`."""

    port: int


@frozen
class Delivery:
    """What a port told a sink: one batch."""

    sink: int
    batch: Any


@frozen
class ForgetSink:
    """The port has let go of it."""

    sink: int


@frozen
class Beat:
    """The child's loop turns."""


@frozen
class ChildLog:
    """A line of the child's log."""

    name: str
    level: int
    text: str


# -- frames, either way ---------------------------------------------------------------------------


@frozen
class RingMade:
    """Frames for a sink, or of an opening, lie in this ring from now on; its memory and its bell
    come along."""

    number: int
    shape: RingShape


# -- sources that stay in the app: to the app -----------------------------------------------------


@frozen
class Lent:
    """Stands for a source that stays in the app, in the place of an argument."""

    number: int
    format: AudioFormat | VideoFormat | None


@frozen
class OpenLent:
    """Open a source, and give this opening a number."""

    opening: int
    lent: int


@frozen
class ShutLent:
    """Close an opening, also one that is not open yet."""

    opening: int


@frozen
class ReturnLent:
    """Nobody in the child knows that source any more."""

    lent: int


# -- and to the child -----------------------------------------------------------------------------


@frozen
class LentOpened:
    """It is open, or failed with an error; `is_losable` says that it may lose its device."""

    opening: int
    error: Exception | None = None
    is_losable: bool = False


@frozen
class LentLost:
    """Its device is lost, or with None back."""

    opening: int
    failure: UTDStreamException | None


@frozen
class LentStray:
    """It has delivered what is no frame, of a type of this name."""

    opening: int
    type_name: str


@frozen
class LentEnded:
    """There is no more of it, or it failed."""

    opening: int
    error: Exception | None = None


@frozen
class LentShut:
    """It is closed; the last word of an opening."""

    opening: int


Message: TypeAlias = (
    MakePort
    | DropPort
    | Ask
    | CancelAsk
    | StopAsk
    | AskBegun
    | Result
    | Delivery
    | ForgetSink
    | Beat
    | ChildLog
    | RingMade
    | OpenLent
    | ShutLent
    | ReturnLent
    | LentOpened
    | LentLost
    | LentStray
    | LentEnded
    | LentShut
)


def pickled_error(error: BaseException) -> bytes:
    """Return an error as it crosses: itself, or of one that cannot what it says."""
    try:
        words = pickle.dumps(error)
        pickle.loads(words)  # noqa: S301 - some can be pickled, and not be made again
    except Exception:  # noqa: BLE001 - whatever somebody else's `__reduce__` raises
        return pickle.dumps(UTDStreamException(said(error), code=UTDErrorCode.UNKNOWN))
    return words


def said(error: BaseException) -> str:
    """Return what an error says, whoever wrote it, to be said within another."""
    return f"{type(error).__name__}: {foreign_text(str(error))}"


class _Plainly(pickle.Pickler):
    """Takes a text or a number of somebody's own class, as a `StrEnum`'s, for what it is as one:
    the class may not be there."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, str | bytes | int | float) and not is_known(type(value).__module__):
            bare = _bare(value)
            return type(bare), (bare,)
        return NotImplemented


def _bare(value: str | bytes | float) -> str | bytes | float:
    """Return it without its class, past whatever that does."""
    match value:
        case str():
            return str.__str__(value)
        case bytes():
            return bytes.__getitem__(value, slice(None))
        case int():
            return int.__int__(value)
        case _:
            return float.__float__(value)


def is_known(module: str) -> bool:
    """Whether a module is the same in the child. Others may be what the app was started with, and
    would run a second time there."""
    return module.partition(".")[0] in _KNOWN


def pickled_value(value: object, what: str) -> bytes:
    """Return a value as it crosses, or raise `VALIDATION`: it is alive, or too large."""
    try:
        pickled = io.BytesIO()
        _Plainly(pickled, pickle.HIGHEST_PROTOCOL).dump(value)
        words = pickled.getvalue()
    except UTDStreamException:
        raise
    except Exception as error:
        raise invalid(
            f"{what} cannot go to the media process, as it is no value: {said(error)}"
        ) from error
    if len(words) > MAX_MESSAGE // 2:
        raise invalid(
            f"{what} is too large for the media process: {len(words)} bytes, and "
            f"{MAX_MESSAGE // 2} are the most; leave it in a file"
        )
    return words


def unpickled(words: bytes, *, is_error: bool) -> tuple[Any, bool]:
    """Return a result as it was sent, and whether it is an error: also where it cannot be made."""
    try:
        return pickle.loads(words), is_error  # noqa: S301 - see the module
    except Exception as error:  # noqa: BLE001 - whatever somebody else's class raises
        return misunderstood(f"no result ({said(error)})"), True


def framed(message: Message, descriptors: int = 0) -> bytes:
    """Return a message as it is written."""
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return HEADER.pack(len(body), descriptors) + body


class Unframer:
    """Takes bytes as they come, and gives the messages they make."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> None:
        self._bytes += data

    def next(self) -> tuple[Message, int] | None:
        """Return the next message and its number of descriptors, None until it is whole; raise
        `MALFORMED_RESPONSE` for what is none. One that cannot be made here is dropped, and
        logged."""
        while len(self._bytes) >= HEADER.size:
            length, descriptors = HEADER.unpack_from(self._bytes)
            if length > MAX_MESSAGE or descriptors > MAX_DESCRIPTORS:
                raise misunderstood("a message too long")
            end = HEADER.size + length
            if len(self._bytes) < end:
                break
            body = bytes(self._bytes[HEADER.size : end])
            del self._bytes[:end]
            try:
                message: Message = pickle.loads(body)  # noqa: S301 - see the module
            except Exception as error:
                is_whole = body.startswith(pickle.PROTO) and body.endswith(pickle.STOP)
                if descriptors or not is_whole:  # nobody would take the descriptors
                    raise misunderstood(f"no message ({said(error)})") from error
                words = said(error)
                logger.error("a message that cannot be made here is lost: %s", words)  # noqa: TRY400 - somebody else's words
            else:
                return message, descriptors
        return None


def misunderstood(what: str) -> UTDStreamException:
    """Return what is raised when the two ends have lost each other."""
    return UTDStreamException(
        f"the app and its media process do not understand each other: {what}",
        code=UTDErrorCode.MALFORMED_RESPONSE,
    )
