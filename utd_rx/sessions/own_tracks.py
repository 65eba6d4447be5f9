"""This client's own tracks: switching them, and what the rules ask of the room port for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

from attrs import field, frozen

from utd_rx.errors import UTDStreamException, invalid
from utd_rx.models import checks
from utd_rx.models.audio import AudioFormat, AudioInput
from utd_rx.models.devices import CameraChoice
from utd_rx.models.participant import TrackSource
from utd_rx.models.video import VideoInput, switched
from utd_rx.ports.room import RoomPort
from utd_rx.protocol.facts import media as facts
from utd_rx.protocol.promises import Published
from utd_rx.protocol.publishing import SOURCES, require_granted
from utd_rx.sessions.rules_runner import Handlers
from utd_rx.sessions.runner import Runner

logger: Final = logging.getLogger(__name__)

KINDS: Final = {
    TrackSource.MICROPHONE: "WavSource(…) or another AudioInput",
    TrackSource.CAMERA: "Camera(…) or another VideoInput",
    TrackSource.SCREEN_SHARE: "Screen(…) or another VideoInput",
}
"""What an app may give."""


@frozen(eq=False)
class OwnTracks:
    """The sources that an app gave a session, None for one it did not give, and their tracks."""

    _runner: Runner[Any]
    _room: RoomPort
    sources: dict[TrackSource, AudioInput | VideoInput | None]
    _opening: dict[tuple[TrackSource, int], asyncio.Task[None]] = field(factory=dict, init=False)
    _changing: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    @property
    def handlers(self) -> Handlers:
        return {
            facts.OpenTrack: self._open,
            facts.MuteTrack: self._mute,
            facts.CloseTrack: self._close,
            facts.CancelTrack: self._cancel,
        }

    def require_source(self, source: TrackSource, or_without: str = "") -> AudioInput | VideoInput:
        """Return what `source` sounds or looks like; the app must have given it.

        `or_without` is the argument with which the command does without.
        """
        found = self.sources.get(source)
        if found is None:
            name = SOURCES[source]
            without = f", or {or_without} to do without" if or_without else ""
            raise invalid(f"no {name}: pass {name}={KINDS[source]} to the session{without}")
        return found

    async def switch(self, source: TrackSource, enabled: bool) -> None:
        """Switch `source` on or off, and wait until it is; see `UTDSession.set_microphone`."""
        epoch = self._runner.require_joined()
        if enabled:
            require_granted(self._runner.session.publications.of(source))
            self.require_source(source)
        self._runner.offer(facts.PublishingWanted(source, enabled))
        stated = self._runner.session.publications.of(source).stated
        await self._runner.wait(Published(source, enabled, stated), epoch)

    def closing(self) -> tuple[Published, ...]:
        """Begin to take every own track down; return what that promises."""
        wanted = (facts.PublishingWanted(source, False, closes=True) for source in SOURCES)
        self._runner.offer(*wanted)
        own = self._runner.session.publications
        return tuple(Published(source, False, own.of(source).stated) for source in SOURCES)

    async def switch_microphone(self, to: AudioInput) -> None:
        """Publish another source from now on; see `UTDSession.switch_microphone`."""
        epoch = self._runner.require_joined()
        if to is None:
            raise invalid("a microphone is an AudioInput; set_microphone(False) switches it off")
        checks.source(to, "a microphone", "an AudioInput", AudioFormat)
        microphone = TrackSource.MICROPHONE
        async with self._changing:
            self.sources[microphone] = to
            await self._opened(microphone)
            own = self._runner.session.publications.of(microphone)
            if own.track is None:
                return
            self._runner.offer(facts.PublishingWanted(microphone, False, closes=True))
            stated = self._runner.session.publications.of(microphone).stated
            await self._runner.wait(Published(microphone, False, stated), epoch)
            if own.is_wanted:
                await self.switch(microphone, True)

    async def switch_camera(self, to: VideoInput | CameraChoice) -> VideoInput:
        """Publish another camera from now on; see `UTDSession.switch_camera`."""
        self._runner.require_joined()
        camera = TrackSource.CAMERA
        async with self._changing:
            other = await switched(cast("VideoInput | None", self.sources.get(camera)), to)
            await self._opened(camera)
            track = self._runner.session.publications.of(camera).track
            if track is not None:
                await self._room.replace(track.sid, other)
            self.sources[camera] = other
            return other

    async def _opened(self, source: TrackSource) -> None:
        """Wait for what is being opened of the one before."""
        if opening := [task for (what, _), task in self._opening.items() if what is source]:
            await asyncio.wait(opening)

    async def _open(self, effect: facts.OpenTrack) -> None:
        task: asyncio.Task[Any] | None = asyncio.current_task()
        assert task is not None
        key = (effect.source, effect.epoch)
        self._opening[key] = task
        try:
            with self._telling_failure(effect):
                track = await self._room.publish(self.require_source(effect.source), effect.source)
                self._runner.offer(facts.TrackOpened(effect.source, effect.epoch, track))
        except asyncio.CancelledError:
            self._runner.offer(facts.TrackClosed(effect.source, effect.epoch))
            raise
        finally:
            del self._opening[key]

    async def _mute(self, effect: facts.MuteTrack) -> None:
        with self._telling_failure(effect):
            await self._room.set_muted(effect.track_sid, effect.muted)
            self._runner.offer(facts.TrackMuteChanged(effect.source, effect.epoch, effect.muted))

    async def _close(self, effect: facts.CloseTrack) -> None:
        with self._telling_failure(effect):
            await self._room.unpublish(effect.track_sid)
            self._runner.offer(facts.TrackClosed(effect.source, effect.epoch))

    async def _cancel(self, effect: facts.CancelTrack) -> None:
        task = self._opening.get((effect.source, effect.epoch))
        if task is not None:
            task.cancel()

    @contextmanager
    def _telling_failure(
        self, effect: facts.OpenTrack | facts.MuteTrack | facts.CloseTrack
    ) -> Iterator[None]:
        """Tell as a fact why an operation failed."""
        try:
            yield
        except UTDStreamException as error:
            self._runner.offer(facts.TrackFailed(effect.source, effect.epoch, error))
        except Exception as error:
            # An app's own source may raise anything; without a fact every later toggle would wait.
            name = SOURCES[effect.source]
            logger.exception("the %s failed", name)
            # Its text may hold secrets, and the state is recorded: that is for the caller alone.
            failure = UTDStreamException(f"the {name} failed: {type(error).__name__}")
            failure.__cause__ = error
            self._runner.offer(facts.TrackFailed(effect.source, effect.epoch, failure))
