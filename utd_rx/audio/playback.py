"""From a mix to a device: the playing side of `utd_rx.devices.supervisor`.

PortAudio's callback has the ring filled up to its lead and a block, and takes the block; who mixes
is the callback itself, or else the supervisor's thread. A block that the callback has mixed for
itself while nothing waits goes past the ring. When the ring ran dry the lead grows by a
step, and it shrinks again when that has not happened for `CALM`, so that a stall is not delay for
good. The last step stays longer if the ring ran dry each time without it: 5 ms are worth more than
a click a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from utd_rx.audio.connection import DeviceConnection, DeviceSide
from utd_rx.audio.convert import Converter
from utd_rx.audio.mixer import Mixer
from utd_rx.models.audio import Samples
from utd_rx.models.devices import AudioDirection

# In seconds, but for MAX_STEPS.
RING_SECONDS: Final = 0.25
AHEAD: Final = 0.005  # the ring holds at least; or a longer block of the device
LEAD_STEP: Final = 0.005
MAX_STEPS: Final = 5  # for a GIL held by two threads for a switch interval each, twice over
CALM: Final = 0.8  # without an underrun after which the lead shrinks by a step
LONGEST_CALM: Final = 30.0  # for the last step, doubled when an underrun follows within this time
WORK: Final = 0.004  # that a callback may take for a mix, with another block in the device
FADE: Final = 0.003  # when what waits is flushed: short, as silence waits for it

AT_ONCE: Final = {0: 0.0, 8: 0.01, 32: 0.02}
"""Seconds that are mixed at once of so many voices and more: what a voice costs, it costs for each
pull, and with many of them a little more delay is not heard."""


class PlaybackConnection(DeviceConnection):
    """An output device that runs; what it plays comes from a ring."""

    direction = AudioDirection.OUTPUT
    ring_seconds = RING_SECONDS

    @property
    def faults(self) -> int:
        """Blocks the device lost, and samples of silence for want of sound."""
        return self.underrun + self.flagged

    def _prepare(self) -> None:
        self.underrun = 0
        # The first callbacks come at once; silence is there for them, whoever mixes comes after.
        self.ring.write(np.zeros((2 * self.block, self.format.channels), np.int16))

    def callback(self, data: Any, count: int, at: Any, flags: Any) -> None:
        """See `DeviceConnection.callback`."""
        sound = self._have_work_done()  # what is mixed at once is in this block
        if sound is not None and len(sound) == count:
            data[:] = sound.tobytes()
        else:
            if sound is not None:
                self.ring.write(sound)
            out = np.frombuffer(data, np.int16).reshape(count, -1)
            taken = self.ring.read_into(out)
            if taken < count:
                out[taken:] = 0
                self.underrun += count - taken
        self.flagged += bool(flags)
        self.beats += 1

    def give(self, sound: Samples) -> None:
        """Let that be played behind what waits; whoever mixes."""
        ring, is_block = self.ring, len(sound) == self.block
        is_next = is_block and ring.written == ring.read and self._at_hand is None
        if is_next and self._is_at_once:
            self._at_hand = sound
        else:
            self.ring.write(sound)


class PlaybackSide(DeviceSide[PlaybackConnection]):
    """Keeps the ring of the device filled, and tells each piece of the mix to `played`.

    `block` is in seconds; everything but `flush` is called on one thread at a time.
    """

    kind = PlaybackConnection

    def __init__(
        self,
        mixer: Mixer,
        block: float,
        played: Callable[[Samples], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(mixer.format, block)
        self._now = now
        self._mixer = mixer
        self._played = played
        self._converter = Converter(mixer.format, mixer.format)
        self._base = max(0.0, AHEAD - block)
        self.at_once = max(WORK, block / 2)
        self._steps = 0
        self._lead = 0  # samples that the ring holds beyond a block
        self._chunks: dict[int, int] = {}  # by the number of voices
        self._calm = CALM
        self._trusted_at = 0.0  # the lead has been the least one since long ago
        self._underrun_seen = 0
        self._shrinks_at = 0.0
        self._flush = False

    @property
    def delay(self) -> float:
        """Seconds from the mix to the device: the ring's, and PortAudio's latency."""
        return self.latency + self.waiting

    def flush(self) -> None:
        """Drop what waits for the device, with a fade: of what is mixed, or else of each voice; any
        thread."""
        is_mixed = self.waiting >= FADE / 2
        self._mixer.flush(fade=not is_mixed)  # first: nothing that waits may follow the fade
        self._flush = is_mixed

    def adopt(self, connection: PlaybackConnection | None) -> None:
        """Play on this connection from now on; where `Converter` refuses, on the one before."""
        if connection is not None:
            self._converter = Converter(self._format, connection.format)
        super().adopt(connection)
        self._underrun_seen = 0
        if connection is not None:
            self._set_lead(connection)

    def work(self) -> None:
        """Mix until the ring holds the device's next block and the lead."""
        connection = self._connection
        if connection is None:
            return
        self._adjust_lead(connection)
        if self._flush:
            self._flush = False
            ring, rate = connection.ring, connection.format.sample_rate
            ring.fade_out(min(ring.depth, round(FADE * rate)))
            self._converter.clear()  # or what it holds back is heard after the fade
        missing = connection.block + self._lead - connection.depth
        while missing > 0:
            mixed = self._mixer.pull(self._chunk(len(self._mixer.voices)))
            self._played(mixed)
            sound = self._converter.push(mixed)
            connection.give(sound)
            missing -= len(sound)

    def _chunk(self, voices: int) -> int:
        """Return how many samples are mixed at once: as many as the device's block has, so that
        each callback is answered by one pull, or more."""
        if (chunk := self._chunks.get(voices)) is None:
            at_once = max(seconds for least, seconds in AT_ONCE.items() if voices >= least)
            chunk = max(1, round(max(self._block, at_once) * self._format.sample_rate))
            self._chunks[voices] = chunk
        return chunk

    def _adjust_lead(self, connection: PlaybackConnection) -> None:
        if not self._steps and self._calm == CALM and connection.underrun == self._underrun_seen:
            return  # as nearly always
        now = self._now()
        if connection.underrun > self._underrun_seen:
            self._underrun_seen = connection.underrun
            if not self._steps and now < self._trusted_at:
                self._calm = min(LONGEST_CALM, 2 * self._calm)
            self._steps = min(MAX_STEPS, self._steps + 1)
        elif not self._steps:
            if now >= self._trusted_at:
                self._calm = CALM
            return
        elif now >= self._shrinks_at:
            self._steps -= 1
            self._trusted_at = now + LONGEST_CALM
        else:
            return
        self._set_lead(connection)
        self._shrinks_at = now + (self._calm if self._steps == 1 else CALM)

    def _set_lead(self, connection: PlaybackConnection) -> None:
        seconds = self._base + self._steps * LEAD_STEP
        self._lead = round(seconds * connection.format.sample_rate)
