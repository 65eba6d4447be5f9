"""This client's own tracks: switching them, and what the rules ask of the room port for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from attrs import field, frozen

from utd_rx.errors import UTDStreamException, invalid
from utd_rx.models.audio import AudioInput
from utd_rx.models.participant import TrackSource
from utd_rx.ports.room import RoomPort
from utd_rx.protocol.facts.media import (
    CancelTrack,
    CloseTrack,
    MuteTrack,
    OpenTrack,
    PublishingWanted,
    TrackClosed,
    TrackFailed,
    TrackMuteChanged,
    TrackOpened,
)
from utd_rx.protocol.promises import Published
from utd_rx.protocol.publishing import SOURCES, require_granted
from utd_rx.sessions.runner import Handlers, Runner

logger: Final = logging.getLogger(__name__)


@frozen(eq=False)
class OwnTracks:
    """The sources that an app gave a session, and their tracks.

    Args:
        runner: Of the session.
        room: Where they are published.
        sources: What each sounds or looks like; None when the app gave none.
    """

    _runner: Runner[Any]
    _room: RoomPort
    sources: Mapping[TrackSource, AudioInput | None]
    _opening: dict[tuple[TrackSource, int], asyncio.Task[None]] = field(factory=dict, init=False)

    @property
    def handlers(self) -> Handlers:
        """What to do for each effect of `protocol.publishing`."""
        return {
            OpenTrack: self._open,
            MuteTrack: self._mute,
            CloseTrack: self._close,
            CancelTrack: self._cancel,
        }

    def require_source(self, source: TrackSource) -> AudioInput:
        """Return what `source` sounds or looks like.

        Raises:
            UTDStreamException: `VALIDATION` when the app gave none.
        """
        found = self.sources.get(source)
        if found is None:
            name = SOURCES[source]
            raise invalid(f"no {name}: pass {name}=WavSource(…) or another AudioInput")
        return found

    async def switch(self, source: TrackSource, enabled: bool) -> None:
        """Switch `source` on or off, and wait until it is; see `UTDSession.set_microphone`."""
        epoch = self._runner.require_joined()
        if enabled:
            self.require_source(source)
            require_granted(self._runner.session.publications.of(source))
        self._runner.offer(PublishingWanted(source, enabled))
        stated = self._runner.session.publications.of(source).stated
        await self._runner.wait(Published(source, enabled, stated), epoch)

    async def _open(self, effect: OpenTrack) -> None:
        task: asyncio.Task[Any] | None = asyncio.current_task()
        assert task is not None
        key = (effect.source, effect.epoch)
        self._opening[key] = task

        async def publish() -> object:
            track = await self._room.publish(self.require_source(effect.source), effect.source)
            return TrackOpened(effect.source, effect.epoch, track)

        try:
            await self._report(effect, publish())
        finally:
            del self._opening[key]

    async def _mute(self, effect: MuteTrack) -> None:
        done = TrackMuteChanged(effect.source, effect.epoch, effect.muted)
        await self._report(effect, self._room.set_muted(effect.track_sid, effect.muted), done)

    async def _close(self, effect: CloseTrack) -> None:
        done = TrackClosed(effect.source, effect.epoch)
        await self._report(effect, self._room.unpublish(effect.track_sid), done)

    async def _cancel(self, effect: CancelTrack) -> None:
        task = self._opening.get((effect.source, effect.epoch))
        if task is not None:
            task.cancel()

    async def _report(
        self,
        effect: OpenTrack | MuteTrack | CloseTrack,
        operation: Coroutine[Any, Any, object],
        done: object = None,
    ) -> None:
        """Carry out one operation, and tell the fact that came of it: `done`, or its result."""
        failed: Callable[[UTDStreamException], TrackFailed] = lambda error: TrackFailed(  # noqa: E731
            effect.source, effect.epoch, error
        )
        try:
            result = await operation
        except UTDStreamException as error:
            self._runner.offer(failed(error))
        except Exception as error:
            # An app's own source may raise anything; without a fact every later toggle would wait.
            name = SOURCES[effect.source]
            logger.exception("the %s failed", name)
            # Its text may hold secrets, and the state is recorded: that is for the caller alone.
            failure = UTDStreamException(f"the {name} failed: {type(error).__name__}")
            failure.__cause__ = error
            self._runner.offer(failed(failure))
        else:
            self._runner.offer(done or result)
