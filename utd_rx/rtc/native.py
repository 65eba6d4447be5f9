"""The door to `livekit.rtc`: imported on first use.

`utd_rx` may be imported where nobody joins a room, so LiveKit's 27 MB library is loaded by
`sdk()` and nowhere else. Private names of livekit 1.2.0 are used in three files: here, in `ffi`
and in `last_resort`, each behind a check, with a public way out when a release lacks it:

* `Room._on_room_event`, to see `participants_updated`, which changes participants without any
  Python event; without it such a change is told with the next event about the same participant;
* `Room._token`, for a new connection after a long outage; without it the minted token is used;
* `_ffi_client`, `_proto` and `_ffi_handle`, see `ffi` and `last_resort`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from utd_rx.rtc import last_resort

if TYPE_CHECKING:
    from livekit import rtc

UpdateSink: TypeAlias = Callable[[list[str]], None]
"""Takes the identities whose participant was replaced without an event."""


@cache
def sdk() -> Any:
    """Return the module `livekit.rtc`, imported on the first call."""
    from livekit import rtc

    return rtc


def new_room(on_update: UpdateSink) -> rtc.Room:
    """Return a fresh room; used for one connection and thrown away (defect D2)."""
    room: rtc.Room = _room_type()()
    last_resort.guard(room)
    if hasattr(room, "on_update"):
        room.on_update = on_update
    return room


def has_event_hook() -> bool:
    """Whether native events can be seen below the Python ones."""
    return hasattr(sdk().Room, "_on_room_event")


def room_sid(room: rtc.Room) -> str:
    """Return the room's sid, "" while the server has not told it."""
    # `Room.sid` is a coroutine that returns at once when the sid is known and otherwise waits,
    # once for ever (defect D15): one step of it is all that is needed.
    waiting = room.sid
    try:
        waiting.send(None)
    except StopIteration as known:
        sid: str = known.value
        return sid
    else:
        return ""
    finally:
        waiting.close()


@cache
def _room_type() -> Any:
    base: Any = sdk().Room
    if not has_event_hook():
        return base

    class HookedRoom(base):  # type: ignore[misc]  # its base is only known at run time
        """A room that also says when it replaced participants."""

        on_update: UpdateSink | None = None

        def _on_room_event(self, event: Any) -> None:
            super()._on_room_event(event)
            if self.on_update is not None and event.WhichOneof("message") == "participants_updated":
                self.on_update([p.identity for p in event.participants_updated.participants])

    return HookedRoom


def newest_token(room: rtc.Room) -> str | None:
    """Return what `room` was joined with, or what the server has renewed it to since.

    None when LiveKit hides it: only a private attribute has it.
    """
    return getattr(room, "_token", None)
