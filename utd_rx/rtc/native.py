"""The door to `livekit.rtc`: imported on first use.

`utd_rx` may be imported where nobody joins a room, so LiveKit's 27 MB library is loaded by `sdk()`
and nowhere else. Private names of livekit 1.2 are used in four files, here, in `ffi`, in
`native_frames` and in `last_resort`; a release that lacks one is refused by `sdk()`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import threading
from collections import Counter, deque
from collections.abc import Callable
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.secrets import HIDDEN, foreign_text, hiding
from utd_rx.ports.threads import in_thread
from utd_rx.protocol.wire.tokens import MAX_CREDENTIAL
from utd_rx.rtc import ffi, last_resort

if TYPE_CHECKING:
    from livekit import rtc

RELEASES: Final = ">=1.2.0,<1.3"
"""Of livekit, as in pyproject.toml: all that is used of them is in each (`ffi.check`)."""

EmitSink: TypeAlias = Callable[[str, tuple[Any, ...]], None]
"""Takes the name and the arguments of one of LiveKit's events; never raises."""

TURN: Final = 0.005
"""Seconds for which events are taken in one turn of the loop; frames of sound are 0.01 apart."""

_LOGGER: Final = logging.getLogger("livekit")

DESCRIPTORS: Final = 32
"""That have to be free for a join: native code takes 13 for itself, and one for each network
interface of a machine."""

MAX_LINE: Final = 5_000
"""Characters of a line of LiveKit's log: an SDP has as many, a server's body has any number."""

MAX_READ: Final = 64 * 1024
"""Characters of such a line that are looked at, for each of the secrets."""

_SPELLED: Final = 8
"""Characters that one of a secret may stand for, where it is escaped, and escaped again."""

_NOISE: Final = (
    "Attempted to drop unknown FFI handle",
    "closed unexpectedly",
    "Called in wrong state: closed",
    "video stream queue overflow",
)
"""What LiveKit says about its own end: a room that is left drops the handle of each track that ever
was, though Python did when the track ended; a room that is closed by the server sees its channels
close; on a busy machine a room is closed before the server was told that its track is gone. None
is caused by anybody, and they stood in nearly every log. And that a newer picture took the place of
one that waited, which is what was asked for."""


_KEY: Final = re.compile(r"(key: (?:Some\()?)\[[\d, ]*\]")
"""A key of encryption in a request that LiveKit's native side writes into its log as it failed."""


KEPT: Final = 64
"""Secrets that LiveKit's log does not show: those of the latest joins and renewals."""

MAX_KEPT: Final = 512 * 1024
"""Characters of them together; the newest is kept in any case."""

_secrets: Final[deque[str]] = deque(maxlen=KEPT)
_hiding: Final = lru_cache(maxsize=1)(hiding)


def hide(*secrets: str | None) -> None:
    """Keep secrets out of LiveKit's log, which quotes servers; it may do so when a room is gone."""
    usable = filter(None, map(_usable, secrets))
    _secrets.extend(one for one in usable if one not in _secrets)
    while len(_secrets) > 1 and sum(map(len, _secrets)) > MAX_KEPT:
        _secrets.popleft()


_UNREAD: Final = ("Decryption failed", "Failed to decrypt", "handle_encrypted_data error")
"""What it says of each message that is not decrypted, as often as somebody sends one."""

_unread = Counter[str]()


def _is_too_often(message: str) -> bool:
    """Whether it was said so often that another time says nothing: the first is told, the second,
    the fourth and so on."""
    said = next((one for one in _UNREAD if one in message), None)
    if said is None:
        return False
    _unread[said] += 1
    return _unread[said].bit_count() > 1


def _is_told(record: logging.LogRecord) -> bool:
    """Whether a line of LiveKit's log is let through; as foreign text, since it quotes servers."""
    message = record.getMessage()
    if _is_too_often(message):
        return False
    record.msg, record.args = foreign_text(_unsaid(message), max_text=MAX_LINE), ()
    return _LOGGER.isEnabledFor(logging.DEBUG) or not any(noise in message for noise in _NOISE)


def _unsaid(message: str) -> str:
    """Return it, or its beginning, without what is secret."""
    unsaid = _hiding(*_secrets)(_KEY.sub(r"\1[…]", message[:MAX_READ]))
    if len(message) <= MAX_READ:
        return unsaid
    # At its end may be the beginning of a secret, or of a key.
    parted = _SPELLED * max((256, *map(len, _secrets)))
    return unsaid[: max(0, len(unsaid) - parted)] + HIDDEN


async def ready() -> None:
    """Load LiveKit, which takes 0.1 s, without holding up the loop."""
    if not sdk.cache_info().currsize:
        await in_thread(sdk)


_LOADING: Final = threading.Lock()
"""Of two threads that load LiveKit at once each would make a client of its native interface, and
the callback of one hears nothing: a join through it never ends."""


@cache
def sdk() -> Any:
    """Return the module `livekit.rtc`, imported on the first call; `FEATURE_DISABLED` when it does
    not load, or lacks a private name."""
    with _LOADING:
        return _load()


def _load() -> Any:
    try:
        from livekit import rtc

        ffi.check()
        _LOGGER.addFilter(_is_told)
        last_resort.register()
        ffi.spare_finalizers(rtc.Room, rtc.AudioStream, rtc.VideoStream)
        ffi.mind_join_once(type(ffi.client()))
    except (ImportError, AttributeError) as error:
        raise UTDStreamException(
            "LiveKit's native library does not load, or is a release without what is used of it "
            f'({foreign_text(str(error))}): pip install --force-reinstall "livekit{RELEASES}"',
            code=UTDErrorCode.FEATURE_DISABLED,
        ) from error
    return rtc


def new_room() -> rtc.Room:
    """Return a fresh room; used for one connection and thrown away.

    Raises:
        UTDStreamException: `NETWORK`: the process has no descriptors left; as `sdk` says.
    """
    _require_descriptors()
    ffi.sweep()
    room: rtc.Room = _room_type()()
    last_resort.guard(room)
    return room


def _require_descriptors() -> None:
    """Check that a join finds descriptors: native code that begins without them never recovers,
    though there are some later (docs/livekit.md, "No descriptors")."""
    found: list[int] = []
    try:
        while len(found) < DESCRIPTORS:
            found.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        raise UTDStreamException(
            f"Joining needs {DESCRIPTORS} file descriptors, and this process has not so many left "
            f"({error.strerror}): close what it holds open, or raise `ulimit -n`.",
            code=UTDErrorCode.NETWORK,
        ) from error
    finally:
        for descriptor in found:
            os.close(descriptor)


def listen(room: rtc.Room, on_emit: EmitSink) -> None:
    """Show every event of `room`, a `new_room`, before any listener that an app registers there,
    and not as one of those (docs/livekit.md, "Starved listeners")."""
    hooked: Any = room
    hooked.on_emit = on_emit
    if (queue := getattr(room, "_ffi_queue", None)) is not None:  # of one that is joined
        take_turns(queue)


async def end_listening(room: rtc.Room) -> None:
    """End LiveKit's task that hears of `room`. It waits for ever where a server says that this
    client left of its own accord, for then native code says no end."""
    task: asyncio.Task[None] | None = getattr(room, "_task", None)
    if task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task])


def take_turns(queue: Any) -> None:
    """Let who takes from `queue`, an `asyncio.Queue`, give way every `TURN`: one that is never
    empty, as when thousands arrive at once, would be served to its end in one turn of the loop."""
    take, loop = queue.get, asyncio.get_running_loop()
    until = 0.0

    async def take_in_turn() -> Any:
        nonlocal until
        if queue.empty():
            item = await take()
            until = loop.time() + TURN
            return item
        if loop.time() >= until:
            await asyncio.sleep(0)
            until = loop.time() + TURN
        return await take()

    queue.get = take_in_turn


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


_UNREST: Final = frozenset(("connection_state_changed", "disconnected", "reconnecting"))


def unrest(room: rtc.Room) -> int | None:
    """Return how often the connection of a room has changed, None while it is not joined."""
    is_joined = getattr(room, "isconnected", None)
    return getattr(room, "unrest", 0) if is_joined is not None and is_joined() else None


@cache
def _room_type() -> Any:
    base: Any = sdk().Room
    connected = (sdk().ConnectionState.CONN_CONNECTED,)

    class HookedRoom(base):  # type: ignore[misc]  # its base is only known at run time
        """A room that shows what it emits, and two events that it keeps to itself."""

        on_emit: EmitSink = staticmethod(lambda name, args: None)
        unrest = 0

        def emit(self, event: Any, *args: Any) -> None:
            # Its first connection is told when the join has returned, and is no unrest.
            self.unrest += event in _UNREST and args != connected
            self.on_emit(event, args)
            super().emit(event, *args)

        def _on_room_event(self, event: Any) -> None:
            super()._on_room_event(event)
            match event.WhichOneof("message"):
                case "participants_updated":
                    updated = event.participants_updated.participants
                    self.on_emit("participants_updated", ([each.identity for each in updated],))
                case "room_sid_changed":
                    self.on_emit("room_updated", ())
                case "token_refreshed":
                    hide(event.token_refreshed.token)

    return HookedRoom


def newest_token(room: rtc.Room) -> str | None:
    """Return what `room` was joined with, or what the server has renewed it to since; None when
    LiveKit hides it, as only a private attribute has it, or a server makes it without end."""
    return _usable(getattr(room, "_token", None))


def _usable(token: str | None) -> str | None:
    return token if token is not None and len(token) <= MAX_CREDENTIAL else None
