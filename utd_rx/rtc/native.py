"""The door to `livekit.rtc`: imported on first use.

`utd_rx` may be imported where nobody joins a room, so LiveKit's 27 MB library is loaded by
`sdk()` and nowhere else. Private names of livekit 1.2 are used in three files: here, in `ffi`
and in `last_resort`, each behind a check, with a public way out when a release lacks it:

* `Room._on_room_event`, to see `participants_updated`, which changes participants without any
  Python event; without it such a change is told with the next event about the same participant;
* `Room._token`, for a new connection after a long outage; without it the minted token is used;
* `_ffi_client`, `_proto` and `_ffi_handle`, see `ffi` and `last_resort`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.secrets import foreign_text, without_tokens
from utd_rx.rtc import ffi, last_resort

if TYPE_CHECKING:
    from livekit import rtc

EmitSink: TypeAlias = Callable[[str, tuple[Any, ...]], None]
"""Takes the name and the arguments of one of LiveKit's events; never raises."""

_LOGGER: Final = logging.getLogger("livekit")

_NOISE: Final = ("Attempted to drop unknown FFI handle", "closed unexpectedly")
"""What LiveKit says about its own end: a room that is left drops the handle of each track that ever
was, though Python did when the track ended; a room that is closed by the server sees its channels
close. Neither is caused by anybody, and both stood in nearly every log."""


def _is_told(record: logging.LogRecord) -> bool:
    """Whether a line of LiveKit's log is let through; without tokens, which servers quote."""
    message = record.getMessage()
    if "eyJ" in message:
        record.msg, record.args = without_tokens(message), ()
    return _LOGGER.isEnabledFor(logging.DEBUG) or not any(noise in message for noise in _NOISE)


@cache
def sdk() -> Any:
    """Return the module `livekit.rtc`, imported on the first call.

    Raises:
        UTDStreamException: `FEATURE_DISABLED` when its native library does not load.
    """
    try:
        from livekit import rtc

        _LOGGER.addFilter(_is_told)
        last_resort.register()
        if ffi.is_available():
            ffi.spare_finalizers(rtc.Room, rtc.AudioStream, rtc.VideoStream)
    except ImportError as error:
        raise UTDStreamException(
            f"LiveKit's native library does not load ({foreign_text(str(error))}): "
            "pip install --force-reinstall livekit",
            code=UTDErrorCode.FEATURE_DISABLED,
        ) from error
    return rtc


def new_room() -> rtc.Room:
    """Return a fresh room; used for one connection and thrown away."""
    ffi.sweep()
    room: rtc.Room = _room_type()()
    last_resort.guard(room)
    return room


def listen(room: rtc.Room, on_emit: EmitSink) -> None:
    """Show every event of `room`, a `new_room`, before any listener that an app registers there.

    Not by registering: LiveKit reflects on each listener at each event, which costs more than the
    event, and one that raises may starve those behind it (docs/livekit.md, "Starved listeners").
    `participants_updated`, with identities, is LiveKit's own, and has no event otherwise.
    """
    hooked: Any = room
    hooked.on_emit = on_emit


def room_sid(room: rtc.Room) -> str:
    """Return the room's sid, "" while the server has not told it."""
    # `Room.sid` is a coroutine that returns at once when the sid is known and otherwise waits,
    # once for ever (docs/livekit.md, "A sid that never comes"), or raises: one step of it is all
    # that is needed.
    waiting = room.sid
    try:
        waiting.send(None)
    except StopIteration as known:
        return str(known.value)
    except RuntimeError:
        pass
    finally:
        waiting.close()
    return ""


@cache
def _room_type() -> Any:
    base: Any = sdk().Room

    class HookedRoom(base):  # type: ignore[misc]  # its base is only known at run time
        """A room that shows what it emits, and what it does not."""

        on_emit: EmitSink = staticmethod(lambda name, args: None)

        def emit(self, event: Any, *args: Any) -> None:
            self.on_emit(event, args)
            super().emit(event, *args)

        def _on_room_event(self, event: Any) -> None:
            super()._on_room_event(event)
            if event.WhichOneof("message") == "participants_updated":
                updated = event.participants_updated.participants
                self.on_emit("participants_updated", ([each.identity for each in updated],))

    return HookedRoom


def newest_token(room: rtc.Room) -> str | None:
    """Return what `room` was joined with, or what the server has renewed it to since.

    None when LiveKit hides it: only a private attribute has it.
    """
    return getattr(room, "_token", None)
