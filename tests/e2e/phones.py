"""Users with phones on an engine whose time a test sets ahead, and what two of them agree on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from attrs import frozen
from reactivex import operators as ops

from tests.e2e.house import PATIENCE, House
from utd_rx import (
    AudioFrame,
    IncomingCall,
    ToneSource,
    TrackSource,
    UTDCall,
    UTDCallEndReason,
    UTDCallSession,
    UTDCallStatus,
    UTDErrorCode,
    UTDSession,
    UTDStreamClient,
    UTDStreamException,
    UTDStreamType,
    VideoInput,
)
from utd_rx.engine import LocalEngine
from utd_rx.engine.engine_clock import LoopEngineClock
from utd_rx.engine.rules.names import is_call_room
from utd_rx.ports.room import RoomPort
from utd_rx.ports.signal import SignalEnded, SignalPort, SignalSink
from utd_rx.rest.signal import SignalClient

AUDIO, VIDEO = UTDStreamType.AUDIO_CALL, UTDStreamType.VIDEO_CALL
R: TypeAlias = UTDCallEndReason
LOST: Final = (R.PEER_LOST, R.LOST)
WORD: Final = 20
"""Frames of 10 ms."""


@frozen
class Phone:
    """One device of a user."""

    client: UTDStreamClient
    session: UTDCallSession

    @property
    def identity(self) -> str:
        return self.session.identity

    async def rung(self, by: str) -> IncomingCall:
        """Wait until somebody calls this user."""
        ringing = await self.client.ringing_calls.until(
            lambda calls: by in [call.caller_identity for call in calls], timeout=PATIENCE
        )
        return next(call for call in ringing if call.caller_identity == by)

    async def silent(self) -> None:
        """Wait until nobody calls this user."""
        await self.client.ringing_calls.until((), timeout=PATIENCE)

    async def stands(self, status: UTDCallStatus) -> None:
        """Wait until the call on hand stands so."""
        await self.session.status.until(status, timeout=PATIENCE)


class Exchange(House):
    """An engine whose users call each other; its time is `clock`'s."""

    def __init__(self, engine: LocalEngine, stack: AsyncExitStack, clock: SkippingClock) -> None:
        super().__init__(engine, stack)
        self.clock = clock

    async def phone(
        self,
        identity: str,
        type_: UTDStreamType = AUDIO,
        *,
        device_id: str | None = None,
        camera: VideoInput | None = None,
        signal: SignalPort | None = None,
        make_room: Callable[[], RoomPort] | None = None,
    ) -> Phone:
        """Sign `identity` in with a device of its own, which is told of calls unless `signal` is
        given."""
        client = await self.client(signal=signal, make_room=make_room)
        await client.authenticate(identity, device_id=device_id)
        session = client.call_session(type_, microphone=ToneSource(), camera=camera)
        phone = Phone(client, await self.enter(session))
        if signal is None:
            await client.signal_connected.until(True, timeout=PATIENCE)
        return phone

    async def talking(self, caller: Phone, callee: Phone) -> UTDCall:
        """Have one call the other, who answers, and each hear the other."""
        call = await caller.session.start(callee.identity)
        await callee.rung(caller.identity)
        await callee.session.accept(call.call_id)
        await caller.stands(UTDCallStatus.ACTIVE)
        await heard(caller, callee)
        await self.knows(call, *(phone.identity for phone in (caller, callee)))
        return call

    async def knows(self, call: UTDCall, *identities: str) -> None:
        """Wait until the engine has heard, too, who is there: it counts all others as away."""
        async with asyncio.timeout(PATIENCE):
            while not all(self.counts(call, who) for who in identities):  # noqa: ASYNC110 - nobody says
                await asyncio.sleep(0)

    async def misses(self, call: UTDCall, identity: str) -> None:
        """Wait, for as long as it takes, until the engine has heard that somebody is away."""
        while self.counts(call, identity):  # noqa: ASYNC110 - nobody says
            await asyncio.sleep(0.01)

    def counts(self, call: UTDCall, identity: str) -> bool:
        """Whether the engine knows somebody as there."""
        party = self.engine.core.calls.find(call.call_id, None).party(identity)
        return party is not None and party.sid is not None

    async def empty(self) -> None:
        """Wait until the media server has no room of a call."""
        core = self.engine.core
        async with asyncio.timeout(PATIENCE):
            while any(
                is_call_room(core.rooms.engine_name(room.name) or "")
                for room in await core.media.list_rooms()
            ):
                pass


async def heard(*phones: Phone) -> None:
    """Wait until each of two has heard a word of the other, who is there once."""
    await asyncio.gather(
        hears(phones[0].session, phones[1].identity), hears(phones[1].session, phones[0].identity)
    )
    for phone, other in zip(phones, reversed(phones), strict=True):
        [there] = phone.session.remote_participants.value
        assert there.identity == other.identity
        sounds = [track for track in there.tracks if track.source is TrackSource.MICROPHONE]
        assert len(sounds) == 1


async def hears(session: UTDSession[Any], identity: str, frames: int = WORD) -> None:
    """Wait for so many frames of somebody that are not silent."""
    due = asyncio.Event()

    def is_loud(frame: AudioFrame) -> bool:
        return bool(frame.samples.any())

    loud = session.audio(identity).pipe(ops.filter(is_loud), ops.take(frames))
    subscription = loud.subscribe(on_completed=due.set)
    await asyncio.wait_for(due.wait(), PATIENCE)
    subscription.dispose()


async def agreed(
    one: Phone, other: Phone, status: UTDCallStatus, reason: UTDCallEndReason
) -> UTDCall:
    """Wait until a call is over at both ends, in the same way; return how."""
    for phone in (one, other):
        await phone.stands(status)
        await phone.session.connected.until(False, timeout=PATIENCE)
        consistent(phone.session)
        assert phone.session.end_reason.value is reason
        # Whose connection ended first hears why; that the call has ended is no failure.
        assert phone.session.failure.value is None or reason in LOST
        assert not phone.session.microphone_enabled.value
    ends = [one.session, other.session]
    assert ends[0].call_id.value == ends[1].call_id.value is not None
    if reason is not R.LOST:  # of which the engine says nothing
        assert ends[0].duration.value == ends[1].duration.value
    assert [session.peer.value for session in ends] == [other.identity, one.identity]
    call = one.session.call.value
    assert call is not None
    return call


def consistent(session: UTDCallSession) -> None:
    """The streams do not contradict each other."""
    call, status = session.call.value, session.status.value
    assert call is not None
    assert status is not None
    assert (call.call_id, call.status) == (session.call_id.value, status)
    assert call.end_reason is session.end_reason.value
    assert status.is_terminal is (session.end_reason.value is not None)
    if status.is_terminal:
        assert call.duration_seconds == session.duration.value


class SkippingClock(LoopEngineClock):
    """The loop's clock, which a test sets ahead: what is due by then happens at once."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.timers: set[SkippedTimer] = set()

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead

    def call_at(self, when: float, callback: Callable[[], None]) -> SkippedTimer:
        return SkippedTimer(self, when, callback)

    def skip(self, seconds: float) -> None:
        """Let so much time pass; the wall clock, and so tokens, do not notice."""
        self.ahead += seconds
        for timer in self.timers:
            timer.start()


class SkippedTimer:
    """A deadline of a `SkippingClock`."""

    def __init__(self, clock: SkippingClock, when: float, callback: Callable[[], None]) -> None:
        self._clock = clock
        self._when = when
        self._callback = callback
        self._handle: asyncio.TimerHandle | None = None
        clock.timers.add(self)
        self.start()

    def start(self) -> None:
        """Wait for what is left now."""
        if self._handle is not None:
            self._handle.cancel()
        loop = asyncio.get_running_loop()
        self._handle = loop.call_at(self._when - self._clock.ahead, self._run)

    def cancel(self) -> None:
        self._clock.timers.discard(self)
        if self._handle is not None:
            self._handle.cancel()

    def _run(self) -> None:
        self._clock.timers.discard(self)
        self._callback()


class NoSocket:
    """A network that lets no signal socket through."""

    async def run(self, url: str, token: str, sink: SignalSink) -> None:
        refusal = UTDStreamException("no socket gets through", code=UTDErrorCode.NETWORK)
        sink((SignalEnded(None, refusal),))


class Detour:
    """A signal socket that goes by way of a proxy."""

    def __init__(self, proxy_url: str) -> None:
        self._proxy_url = proxy_url
        self._socket = SignalClient()

    async def run(self, url: str, token: str, sink: SignalSink) -> None:
        await self._socket.run(f"{self._proxy_url}{urlsplit(url).path}", token, sink)
