"""A voice's buffer: in order, bounded, conserving, and back at its margin after anything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utd_rx.audio.jitter import CONCEAL, MAX_DEPTH, MAX_RATE, PATIENCE, JitterBuffer, stretch
from utd_rx.audio.playing import SLIP
from utd_rx.models.audio import AudioFormat, Samples
from utd_rx.ports.audio import LONGEST_BLOCK, SHORTEST_BLOCK, SPEAKER_BLOCK

pytestmark = pytest.mark.long

RATE = 48_000
FRAME, CHUNK = 480, 240
MARGIN, TOO_MUCH = 0.01, 0.0125
MOST = MAX_DEPTH + 2 * CHUNK / RATE


def buffer() -> JitterBuffer:
    return JitterBuffer(AudioFormat(RATE, 1))


def sine(start: int, count: int) -> Samples:
    wave = 8000 * np.sin(2 * np.pi * 440 * np.arange(start, start + count) / RATE)
    return wave.astype(np.int16)[:, np.newaxis]


class Line:
    """Frames at the times they arrive, pulled by a device whose clock may be off; no real time.

    Args:
        device_rate: Of its clock.
        burst: Seconds by which the depth may move in one step.
        pulls: As many the device asks for at once.
        pull: Seconds of each; None for a burst.
    """

    def __init__(
        self,
        device_rate: float = 1.0,
        burst: float = 0.005,
        pulls: int = 1,
        pull: float | None = None,
    ) -> None:
        self.buffer = JitterBuffer(AudioFormat(RATE, 1), burst)
        self.chunk = round((pull or burst) * RATE)
        self.pulls = pulls
        self.device_rate = device_rate
        self.sent = 0
        self.now = 0.0
        self.depths: list[float] = []
        self.heard: list[Samples] = []

    def run(self, seconds: float, *, is_held: bool = False) -> None:
        """Pass time; while it `is_held` frames pile up and then come at once."""
        period = self.pulls * self.chunk / RATE / self.device_rate
        end = self.now + seconds
        while self.now < end:
            self.now += period
            while not is_held and (self.sent + FRAME) / RATE <= self.now + 1e-9:
                self.buffer.push(sine(self.sent, FRAME))
                self.sent += FRAME
            for _ in range(self.pulls):
                pulled = self.buffer.pull(self.chunk)
                silence = np.zeros((self.chunk, 1), np.float32)
                self.heard.append((silence if pulled is None else pulled).astype(np.int16))
                self.depths.append(self.buffer.depth / RATE)

    @property
    def sound(self) -> Samples:
        return np.concatenate(self.heard)


def test_in_time_samples_pass_unchanged() -> None:
    line = Line()
    line.run(3.0)
    assert line.buffer.concealed == line.buffer.dropped == 0
    heard = line.sound[:, 0]
    begin = int(np.flatnonzero(heard)[0]) - 1
    assert begin / RATE <= MARGIN + 2 * FRAME / RATE
    expected = sine(0, len(heard) - begin)[:, 0]
    assert np.array_equal(heard[begin:], expected)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("push"), st.integers(1, 1000)),
            st.tuples(st.just("pull"), st.integers(1, 600)),
            st.tuples(st.just("clear"), st.just(0)),
        ),
        max_size=150,
    )
)
def test_whatever_comes_nothing_is_lost_uncounted_and_the_depth_is_bounded(
    operations: list[tuple[str, int]],
) -> None:
    tested, sent = buffer(), 0
    for operation, count in operations:
        if operation == "push":
            tested.push(sine(sent, count))
            sent += count
        elif operation == "pull":
            pulled = tested.pull(count)
            assert pulled is None or pulled.shape == (count, 1)
        else:
            tested.clear()
        assert tested.pushed == sent == tested.taken + tested.dropped + tested.depth
        assert 0 <= tested.depth <= MOST * RATE


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=120))
def test_sound_is_never_reordered(passages: list[tuple[int, int]]) -> None:
    tested, sent = buffer(), 0
    heard: list[float] = []
    is_making_up = False
    for pushes, pulls in passages:
        for _ in range(pushes):
            ramp = np.arange(sent, sent + 48, dtype=np.int64)
            if ramp[-1] > 30_000:
                return
            tested.push(ramp.astype(np.int16)[:, np.newaxis])
            sent += 48
        for _ in range(pulls):
            made_up = tested.concealed
            was_making_up = is_making_up
            pulled = tested.pull(48)
            is_making_up = tested.concealed > made_up
            if pulled is not None and not is_making_up and not was_making_up:
                heard += pulled[:, 0].tolist()
    assert heard == sorted(heard)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), max_size=60))
def test_what_is_taken_is_what_would_be_pulled(passages: list[tuple[int, int]]) -> None:
    """`take` is the quick way of `pull`: for a mix that makes what it takes as long as itself."""
    pulled, taken, sent = buffer(), buffer(), 0
    for pushes, pulls in passages:
        for _ in range(pushes):
            for one in (pulled, taken):
                one.push(sine(sent, FRAME))
            sent += FRAME
        for _ in range(pulls):
            usual, quick = pulled.pull(CHUNK), taken.take(CHUNK)
            as_long = taken.pull(CHUNK) if quick is None else stretch(quick, CHUNK)
            assert (usual is None) == (as_long is None)
            if usual is not None and as_long is not None:
                assert np.array_equal(usual, as_long)
    for name in ("taken", "dropped", "concealed", "underruns", "depth", "drift"):
        assert getattr(pulled, name) == getattr(taken, name)


@pytest.mark.parametrize(("device_rate", "burst"), [(0.999, 0.005), (1.002, 0.02)])
def test_ten_minutes_with_a_clock_that_is_off_keep_the_delay(
    device_rate: float, burst: float
) -> None:
    line = Line(device_rate, burst)
    line.run(600.0)
    settled = line.depths[2000:]
    assert max(settled) < line.buffer.highest + burst + FRAME / RATE + 0.005
    assert line.buffer.dropped == 0
    assert line.buffer.underruns <= 2
    # Faster device, slower playing: fewer samples are taken than given, and the other way round.
    assert line.buffer.drift == pytest.approx(1 - device_rate, abs=1e-3)


@pytest.mark.parametrize(
    ("device_rate", "burst"),
    [
        (0.995, 0.0025),
        (0.996, 0.005),
        (1.004, 0.0025),
        (1.0045, 0.0025),
        (1.004, 0.005),
        (1.005, 0.005),
    ],
)
def test_a_clock_that_is_further_off_than_any_cards_is_followed_without_a_gap(
    device_rate: float, burst: float
) -> None:
    line = Line(device_rate, burst)
    line.run(6.0)
    line.buffer.underruns = 0
    line.run(60.0)
    assert (line.buffer.underruns, line.buffer.dropped) == (0, 0)


@pytest.mark.parametrize("device_rate", [1.0002, 1.001, 1.005])
@pytest.mark.parametrize("pulls", [1, 2, 3])
def test_a_device_that_asks_for_blocks_at_once_makes_no_gap_after_the_second_slip(
    device_rate: float, pulls: int
) -> None:
    line = Line(device_rate, 0.0025, pulls)
    line.run(120.0)
    assert line.buffer.underruns <= 3
    line.buffer.underruns = 0
    line.run(60.0)
    assert (line.buffer.underruns, line.buffer.dropped) == (0, 0)
    assert line.buffer.drift == pytest.approx(1 - device_rate, abs=2e-4)


@pytest.mark.parametrize("device_rate", [1.0001, 1.001])
def test_a_speaker_of_a_card_as_far_off_as_many_are_has_three_gaps_and_then_none(
    device_rate: float,
) -> None:
    line = Line(device_rate, SLIP, pull=SPEAKER_BLOCK)
    line.run(900.0)
    assert line.buffer.underruns <= 3
    assert line.buffer.concealed <= 3 * FRAME


def test_room_for_slips_is_given_back_when_it_is_not_needed() -> None:
    line = Line(1.004, 0.0025, 2)
    narrow = line.buffer.highest
    line.run(60.0)
    assert line.buffer.highest > narrow
    line.device_rate = 1.0
    line.run(PATIENCE + 10.0)
    assert line.buffer.highest == narrow


def test_one_stall_makes_no_room_for_slips() -> None:
    line = Line(burst=0.0025, pulls=2)
    narrow = line.buffer.highest
    line.run(3.0)
    line.run(0.03, is_held=True)
    line.run(3.0)
    assert line.buffer.underruns > 0
    assert line.buffer.highest == narrow


@pytest.mark.parametrize("block", [SHORTEST_BLOCK, 0.0025, 0.02, 0.045, LONGEST_BLOCK])
def test_every_block_that_a_device_may_have_is_played_whole(block: float) -> None:
    line = Line(burst=block)
    line.run(5.0)
    assert (line.buffer.underruns, line.buffer.dropped) == (0, 0)
    assert line.buffer.taken >= 4.5 * RATE


@pytest.mark.parametrize("stall", [0.03, 0.1, 0.3, 2.0])
def test_what_a_stall_added_is_gone_within_five_seconds(stall: float) -> None:
    line = Line()
    line.run(3.0)
    before = max(line.depths[-200:])
    line.run(stall, is_held=True)
    line.run(5.0)
    after = len(line.depths)
    line.run(1.0)
    assert max(line.depths[after:]) <= max(before, TOO_MUCH + FRAME / RATE) + 0.001
    assert max(line.depths) <= MOST


def test_a_late_frame_is_concealed_and_then_there_is_silence() -> None:
    line = Line()
    line.run(1.0)
    heard_before = len(line.sound)
    line.run(0.3, is_held=True)
    gap = line.sound[heard_before:, 0].astype(np.int64)
    ends = int(np.flatnonzero(gap)[-1]) / RATE
    assert ends <= MARGIN + 2 * FRAME / RATE + CONCEAL
    # No click: nothing jumps further than the sine itself does from sample to sample.
    assert np.max(np.abs(np.diff(gap))) < 2 * 8000 * 2 * np.pi * 440 / RATE
    assert line.buffer.concealed > 0


def test_playing_is_never_faster_than_it_may_be() -> None:
    line = Line()
    line.run(1.0)
    line.run(0.2, is_held=True)
    taken = line.buffer.taken
    line.run(1.0)
    assert line.buffer.taken - taken <= RATE * (1 + MAX_RATE) + FRAME


def test_a_flush_is_silent_at_once_and_sound_goes_on_later() -> None:
    line = Line()
    line.run(1.0)
    line.buffer.clear()
    assert line.buffer.pull(CHUNK) is None
    line.run(0.2)
    assert np.any(line.sound[-CHUNK:])
