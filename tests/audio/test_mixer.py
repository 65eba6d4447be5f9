"""Voices add up, each with its gain; volume, mute and leaving make no click."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.models.frames import unchecked
from utd_rx.audio.mixer import Limiter, MixedVoice, Mixer
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat, AudioFrame, Samples
from utd_rx.ports.audio import MAX_GAIN

FORMAT = AudioFormat(48_000, 1)


def frame(value: int, audio_format: AudioFormat = FORMAT) -> AudioFrame:
    shape = (audio_format.samples_per_frame, audio_format.channels)
    return AudioFrame(np.full(shape, value, np.int16), audio_format.sample_rate)


def feed(voice: MixedVoice, value: int, frames: int = 6) -> None:
    for _ in range(frames):
        voice(frame(value))


def settled(mixer: Mixer) -> int:
    """Return the value of a mix of constants once every ramp has ended."""
    mixer.pull(240)
    piece: Samples = mixer.pull(240)
    assert np.ptp(piece) == 0
    return int(piece[0, 0])


@given(st.lists(st.tuples(st.integers(-2000, 2000), st.floats(0, MAX_GAIN)), max_size=4))
def test_the_mix_is_the_sum_of_what_each_has_times_its_gain(
    voices: list[tuple[int, float]],
) -> None:
    mixer = Mixer(FORMAT)
    for value, gain in voices:
        feed(mixer.add("somebody", gain), value)
    assert settled(mixer) == pytest.approx(sum(v * g for v, g in voices), abs=1)


def alone(mixer: Mixer) -> MixedVoice:
    """Return a voice that plays in time, with nothing to be done to it."""
    voice = mixer.add("somebody")
    feed(voice, 1_000, 2)
    mixer.pull(480)
    return voice


def test_one_voice_to_which_nothing_is_done_is_the_mix(monkeypatch: pytest.MonkeyPatch) -> None:
    def computed(*_: object) -> Samples:
        raise AssertionError("the mix is computed")

    mixer = Mixer(FORMAT)
    voice = alone(mixer)
    sound = np.arange(-32_768, -32_768 + 480 * 4).astype(np.int16).reshape(4, 480, 1)
    for piece in sound:
        voice(AudioFrame(piece, FORMAT.sample_rate))
    with monkeypatch.context() as patch:
        patch.setattr(Limiter, "push", computed)
        before = mixer.position
        heard = np.concatenate([mixer.pull(480) for _ in range(4)])
    assert np.array_equal(heard[480:], sound[:3].reshape(-1, 1))
    assert mixer.position == before + 4 * 480


@pytest.mark.parametrize(
    "change",
    [
        lambda mixer, voice: setattr(mixer, "volume", 0.5),
        lambda mixer, voice: setattr(mixer, "is_muted", True),
        lambda mixer, voice: setattr(voice, "gain", 0.5),
        lambda mixer, voice: mixer.add("somebody else"),
        lambda mixer, voice: voice.close(),
    ],
)
def test_whatever_is_to_be_done_is_done_to_one_voice(
    change: Callable[[Mixer, MixedVoice], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mixer, pushed, push = Mixer(FORMAT), list[Any](), Limiter.push
    voice = alone(mixer)
    feed(voice, 1_000)

    def watched(self: Limiter, mix: Any) -> Samples:
        pushed.append(mix)
        return push(self, mix)

    monkeypatch.setattr(Limiter, "push", watched)
    mixer.pull(480)
    assert not pushed
    change(mixer, voice)
    mixer.pull(480)
    assert pushed


def test_a_limiter_that_gives_way_is_not_left_for_one_voice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mixer = Mixer(FORMAT)
    voice, loud = alone(mixer), mixer.add("loud", MAX_GAIN)
    feed(voice, 1_000)
    feed(loud, 20_000)
    mixer.pull(480)
    loud.close()
    heard = [int(mixer.pull(240)[-1, 0]) for _ in range(4)]
    assert heard == sorted(heard)
    assert heard[1] < 1_000


def test_too_loud_a_sum_is_limited_and_does_not_wrap_around() -> None:
    mixer = Mixer(FORMAT)
    for _ in range(4):
        feed(mixer.add("loud", 1.0), 30_000)
    assert settled(mixer) == 32_767


def test_volume_and_mute_move_without_a_step() -> None:
    mixer = Mixer(FORMAT)
    voice = mixer.add("a", 1.0)
    feed(voice, 10_000, 11)
    mixer.pull(240)
    mixer.volume = 0.5
    falling = mixer.pull(240)[:, 0]
    assert (falling[0], falling[-1]) == (10_000, 5_000)
    assert np.all(np.diff(falling) <= 0)
    mixer.is_muted = True
    assert mixer.pull(240)[-1, 0] == 0
    before = voice.position
    assert not np.any(mixer.pull(240))
    assert voice.position == pytest.approx(before + 240 / 48_000, abs=0.0002)  # time goes on
    mixer.is_muted = False
    assert settled(mixer) == 5_000


def test_a_gain_moves_without_a_step() -> None:
    mixer = Mixer(FORMAT)
    voice = mixer.add("a", 1.0)
    feed(voice, 1000)
    mixer.pull(240)
    voice.gain = 3.0
    rising = mixer.pull(240)[:, 0]
    assert (rising[0], rising[-1]) == (1000, 3000)


def test_other_formats_are_converted() -> None:
    pytest.importorskip("soxr")
    mixer = Mixer(FORMAT)
    voice = mixer.add("telephone", 1.0)
    for _ in range(9):
        voice(frame(1000, AudioFormat(16_000, 2)))
    mixer.pull(480)
    assert mixer.pull(480)[:, 0] == pytest.approx(1000, abs=20)
    assert voice.refused == 0


def test_pieces_of_a_rate_without_whole_frames_are_converted() -> None:
    """22,050 Hz, in pieces of 20 ms, is what many voices of text-to-speech have."""
    mixer = Mixer(FORMAT)
    voice = mixer.add("text to speech", 1.0)
    for _ in range(5):
        voice(AudioFrame(np.full((441, 1), 1000, np.int16), 22_050))
    mixer.pull(480)
    assert mixer.pull(480)[:, 0] == pytest.approx(1000, abs=20)
    assert voice.refused == 0


@pytest.mark.parametrize(
    ("samples", "rate"),
    [
        (np.zeros((10, 1), np.int16), 123),
        (np.zeros((10, 1), np.int16), 22_050.5),
        (np.zeros((10, 1), np.int16), None),
        (None, 48_000),
        (np.zeros(480, np.int16), 48_000),
        (np.zeros((480, 8), np.int16), 48_000),
        (np.full((480, 1), np.nan), 48_000),
        (np.zeros((160, 1), np.float32), 16_000),
        (np.full((480, 1), 2**30, np.int32), 48_000),
        ([[0]] * 480, 48_000),
    ],
)
def test_frames_that_make_no_sense_are_counted(samples: Any, rate: Any) -> None:
    mixer = Mixer(FORMAT)
    voice = mixer.add("odd", 1.0)
    voice(unchecked(samples, rate))
    assert voice.buffer.pushed == 0
    assert (voice.refused, mixer.counts()) == (1, (0, 0, 1))
    voice.close()
    voice.close()
    assert (mixer.voices, mixer.counts()) == ((), (0, 0, 1))


@pytest.mark.parametrize("gain", [-0.1, 4.1, float("nan")])
def test_a_gain_out_of_range_is_refused(gain: float) -> None:
    mixer = Mixer(FORMAT)
    with pytest.raises(UTDStreamException) as caught:
        mixer.add("a", gain)
    assert caught.value.code is UTDErrorCode.VALIDATION


@pytest.mark.parametrize("goes", [MixedVoice.flush, MixedVoice.close])
def test_a_voice_goes_without_a_step(goes: Callable[[MixedVoice], None]) -> None:
    mixer = Mixer(FORMAT)
    voice = mixer.add("a", 1.0)
    feed(voice, 10_000)
    mixer.pull(240)
    goes(voice)
    feed(voice, 10_000, 1)  # not enough to begin anew
    falling = mixer.pull(240)[:, 0]
    assert falling[0] == 10_000
    assert falling[-1] == 0
    assert np.all(np.abs(np.diff(falling)) < 100)
    assert not np.any(mixer.pull(240))


def test_a_flush_of_the_mix_takes_a_voices_fade_along() -> None:
    mixer = Mixer(FORMAT)
    voice = mixer.add("a", 1.0)
    feed(voice, 10_000)
    mixer.pull(240)
    voice.flush()
    mixer.flush()  # the ring fades out what was mixed, so nothing may come after it
    assert not np.any(mixer.pull(240))


def test_a_flush_reaches_what_the_converter_holds_back() -> None:
    pytest.importorskip("soxr")
    mixer = Mixer(FORMAT)
    voice = mixer.add("telephone", 1.0)
    quiet = frame(0, AudioFormat(8_000, 1))
    for _ in range(9):
        voice(frame(20_000, AudioFormat(8_000, 1)))
    voice.flush()
    for _ in range(9):
        voice(quiet)
    heard = np.concatenate([mixer.pull(240) for _ in range(8)])
    assert voice.position > 0.03
    assert np.abs(heard).max() <= 2  # soxr's dither


def test_a_flush_drops_what_all_have_waiting() -> None:
    mixer = Mixer(FORMAT)
    first, second = mixer.add("a", 1.0), mixer.add("b", 1.0)
    feed(first, 1000)
    feed(second, 1000)
    mixer.flush()
    assert not np.any(mixer.pull(240))
    assert mixer.counts()[1] == 2 * 6 * 480


def test_many_voices_that_catch_up_are_what_each_of_them_would_be() -> None:
    rng = np.random.default_rng(4)
    mixer, alone = Mixer(FORMAT), [Mixer(FORMAT) for _ in range(12)]
    gains = [0.25, 1.0, 0.5] * 4
    together = [mixer.add(str(number), gain) for number, gain in enumerate(gains)]
    single = [one.add("alone", gain) for one, gain in zip(alone, gains, strict=True)]
    for turn in range(150):
        for number in range(12):
            # Half of them have a stall's worth too much, and are played faster.
            for _ in range(4 if turn == 20 and number % 2 else 1):
                sound = AudioFrame(rng.integers(-900, 900, (480, 1)).astype(np.int16), 48_000)
                together[number](sound)
                single[number](sound)
        for _ in range(2):
            wanted = sum(one.pull(240).astype(int) for one in alone)
            assert np.abs(mixer.pull(240) - wanted).max() <= 6  # each is rounded by itself
    taken = {voice.buffer.taken for voice in together}
    assert len(taken) == 2


def test_an_overload_takes_as_much_of_everybody_and_is_over_when_it_is_over() -> None:
    """Two seconds in which nobody has time to mix 64 voices, and frames come all the same."""
    mixer = Mixer(FORMAT, 0.0025)
    voices = [mixer.add(str(number)) for number in range(64)]

    def pass_time(seconds: float, *, is_mixed: bool = True) -> None:
        for _ in range(round(seconds * 100)):
            for voice in voices:
                voice(frame(5))
            for _ in range(2 * is_mixed):
                mixer.pull(240)

    pass_time(1.0)
    pass_time(2.0, is_mixed=False)
    after = {(voice.buffer.dropped, voice.buffer.taken) for voice in voices}
    pass_time(1.0)
    [(dropped, taken)] = after
    for voice in voices:
        assert voice.buffer.dropped == dropped
        assert voice.buffer.taken - taken >= 48_000  # all that came, and of what was behind
        assert voice.buffer.concealed == 0
    assert mixer.counts() == (0, 64 * dropped, 0)
