"""The microphones of everybody in a session, on one speaker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from typing import Any, Final, Self

from utd_rx.audio.speaker import Speaker
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models import checks
from utd_rx.models.participant import RemoteParticipant, TrackSource
from utd_rx.models.secrets import printable
from utd_rx.ports.audio import Abilities, check_gain
from utd_rx.ports.one_loop import OneLoop
from utd_rx.sessions.media_session import MediaSession

logger: Final = logging.getLogger(__name__)


def play(session: MediaSession[Any], speaker: Speaker) -> Playback:
    """Play every remote participant's microphone on `speaker`, until closed.

    It follows who comes, goes, mutes and reconnects, and ends with the session. The speaker is
    the caller's: opened before or after, swapped and closed by whoever made it. Call it on the
    session's loop.

    With `Speaker(backend="platform")` WebRTC plays everybody while that is open, and this does
    nothing more.

    Raises:
        UTDStreamException: `CONFLICT` on a foreign loop, and for another speaker when the session's
            microphone is `backend="platform"`, with which WebRTC plays everybody by itself.
    """
    session.require_here()
    able: Abilities | None = getattr(session.microphone_source, "abilities", None)
    if able is not None and able.plays_everybody and not speaker.abilities.plays_everybody:
        raise UTDStreamException(
            'with Microphone(backend="platform") WebRTC plays every remote track by itself, so all '
            'would be heard twice: use Speaker(backend="platform") too',
            code=UTDErrorCode.CONFLICT,
        )
    return Playback(session, speaker)


class Playback:
    """What `play` returned: gains by identity, and the way to end it."""

    def __init__(self, session: MediaSession[Any], speaker: Speaker) -> None:
        self._room = session.room
        self._participants = session.remote_participants
        self._speaker = speaker
        self._gains: dict[str, float] = {}
        self._routes: dict[str, int] = {}
        self._wanted: dict[str, str] = {}  # the sid of each subscribed microphone
        self._changed: set[str] = set()
        self._regained: set[str] = set()
        self._news = asyncio.Event()
        self._is_over = False
        self._owner = OneLoop("playback")
        self._owner.check()
        self._task = asyncio.create_task(self._follow(), name="utd_rx.sessions: play on a speaker")

    def __repr__(self) -> str:
        return f"<Playback of {', '.join(self._routes) or 'nobody'}>"

    @property
    def voices(self) -> Mapping[str, float]:
        """Who is played now, and how loud, by identity."""
        return {identity: self._gains.get(identity, 1.0) for identity in self._routes}

    def set_gain(self, identity: str, gain: float) -> None:
        """Play `identity` louder or softer, now and whenever it comes back.

        Args:
            identity: Of a participant; it need not be there.
            gain: 0 to 4, 1 for unchanged.

        Raises:
            UTDStreamException: `VALIDATION`, when the gain is out of its range; `FEATURE_DISABLED`
                with the platform backend; `CONFLICT` on a foreign loop.
        """
        self._owner.check()
        if not self._speaker.abilities.has_frames:
            raise self._speaker.abilities.lack("gains")
        self._gains[checks.identity(identity)] = check_gain(gain)
        self._regained.add(identity)
        self._news.set()

    async def aclose(self) -> None:
        """Play nobody any more. Idempotent; cancelling is safe, it ends all the same.

        Raises:
            UTDStreamException: `CONFLICT` on a foreign loop.
        """
        self._owner.check()
        self._task.cancel()
        await asyncio.wait({self._task})

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _follow(self) -> None:
        # Not `changes()`, which skips what was undone meanwhile: a track that was gone and is back
        # has to be received anew.
        telling = self._participants.subscribe(self._look, on_completed=self._end)
        try:
            while not self._is_over:
                await self._news.wait()
                self._news.clear()
                await self._adjust()
        finally:
            telling.dispose()
            routes, self._routes = self._routes, {}
            await asyncio.gather(*(self._room.unroute(route) for route in routes.values()))

    def _look(self, participants: tuple[RemoteParticipant, ...]) -> None:
        before = self._wanted
        found = ((who.identity, who.track(TrackSource.MICROPHONE)) for who in participants)
        self._wanted = {who: track.sid for who, track in found if track and track.is_subscribed}
        self._changed |= {identity for identity, _ in before.items() ^ self._wanted.items()}
        self._news.set()

    def _end(self) -> None:
        self._is_over = True
        self._news.set()

    async def _adjust(self) -> None:
        if self._speaker.abilities.plays_everybody:
            return  # WebRTC plays them by itself
        changed, self._changed = self._changed, set()
        regained, self._regained = self._regained - changed, set()
        for identity in sorted(changed):
            await self._guard(identity, self._reroute(identity))
        for identity in sorted(regained & self._routes.keys()):
            gain = self._room.set_gain(self._routes[identity], self._gains[identity])
            await self._guard(identity, gain)

    async def _reroute(self, identity: str) -> None:
        if (route := self._routes.pop(identity, None)) is not None:
            await self._room.unroute(route)
        if (sid := self._wanted.get(identity)) is not None:
            self._routes[identity] = await self._room.route(
                sid, self._speaker.key, name=identity, gain=self._gains.get(identity, 1.0)
            )

    async def _guard(self, identity: str, work: Awaitable[None]) -> None:
        """Do something for one participant, whose trouble is not everybody's."""
        try:
            await work
        except UTDStreamException as error:
            # The track went away between the commit and here; the next commit says so.
            logger.debug("%s cannot be played: %s", printable(identity), error)
        except Exception:
            logger.exception("%s cannot be played", printable(identity))
