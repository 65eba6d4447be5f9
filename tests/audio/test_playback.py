"""The ring before the device is as short as it may be; a stall does not lengthen it for good."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from attrs import define

from tests.audio.cards import connect
from utd_rx.audio.mixer import Mixer
from utd_rx.audio.playback import (
    AHEAD,
    CALM,
    FADE,
    LEAD_STEP,
    LONGEST_CALM,
    MAX_STEPS,
    PlaybackConnection,
    PlaybackSide,
)
from utd_rx.models.audio import AudioFormat, AudioFrame, Samples

FORMAT = AudioFormat(48_000, 1)
BLOCK = 120


@define
class Stage:
    side: PlaybackSide
    device: PlaybackConnection
    mixer: Mixer
    played: list[Samples]
    now: float = 0.0

    def call(self) -> Samples:
        """Let the device ask for a block; return what it got."""
        out = bytearray(2 * self.device.block)
        self.device.callback(out, self.device.block, None, None)
        return np.frombuffer(out, np.int16)

    def run(self, seconds: float) -> None:
        """Let the device play in time, and the thread answer each block."""
        block = self.device.block / self.device.format.sample_rate
        for _ in range(round(seconds / block)):
            self.call()
            self.now += block
            self.side.work()


def stage_at(rate: int, block: int = BLOCK) -> Stage:
    """Return a mix and a device of that rate, and of blocks as long as so many of the mix's."""
    mixer, played = Mixer(FORMAT), list[Samples]()
    side = PlaybackSide(mixer, block / FORMAT.sample_rate, played.append, lambda: made.now)
    device = connect(PlaybackConnection, rate, 1, block / FORMAT.sample_rate)
    device.ring.skip(device.ring.depth)
    side.adopt(device)
    made = Stage(side, device, mixer, played)
    side.work()
    return made


@pytest.fixture
def stage() -> Stage:
    return stage_at(FORMAT.sample_rate)


def test_in_time_the_ring_holds_as_much_as_is_asked_for_at_once(stage: Stage) -> None:
    stage.run(1.0)
    assert stage.device.ring.depth == AHEAD * FORMAT.sample_rate
    assert stage.side.faults == 0
    assert sum(len(piece) for piece in stage.played) == stage.mixer.position


@pytest.mark.parametrize(
    ("voices", "block", "at_once"),
    [
        (0, 240, 240),
        (7, 240, 240),
        (8, 240, 480),
        (31, 240, 480),
        (32, 240, 960),
        (32, 2_400, 2_400),
    ],
)
def test_the_more_voices_the_more_is_mixed_at_once(voices: int, block: int, at_once: int) -> None:
    stage = stage_at(FORMAT.sample_rate, block)
    for number in range(voices):
        stage.mixer.add(f"voice {number}")
    stage.played.clear()
    stage.run(1.0)
    assert {len(piece) for piece in stage.played} == {at_once}
    assert stage.side.faults == 0
    assert stage.device.ring.depth < block + at_once


def numbered(stage: Stage, frames: int) -> Samples:
    """Return the sound of a voice in which each sample is another one."""
    sound = np.arange(1, 480 * frames + 1).astype(np.int16)
    voice = stage.mixer.add("voice", margin=0.0)
    for begin in range(0, len(sound), 480):
        voice(AudioFrame(sound[begin : begin + 480, np.newaxis], 48_000))
    return sound


def test_what_the_callback_mixes_for_itself_goes_past_the_ring() -> None:
    stage = stage_at(FORMAT.sample_rate, 480)
    stage.device.wake = stage.side.work
    stage.device.ring.skip(stage.device.ring.depth)
    sound = numbered(stage, 8)
    written = stage.device.ring.written
    assert np.array_equal(np.concatenate([stage.call() for _ in range(8)]), sound)
    assert stage.device.ring.written == written
    assert stage.side.faults == 0


@pytest.mark.parametrize("ahead", [0, 1, 2])
def test_blocks_are_in_order_whoever_mixes_them(ahead: int) -> None:
    """The callback, the thread while the callback may not, and with a lead both."""
    stage = stage_at(FORMAT.sample_rate, 480)
    stage.device.ring.skip(stage.device.ring.depth)
    sound = numbered(stage, 30)
    stage.device.wake = stage.side.work
    heard = [stage.call() for _ in range(4)]
    for _ in range(ahead):  # a callback that finds nothing, as work is left to the thread
        stage.device.wake = lambda: None
        heard.append(stage.call())
        stage.side.work()
    stage.device.wake = stage.side.work
    heard += [stage.call() for _ in range(10)]
    played = np.concatenate(heard)
    played = played[played != 0]
    assert np.array_equal(played, sound[: len(played)])
    assert len(played) >= 13 * 480


def test_work_of_another_thread_during_a_callback_goes_into_the_ring() -> None:
    stage = stage_at(FORMAT.sample_rate, 480)
    stage.device.ring.skip(stage.device.ring.depth)
    sound = numbered(stage, 2)

    def elsewhere() -> None:
        thread = threading.Thread(target=stage.side.work)
        thread.start()
        thread.join()

    stage.device.wake = elsewhere
    assert np.array_equal(stage.call(), sound[:480])
    assert stage.device.ring.written == stage.device.ring.read


def test_what_a_stall_added_is_gone_within_five_seconds(stage: Stage) -> None:
    stage.run(1.0)
    usual = stage.device.ring.depth
    for _ in range(20):  # stall after stall, each longer than the lead
        for _ in range(12):
            stage.call()
        stage.side.work()
    longest = stage.device.ring.depth
    assert usual < longest <= usual + MAX_STEPS * LEAD_STEP * FORMAT.sample_rate
    assert stage.side.faults > 0
    stage.run(5.0)
    assert MAX_STEPS * CALM <= 5.0
    assert stage.device.ring.depth == usual


def test_on_a_busy_machine_the_last_step_is_kept_longer_each_time(stage: Stage) -> None:
    stage.run(1.0)
    usual, given_back = stage.device.ring.depth, 0
    for _ in range(1_200):  # two minutes
        stage.run(0.1)
        if stage.device.ring.depth == usual:
            given_back += 1
            for _ in range(3):  # late by three blocks: too much for the least lead only
                stage.call()
            stage.side.work()
    assert 5 < given_back < 12  # and not every 0.8 s
    # It is not for good: a calm machine gets back all of it.
    stage.run(2 * LONGEST_CALM)
    assert stage.device.ring.depth == usual
    for _ in range(3):
        stage.call()
    stage.side.work()
    stage.run(CALM + 0.1)
    assert stage.device.ring.depth == usual


@pytest.mark.parametrize("block", [BLOCK, 2 * BLOCK, 4 * BLOCK])
@pytest.mark.parametrize("where", ["thread", "callback"])
def test_a_flush_fades_and_is_silent_within_twenty_milliseconds(where: str, block: int) -> None:
    stage = stage_at(FORMAT.sample_rate, block)
    if where == "callback":
        stage.device.wake = stage.side.work
    voice = stage.mixer.add("loud", 1.0)
    for _ in range(8):
        voice(AudioFrame(np.full((480, 1), 10_000, np.int16), 48_000))
    stage.run(0.02)
    assert stage.call()[-1] == 10_000
    stage.side.flush()
    stage.side.work()
    heard = np.concatenate([stage.call() for _ in range(4)])
    fade = round(FADE * FORMAT.sample_rate)
    assert np.all(np.diff(heard[:fade], prepend=10_000) <= 0)
    assert np.all(np.diff(heard[:fade], prepend=10_000) >= -2 * 10_000 / fade)
    assert not np.any(heard[fade:])
    assert FADE + stage.device.latency < 0.02


@pytest.mark.parametrize("rate", [44_100, 16_000, 8_000])
def test_a_flush_is_silent_as_soon_where_the_device_has_another_rate(rate: int) -> None:
    pytest.importorskip("soxr")
    stage = stage_at(rate)
    voice = stage.mixer.add("loud", 1.0)
    for _ in range(12):
        voice(AudioFrame(np.full((480, 1), 10_000, np.int16), 48_000))
    stage.run(0.06)
    assert stage.call()[-1] == pytest.approx(10_000, abs=300)
    stage.side.flush()
    stage.side.work()
    heard = np.concatenate([stage.call() for _ in range(20)])
    assert not np.any(heard[round(FADE * rate) :])


def test_another_device_goes_on_where_the_last_one_stopped_counting(stage: Stage) -> None:
    for _ in range(10):
        stage.call()
    before = stage.side.faults
    assert before > 0
    stage.side.adopt(None)
    assert (stage.side.faults, stage.side.delay) == (before, 0.0)
    stage.side.work()
