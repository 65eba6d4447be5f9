"""Speaking in the app on a speaker that lives in the media process.

Frames go there one by one, in the order of everything else: what an agent says is there before it
is due, and a room's own participants are played without passing here (`RoomPort.route`). What is
there before it is due is kept here until it is in the mix, for the process that follows one that
dies; live sound would be late by then.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.media.frames import FrameReader
from utd_rx.media.hosted_speaker import (
    HostedTap,
    HostedVoice,
    SpeakerPosition,
)
from utd_rx.media.near import Near
from utd_rx.media.unplayed import SLACK, Unplayed
from utd_rx.media.voice_progress import ProgressReader
from utd_rx.models.audio import AudioFrame, FrameSink
from utd_rx.models.checks import number
from utd_rx.models.devices import DeviceKey
from utd_rx.ports import living
from utd_rx.ports.audio import Abilities, check_gain
from utd_rx.state.reports import running_loop

logger: Final = logging.getLogger(__name__)

MAX_MARGIN: Final = 0.25
"""Seconds; see `Speaker.voice`."""

MAX_AHEAD: Final = 1800.0
"""Seconds of a voice with a margin, there before they are due, that may wait: as many as of an
agent's."""

MAX_LATE: Final = 60.0
"""Seconds of any other that may be on their way. What is late is of no use, and dropped over there;
but where no memory is shared, how much has come there is not heard while the app's loop stands
still."""


class AfarVoice:
    """A voice in the mix of a speaker in the media process: a `living.Voice`.

    What it says of itself is as old as what was written there last, 10 ms at most.

    Args:
        make: Makes what stands for it over there, with a gain.
        gain: As `gain`.
        is_live: Whether its sound is of no use later; any other goes on in the next process.
    """

    def __init__(
        self, make: Callable[[float], Any], gain: float = 1.0, *, is_live: bool = False
    ) -> None:
        self._make = make
        self._most = MAX_LATE if is_live else MAX_AHEAD
        self.unplayed: Final = None if is_live else Unplayed()
        """What is kept for the next process."""
        self._gain = check_gain(gain)
        self._lock = threading.Lock()
        self._told = ProgressReader()
        self._fed = 0.0
        self._sample_rate = 0
        self._flushes = 0
        self._flushed = 0.0  # seconds on their way that were fed before the last flush
        self.dropped = 0
        """Samples that came faster than a process took them; of a live voice also those that one
        had when it died, and those that came before the next."""
        self._is_flooded = False
        self._before = 0.0  # seconds that went into the mixes of processes that are gone
        self._far: Any = None
        self._stop: Callable[[], None] = lambda: None
        self.is_closed = False

    @property
    def gain(self) -> float:
        """0 to 4, 1 for unchanged."""
        return self._gain

    @gain.setter
    def gain(self, gain: float) -> None:
        self._gain = check_gain(gain)
        if self._far is not None:
            self._far.set_gain(gain)

    @property
    def position(self) -> float:
        """Seconds of this voice that went into the mix."""
        with self._lock:
            return self._before + self._told.newest.position

    @property
    def waiting(self) -> float:
        """Seconds of it that are left to go into the mix."""
        with self._lock:
            return self._left()

    def __call__(self, frame: AudioFrame) -> None:
        """Take a frame of any format, on any thread; returns at once and never raises."""
        with self._lock:
            if self.is_closed:
                return
            was_flooded, is_flooded = self._is_flooded, self._ahead() >= self._most
            self._is_flooded = is_flooded
            if is_flooded or (self._far is None and self.unplayed is None):
                self.dropped += len(frame.samples)
            else:
                self._feed(frame)
        if is_flooded and not was_flooded:
            logger.warning("%g s of a voice wait: what comes is dropped", self._most)

    def flush(self) -> None:
        """Drop what waits, with a fade; what comes later is played."""
        with self._lock:
            self._flushed = self._on_its_way()
            self._forget()
            if self._far is not None:
                self._flushes += 1
                self._far.flush()

    def close(self) -> None:
        """Leave the mix. Idempotent."""
        with self._lock:
            self.is_closed = True
            self._forget()
            if self._far is not None:
                self._far.close()
        self.lost()

    def attach(self) -> None:
        """Speak in the process that there is now, at first what is left of what was fed before."""
        self.lost()
        far, told = self._make(self._gain), ProgressReader()
        stop = far.listen(told)
        with self._lock:
            self._far, self._told, self._stop = far, told, stop
            for frame in self.unplayed or ():
                far.feed(frame.samples, frame.sample_rate, frame.at)

    def lost(self) -> None:
        """The process is gone, with what waited there."""
        with self._lock:
            self._stop()
            left = self._left()
            if self.unplayed is None:
                self.dropped += round(left * self._sample_rate)
                self._fed = 0.0
            else:
                self._fed = self.unplayed.restart(self._fed - left)
            self._far, self._stop = None, lambda: None
            self._before += self._told.newest.position
            self._told, self._flushes = ProgressReader(), 0

    def look(self) -> None:
        """Keep nothing that is known to be in the mix."""
        with self._lock:
            self._left()

    def _feed(self, frame: AudioFrame) -> None:
        self._fed += frame.duration
        self._sample_rate = frame.sample_rate
        if self.unplayed is not None:
            self.unplayed.push(frame, self._fed)
        if self._far is not None:
            self._far.feed(frame.samples, frame.sample_rate, frame.at)

    def _forget(self) -> None:
        self._fed = 0.0
        if self.unplayed is not None:
            self.unplayed.clear()

    def _left(self) -> float:
        """Return the seconds that are left to go into the mix, and keep nothing else."""
        told, left = self._told.newest, self._fed
        if told.flushes == self._flushes:
            left += told.waiting - told.fed
        if self.unplayed is not None:
            self.unplayed.played(self._fed - left)
        return left if left > SLACK else 0.0

    def _ahead(self) -> float:
        """Return the seconds that are bounded: what is live waits in the process no longer than
        that has room for."""
        if self.unplayed is None:
            return self._on_its_way()
        return max(self._on_its_way(), self._left())

    def _on_its_way(self) -> float:
        """Return the seconds that the process has not said it has."""
        told = self._told.newest
        has_flushed = told.flushes == self._flushes
        return self._fed - told.fed if has_flushed else self._fed + self._flushed


class AfarTap:
    """What a speaker in the media process plays, given to `sink` here."""

    def __init__(self, make: Callable[[], Any], sink: FrameSink) -> None:
        self._make = make
        self._sink = sink
        self._stop: Callable[[], None] = lambda: None
        self.is_closed = False

    def attach(self) -> None:
        """Listen in the process that there is now."""
        self.lost()
        # Without a loop here they come as messages, on the loop that reads those.
        take = self._give if running_loop() is None else FrameReader(self._give)
        self._stop = self._make().hear(take)

    def lost(self) -> None:
        """The process is gone."""
        stop, self._stop = self._stop, lambda: None
        stop()

    def close(self) -> None:
        """Listen no more. Idempotent."""
        self.is_closed = True
        self.lost()

    def _give(self, frames: tuple[AudioFrame, ...]) -> None:
        for frame in frames:
            if not self.is_closed:
                self._sink(frame)


class AfarSpeaker:
    """A speaker that is alive in the media process, as a `living.LivingSpeaker` here."""

    lives_elsewhere = True

    def __init__(
        self,
        abilities: Abilities,
        key: DeviceKey,
        host: Callable[[], Any],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._abilities = abilities
        self._key = key
        self._host = host
        self._now = now
        self._before = 0.0  # seconds that were played in processes that are gone
        self._shown = 0.0
        self._told = SpeakerPosition()
        self._unfollow: Callable[[], None] = lambda: None
        self._kept: tuple[AfarVoice | AfarTap, ...] = ()
        self._dropped = 0  # of voices that have left
        living.enter(key, self)

    @property
    def position(self) -> float:
        """Seconds that have left the device since it was first opened, by what was told last,
        twice a second while it plays, and the time since then."""
        self._need_frames("a position")
        self._shown = self._before + self._told.expected(self._now())
        return self._shown

    def attach(self) -> None:
        """Play in the process that there is now."""
        self.lost()
        if self._abilities.has_frames:
            self._unfollow = self._make(HostedTap, self._key).follow(self._followed)
        for one in self._going_on():
            one.attach()

    def lost(self) -> None:
        """The process is gone."""
        self._unfollow()
        self._unfollow = lambda: None
        # Neither back behind what was shown, nor on by what was expected and perhaps not played.
        self._before = max(self._before + self._told.position, self._shown)
        self._told = SpeakerPosition()
        for one in self._going_on():
            one.lost()

    @property
    def dropped(self) -> int:
        """Samples of voices that no process took; see `AfarVoice.dropped`."""
        return self._dropped + _dropped(self._kept)

    def voice(self, name: str, *, gain: float = 1.0, margin: float | None = None) -> AfarVoice:
        """Return a new place in its mix; see `Speaker.voice`."""
        self._need_frames("voices")
        if margin is not None:
            number(margin, f"a margin is from 0 to {MAX_MARGIN:g} s", 0.0, MAX_MARGIN)

        def make(gain: float) -> Any:
            return self._make(HostedVoice, self._key, name, gain, margin)

        voice = AfarVoice(make, gain, is_live=margin is None)
        self._keep(voice)
        return voice

    def listen(self, sink: FrameSink) -> Callable[[], None]:
        """Give what it plays to `sink`, in this process and those that follow; call the result to
        stop. On this loop; where none runs here, on that of the house."""
        self._need_frames("frames")
        tap = AfarTap(lambda: self._make(HostedTap, self._key), sink)
        self._keep(tap)
        return tap.close

    def _keep(self, one: AfarVoice | AfarTap) -> None:
        """Let it be in the process that there is now, and in those that follow."""
        has_process = self._host() is not None
        self._dropped += _dropped(one for one in self._kept if one.is_closed)
        self._kept = (*self._going_on(), one)
        if has_process:
            with suppress(UTDStreamException):  # it has died just now: in the next one
                one.attach()

    def _going_on(self) -> tuple[AfarVoice | AfarTap, ...]:
        return tuple(one for one in self._kept if not one.is_closed)

    def _followed(self, told: SpeakerPosition) -> None:
        self._told = told
        for one in self._kept:
            if isinstance(one, AfarVoice):
                one.look()

    def _make(self, kind: type, *args: Any) -> Any:
        """Return what stands for something that is made over there."""
        if (host := self._host()) is None:
            words = "no media process is there just now, as the last one has died"
            raise UTDStreamException(words, code=UTDErrorCode.NETWORK)
        return host.port(Near, kind, f"{kind.__module__}:{kind.__name__}", *args)

    def _need_frames(self, what: str) -> None:
        if not self._abilities.has_frames:
            raise self._abilities.lack(what)


def _dropped(kept: Iterable[AfarVoice | AfarTap]) -> int:
    return sum(one.dropped for one in kept if isinstance(one, AfarVoice))
