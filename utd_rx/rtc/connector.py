"""Joining a LiveKit room so that giving up is safe.

LiveKit's own `connect` must never be cancelled: the native join goes on and, 15 s later, ends the
process (docs/livekit.md, "Ghost joins"). So it runs in a task of its own that nothing here cancels.
Whoever stops waiting for it, by cancelling or by the deadline, gets out at once and leaves it to
`Connector`, which takes a late success back out of the room.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakSet

from attrs import field, frozen

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.encryption import Encryption
from utd_rx.models.secrets import foreign_text
from utd_rx.ports.proxy import Proxy
from utd_rx.protocol.wire.tokens import expired_at, out_of_date
from utd_rx.rtc import ffi, last_resort, native, overheard, streams, way
from utd_rx.rtc.encrypting import options_of

if TYPE_CHECKING:
    from livekit import rtc

logger: Final = logging.getLogger("utd_rx.rtc")

T = TypeVar("T")

CONNECT_TIMEOUT: Final = 15.0
"""Seconds for a whole join. LiveKit's own is 32 s on a silent server (4 tries of 5 s and waits);
on loopback a join takes 0.1 s, so 15 s leave room for three of its tries on a bad line."""

LEFTOVER_TIMEOUT: Final = 5.0
"""Seconds that closing waits for a join given up: LiveKit's own per try."""

LEAVE_TIMEOUT: Final = 5.0
"""Seconds for leaving, which takes 5 ms when the server answers (docs/livekit.md, "Joining")."""

_STATUS: Final = re.compile(
    r"(?:engine: )?(?:signal failure: )?(?:client|server|handshake) error: (\d{3})\b"
)
"""Where LiveKit writes the status of a refusal; any other number is in somebody's body."""

GRACE: Final = 1.0
"""Seconds that a join which the server has ended may still take: media may stand already."""

_AWAY: Final = {
    DisconnectReason.DUPLICATE_IDENTITY: (
        UTDErrorCode.CONFLICT,
        "the same identity joined from somewhere else",
    ),
    DisconnectReason.PARTICIPANT_REMOVED: (UTDErrorCode.FORBIDDEN, "it was removed"),
    DisconnectReason.ROOM_DELETED: (UTDErrorCode.NOT_FOUND, "the room was closed"),
    DisconnectReason.ROOM_CLOSED: (UTDErrorCode.NOT_FOUND, "the room was closed"),
    DisconnectReason.SERVER_SHUTDOWN: (UTDErrorCode.SERVER, "it shuts down; try later"),
}

_given_up: Final[WeakSet[rtc.Room]] = WeakSet()
"""Rooms whose join nobody waits for: LiveKit says nothing of them while it goes on."""

REPEATS: Final = 3
"""As often as LiveKit repeats a join by itself."""

_PASSING: Final = (UTDErrorCode.NETWORK, UTDErrorCode.TIMEOUT, UTDErrorCode.SERVER)
_LET_IN: Final = "wait_pc_connection"
"""In LiveKit's words when media did not come up: the signal connection did."""

_REFUSALS: Final = {
    400: (UTDErrorCode.VALIDATION, "the server does not understand the request"),
    401: (UTDErrorCode.UNAUTHORIZED, "the server refused the token; fetch a new one"),
    403: (UTDErrorCode.FORBIDDEN, "the server does not admit this participant"),
    404: (UTDErrorCode.NOT_FOUND, "no media server answers at this url"),
    429: (UTDErrorCode.RATE_LIMITED, "the server asks to slow down"),
    # A full room is a 500 in the handshake and nothing more
    # (docs/livekit.md, "Errors without a type").
    500: (UTDErrorCode.SERVER, "the server refused the join; the room may be full"),
    **dict.fromkeys(
        (502, 503, 504), (UTDErrorCode.SERVER, "the media server is not available; try later")
    ),
}

_FAILURES: Final = (
    ("parse the url|unsupported scheme", UTDErrorCode.VALIDATION, "check the room's url"),
    ("proxy", UTDErrorCode.NETWORK, "the proxy does not let the connection through"),
    ("timed? ?out", UTDErrorCode.TIMEOUT, "the media server did not answer in time"),
    ("join response", UTDErrorCode.MALFORMED_RESPONSE, "no media server answers so; check the url"),
    ("corrupt message|certificate|tls", UTDErrorCode.NETWORK, "no TLS connection; check url"),
    ("transport|io error|lookup|refused|reset|closed|signal failure",
     UTDErrorCode.NETWORK, "the media server cannot be reached"),
)  # fmt: skip
"""LiveKit's words where there is no status; the first that fits decides."""


@frozen
class Address:
    """Where a room is joined, with what, and which way."""

    url: str
    token: str = field(repr=False)
    auto_subscribe: bool = True
    dynacast: bool = True
    proxy: Proxy | None = None
    encryption: Encryption | None = None


def classify(text: str, token: str = "", proxy: Proxy | None = None) -> UTDStreamException:
    """Return the typed error for LiveKit's text, any part of which a server may have written; the
    error does not hold the token (docs/livekit.md, "Errors without a type")."""
    told = foreign_text(text, token, None if proxy is None else proxy.password)
    ended: float | None = None
    if status := _STATUS.match(told):
        number = int(status[1])
        usual = UTDErrorCode.SERVER if number >= 500 else UTDErrorCode.UNKNOWN
        code, advice = _REFUSALS.get(number, (usual, "the server refused the join"))
        now = time.time()
        if code is UTDErrorCode.UNAUTHORIZED and (why := out_of_date(token, now)):
            advice, ended = f"{why}; fetch a new one", expired_at(token, now)
    else:
        fits = (
            (code, advice)
            for words, code, advice in _FAILURES
            if re.search(words, told, re.IGNORECASE)
        )
        code, advice = next(fits, (UTDErrorCode.UNKNOWN, "LiveKit does not say more"))
        advice += "" if proxy is None else f"; on the way was the proxy {proxy}"
    message = f"Joining failed: {advice} ({told})."
    return UTDStreamException(message, code=code, expired_at=ended)


async def leave(room: rtc.Room) -> None:
    """Leave `room`, bounded in time; cancelling leaves the leaving to its task."""
    task = asyncio.create_task(room.disconnect(), name="utd_rx.rtc: leave")
    task.add_done_callback(lambda _: way.leave(room))
    done, _ = await asyncio.wait([task], timeout=LEAVE_TIMEOUT)
    if not done:
        task.cancel()
        await asyncio.wait([task])
        logger.warning("LiveKit did not confirm leaving the room within %s s", LEAVE_TIMEOUT)
    elif not task.cancelled() and (error := task.exception()) is not None:
        logger.warning("LiveKit failed to leave the room: %s", foreign_text(repr(error)))
    await native.end_listening(room)


class Connector:
    """Joins rooms, and cleans up after joins nobody waits for any more."""

    def __init__(self) -> None:
        self._leftovers: set[asyncio.Task[None]] = set()
        self._wait_until = 0.0

    async def join(
        self,
        room: rtc.Room,
        address: Address,
        joined: Callable[[], T],
        given_up: asyncio.Future[None],
        *,
        timeout: float | None = None,
    ) -> T:
        """Join `room`, a fresh one, and return what `joined` returns: it is called once joined,
        before LiveKit can emit any event.

        When this is cancelled or `given_up` done, a join that succeeds later is taken back.

        Raises:
            UTDStreamException: As `classify` says; `TIMEOUT` after `timeout` (`CONNECT_TIMEOUT`),
                `CONFLICT` given up, or another way of another room.
        """
        timeout = CONNECT_TIMEOUT if timeout is None else timeout
        deadline = asyncio.get_running_loop().time() + timeout
        if self._leftovers:
            # Two joins of one identity push each other out, and the one given up may come last.
            settled = asyncio.ensure_future(asyncio.wait(set(self._leftovers)))
            try:
                await _wait(settled, given_up, deadline, timeout)
            finally:
                settled.cancel()
        way.take(room, address.url, address.proxy)
        native.hide(address.token, None if address.proxy is None else address.proxy.password)
        streams.exchange()  # from then on `overheard` hears
        beside = _beside(room)
        attempt = asyncio.create_task(_attempt(room, address, joined), name="utd_rx.rtc: join")
        try:
            with overheard.listening() as said:
                await _first(attempt, given_up, said.first, until=deadline)
                if said.first.done() and _are_calm(beside, room):
                    soon = asyncio.get_running_loop().time() + GRACE
                    await _first(attempt, given_up, until=min(soon, deadline))
                    if _are_calm(beside, room):
                        _require_either(attempt, given_up, said.reason)
            await _wait(attempt, given_up, deadline, timeout)
        except BaseException:
            self._take_over(attempt, room)
            raise
        outcome = attempt.result()
        if isinstance(outcome, UTDStreamException):
            raise outcome
        return outcome

    def _take_over(self, attempt: asyncio.Task[T | UTDStreamException], room: rtc.Room) -> None:
        _given_up.add(room)
        task = asyncio.create_task(_undo(attempt, room), name="utd_rx.rtc: undo a late join")
        self._leftovers.add(task)
        task.add_done_callback(self._leftovers.discard)
        self._wait_until = asyncio.get_running_loop().time() + LEFTOVER_TIMEOUT

    async def aclose(self) -> None:
        """Wait for joins given up, until `LEFTOVER_TIMEOUT` after the last; they go on after that,
        and what closes on several levels, one after the other, shares that time."""
        if self._leftovers:
            left = max(0.0, self._wait_until - asyncio.get_running_loop().time())
            _, pending = await asyncio.wait(self._leftovers, timeout=left)
            for task in pending:
                logger.warning("still waiting for the server: %s", task.get_name())


def _beside(room: rtc.Room) -> dict[rtc.Room, int | None]:
    """Return how restless the other rooms of the process are, None of one that is joining, too."""
    others = way.others(room) - {*_given_up}
    return {other: native.unrest(other) for other in others}


def _are_calm(beside: dict[rtc.Room, int | None], room: rtc.Room) -> bool:
    """Whether what was overheard is of nobody else: all who were here before are, and nothing has
    happened to their connections."""
    return None not in beside.values() and _beside(room) == beside


async def _first(*of: asyncio.Future[Any], until: float) -> None:
    """Wait for one of them, or the time of the loop."""
    left = max(0.0, until - asyncio.get_running_loop().time())
    await asyncio.wait(of, timeout=left, return_when=asyncio.FIRST_COMPLETED)


def _require_either(
    attempt: asyncio.Future[Any], given_up: asyncio.Future[None], reason: DisconnectReason
) -> None:
    """Raise why nobody waits for media any more, unless one of them is done."""
    if attempt.done() or given_up.done():
        return
    code, why = _AWAY.get(reason, (UTDErrorCode.NETWORK, "it hung up; join again"))
    replaced = ConflictReason.REPLACED if code is UTDErrorCode.CONFLICT else None
    message = f"Joining failed: the media server let this client in and sent it away at once: {why}"
    raise UTDStreamException(f"{message} ({reason.name.lower()}).", code=code, reason=replaced)


async def _wait(
    wanted: asyncio.Future[Any], given_up: asyncio.Future[None], deadline: float, timeout: float
) -> None:
    """Wait for what goes on when this is cancelled, or raise why nobody waits any more."""
    await _first(wanted, given_up, until=deadline)
    if given_up.done():
        raise conflict(ConflictReason.LEFT, "The room was disconnected while connecting.")
    if not wanted.done():
        raise UTDStreamException(
            f"Joining failed: the media server did not answer within {timeout:g} s, or let this "
            "client in and sent it away at once, as when the room ends or the same identity joins "
            "from elsewhere at the same moment, or there is no UDP path to the server: LiveKit's "
            "SDK cannot use a machine whose only network interface is lo.",
            code=UTDErrorCode.TIMEOUT,
        )


async def _attempt(
    room: rtc.Room, address: Address, joined: Callable[[], T]
) -> T | UTDStreamException:
    """Return a failure instead of raising it: somebody may wait for it no more."""
    options = native.sdk().RoomOptions(
        auto_subscribe=address.auto_subscribe,
        dynacast=address.dynacast,
        encryption=options_of(address.encryption),
    )
    ffi.join_once()
    try:
        await _repeat(partial(room.connect, address.url, address.token, options))
    except asyncio.CancelledError:
        # Nothing here cancels this task, so the loop is ending and `_undo` with it.
        last_resort.take_back(address.token)
        raise
    except native.sdk().ConnectError as error:
        refused = classify(error.message, address.token, address.proxy)
    except Exception as error:  # noqa: BLE001 - whatever it is, who joins gets a typed error
        told = foreign_text(str(error), address.token)
        refused = UTDStreamException(f"LiveKit failed to join: {type(error).__name__}: {told}")
    else:
        # No await between these: LiveKit's listening task has not run yet, so what `joined`
        # sees is the room as it was, and no event before that is lost.
        return joined()
    way.leave(room)
    # Not LiveKit's own error: its text may hold the token, and a traceback prints its causes.
    refused.__cause__ = native.sdk().ConnectError(refused.message)
    return refused


async def _repeat(join: Callable[[], Awaitable[None]]) -> None:
    """Join, again if need be, as LiveKit would; but not once the server had let this one in: it may
    have put it out for another of the same identity, whom a repeat would put out."""
    for _ in range(REPEATS):
        try:
            return await join()
        except native.sdk().ConnectError as error:
            if _LET_IN in error.message or classify(error.message).code not in _PASSING:
                raise
    return await join()


async def _undo(attempt: asyncio.Task[T | UTDStreamException], room: rtc.Room) -> None:
    await asyncio.wait([attempt])
    if attempt.cancelled():
        return
    if (error := attempt.exception()) is not None:
        logger.warning("a join given up before failed: %s", foreign_text(repr(error)))
    await leave(room)
