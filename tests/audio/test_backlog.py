"""What is there before it is due is played to the sample, whatever comes when."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utd_rx.audio.backlog import MAX_MARGIN, Backlog
from utd_rx.audio.mixer import Mixer
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat, AudioFrame, Samples

FORMAT = AudioFormat(8_000, 1)
PULL = 20  # samples, 2.5 ms


def sound(count: int, first: int = 1) -> Samples:
    return np.arange(first, first + count, dtype=np.int16)[:, np.newaxis]


def backlog(margin: float = 0.0) -> Backlog:
    return Backlog(FORMAT, PULL / 8_000, margin)


def pulled(held: Backlog, seconds: float) -> list[int]:
    """Everything that was played in that time, silence as zeros."""
    out: list[int] = []
    for _ in range(round(seconds * 8_000 / PULL)):
        piece = held.pull(PULL)
        out += [0] * PULL if piece is None else [round(float(one)) for one in piece[:, 0]]
    return out


def test_three_minutes_that_came_at_once_are_played_whole() -> None:
    held = Backlog(AudioFormat(24_000, 1), 0.01, 0.04)
    whole = np.random.default_rng(1).integers(-30_000, 30_000, (180 * 24_000, 1), np.int16)
    for start in range(0, len(whole), 4_800):
        held.push(whole[start : start + 4_800])
    heard = [held.pull(240) for _ in range(180 * 100)]
    assert np.array_equal(np.concatenate([one for one in heard if one is not None]), whole)
    assert (held.depth, held.dropped, held.underruns) == (0, 0, 0)


@given(st.lists(st.one_of(st.integers(1, 90), st.just(0), st.just(-1)), max_size=40))
def test_nothing_is_lost_or_comes_out_of_order(steps: list[int]) -> None:
    held, pushed = backlog(), 0
    played: list[float] = []
    for step in steps:
        if step > 0:
            held.push(sound(step, 1 + pushed))
            pushed += step
        elif step == 0:
            before = held.taken
            piece = held.pull(PULL)
            played += [] if piece is None else piece[: held.taken - before, 0].tolist()
        else:
            assert held.clear(fade=False) is False
        assert pushed == held.pushed == held.taken + held.dropped + held.depth
    assert played == sorted(set(played))
    assert len(played) == held.taken


def test_it_begins_with_its_margin_or_after_the_time_of_one() -> None:
    held = backlog(0.04)
    held.push(sound(160))
    assert pulled(held, 0.02) == [0] * 160
    held.push(sound(160, 161))
    assert pulled(held, 0.04) == list(range(1, 321))
    alone = backlog(0.04)
    alone.push(sound(40))
    out = pulled(alone, 0.06)
    assert out.index(1) == 320
    assert out[320:360] == list(range(1, 41))


def test_what_runs_dry_fades_out_behind_its_last_sample() -> None:
    held = backlog()
    held.push(np.full((30, 1), 1_000, np.int16))
    out = pulled(held, 0.02)
    assert out[:30] == [1_000] * 30
    assert out[30:50] == sorted(out[30:50], reverse=True)
    assert 0 < out[31] < 1_000
    assert set(out[50:]) == {0}


def test_sound_that_was_late_waits_for_more_the_next_time_until_it_is_calm() -> None:
    held = backlog(0.02)

    def delay() -> int:
        held.push(sound(PULL, 1_000))
        waited = pulled(held, 0.3).index(1_000)
        pulled(held, 1.0)
        return waited

    assert delay() == 160
    held.push(sound(400))
    pulled(held, 0.1)
    held.push(sound(400))
    pulled(held, 1.0)
    assert (held.underruns, delay()) == (1, 320)
    for _ in range(61):
        held.push(sound(8_000))
        pulled(held, 1.0)
    pulled(held, 1.0)
    assert delay() == 160


def test_a_gap_between_two_turns_is_no_lateness_and_neither_is_what_follows_a_flush() -> None:
    held = backlog(0.02)
    held.push(sound(400))
    pulled(held, 0.5)
    held.push(sound(400))
    pulled(held, 0.02)
    held.clear(fade=True)
    pulled(held, 0.02)
    held.push(sound(400))
    pulled(held, 0.2)
    assert held.underruns == 0


def test_the_margin_has_an_end() -> None:
    held = backlog(0.02)
    for _ in range(8):
        held.push(sound(4_000))
        pulled(held, 0.51)
    held.push(sound(PULL, 5_000))
    assert pulled(held, 0.6).index(5_000) == round(MAX_MARGIN * 8_000)


def test_a_flush_is_silent_within_its_fade() -> None:
    held = backlog()
    held.push(np.full((4_000, 1), 1_000, np.int16))
    pulled(held, 0.01)
    assert held.clear(fade=True)
    assert held.waiting == PULL
    out = pulled(held, 0.01)
    assert out[:PULL] == sorted(out[:PULL], reverse=True)
    assert set(out[PULL:]) == {0}
    assert held.waiting == 0


def test_a_voice_with_a_margin_is_mixed_like_any_other() -> None:
    mixer = Mixer(FORMAT)
    ahead, live = mixer.add("agent", margin=0.0), mixer.add("somebody")
    ahead(AudioFrame(np.full((8_000, 1), 1_000, np.int16), 8_000))
    for _ in range(5):
        live(AudioFrame(np.full((80, 1), 100, np.int16), 8_000))
    assert int(mixer.pull(80)[-1, 0]) == 1_100
    assert (ahead.position, ahead.waiting) == (0.01, 0.99)
    ahead.close()
    assert ahead.waiting < 0.005


@pytest.mark.parametrize("margin", [-0.1, 0.3, float("nan")])
def test_a_margin_out_of_range_is_refused(margin: float) -> None:
    with pytest.raises(UTDStreamException) as caught:
        Mixer(FORMAT).add("agent", margin=margin)
    assert caught.value.code is UTDErrorCode.VALIDATION
