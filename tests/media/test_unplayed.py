"""What a voice was given before it is due is played, whichever process dies under it."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from tests.media.test_afar import GONE, Deaf, Mouth, frame
from tests.media.test_lending import until
from utd_rx.audio.speaker import Speaker
from utd_rx.media import afar_speaker
from utd_rx.media.afar import AfarAudio
from utd_rx.media.afar_speaker import AfarVoice
from utd_rx.media.hosted_speaker import VoiceProgress
from utd_rx.media.unplayed import Unplayed
from utd_rx.models.audio import AudioFrame
from utd_rx.testing.audio import FakeAudio


def numbered(first: int, count: int) -> AudioFrame:
    """Samples that say where in all that is said they are."""
    return AudioFrame(np.arange(first, first + count, dtype=np.int16).reshape(-1, 1), 1_000)


class Notes(Deaf):
    """A media process that notes what it is fed, and says what a test has it say."""

    def __init__(self) -> None:
        super().__init__()
        self.samples: list[int] = []

    def feed(self, *said: Any) -> None:
        self.samples += said[0][:, 0].tolist()

    def set_gain(self, gain: float) -> None:
        pass


def in_processes(*hosts: Notes, is_live: bool = False) -> AfarVoice:
    """Return a voice that is in each of these, one after another."""
    left = iter(hosts)
    return AfarVoice(lambda gain: next(left), is_live=is_live)


async def test_a_voice_goes_on_in_the_process_that_follows() -> None:
    first, second, afar = Mouth(), Mouth(), AfarAudio(FakeAudio())
    speaker = Speaker(backend=afar)
    voice = speaker.voice("agent", margin=0.0)
    voice(frame(0.25))  # before there is one
    assert voice.waiting == 0.25
    afar.attach(first)
    voice(frame(0.5))
    first.play(0.5)
    await until(lambda: voice.position == 0.5)
    afar.lost(GONE)
    assert (voice.position, voice.waiting) == (0.5, 0.25)
    voice.gain = 0.5
    voice(frame(0.5))  # between two
    assert (voice.position, voice.waiting) == (0.5, 0.75)
    afar.attach(second)
    voice(frame(0.25))
    assert (voice.position, voice.waiting) == (0.5, 1.0)
    assert second.play(0.25) == 2_500
    await until(lambda: voice.position == 0.75)
    assert second.play(0.8) == 2_500
    assert second.play(0.1) == 0
    await until(lambda: voice.position == 1.5)
    assert (voice.waiting, afar.dropped) == (0.0, 0)
    voice.close()


def test_of_what_is_not_in_the_mix_every_sample_is_said_once_more_and_no_other() -> None:
    hosts = Notes(), Notes(), Notes()
    voice = in_processes(*hosts)
    voice.attach()
    for first in range(0, 50, 10):
        voice(numbered(first, 10))
    hosts[0].told(VoiceProgress(0, fed=0.04, position=0.013, waiting=0.027))
    voice.lost()
    voice.lost()
    voice(numbered(50, 10))
    voice.attach()
    assert hosts[1].samples == list(range(13, 60))
    hosts[1].told(VoiceProgress(0, fed=0.047, position=0.03, waiting=0.017))
    voice(numbered(60, 10))
    voice.lost()
    assert (voice.position, voice.waiting) == pytest.approx((0.043, 0.027))
    voice.attach()
    assert hosts[2].samples == list(range(43, 70))


def test_what_was_flushed_is_not_said_again_though_the_process_died_before_it_heard_of_it() -> None:
    first, second = Notes(), Notes()
    voice = in_processes(first, second)
    voice.attach()
    voice(numbered(0, 20))
    first.told(VoiceProgress(0, fed=0.02, position=0.01, waiting=0.01))
    voice.flush()
    voice(numbered(20, 10))
    voice.lost()
    assert voice.waiting == 0.01
    voice.flush()
    assert voice.waiting == 0.0
    voice(numbered(30, 10))
    voice.attach()
    assert second.samples == list(range(30, 40))
    second.told(VoiceProgress(0, fed=0.01, position=0.01))
    assert (voice.position, voice.waiting) == (0.02, 0.0)


def test_what_a_closed_voice_was_given_is_in_no_process_that_follows_and_not_counted() -> None:
    for is_live in (False, True):
        voice = in_processes(Notes(), is_live=is_live)
        voice.attach()
        voice(numbered(0, 10))
        voice.close()
        assert (voice.waiting, voice.dropped) == (0.0, 0)


def test_live_sound_is_of_no_use_later_and_counted() -> None:
    first, second = Notes(), Notes()
    voice = in_processes(first, second, is_live=True)
    voice.attach()
    voice(numbered(0, 50))
    first.told(VoiceProgress(0, fed=0.04, position=0.03, waiting=0.01))
    voice.lost()
    assert (voice.position, voice.waiting, voice.dropped) == (0.03, 0.0, 20)
    voice(numbered(50, 10))
    assert voice.dropped == 30
    voice.attach()
    voice(numbered(60, 10))
    assert second.samples == list(range(60, 70))
    assert voice.dropped == 30


@pytest.mark.parametrize("dies", [False, True])
def test_what_is_kept_is_bounded_and_beyond_that_counted(
    dies: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(afar_speaker, "MAX_AHEAD", 0.03)
    first, second = Notes(), Notes()
    voice = in_processes(first, second)
    voice.attach()
    if dies:
        voice.lost()
    for start in range(0, 50, 10):
        voice(numbered(start, 10))
        first.told(VoiceProgress(0, fed=voice.waiting, waiting=voice.waiting))
    assert (voice.waiting, voice.dropped) == pytest.approx((0.03, 20))
    voice.attach()
    assert second.samples == list(range(30))


async def test_what_was_played_is_not_kept_though_nobody_asks() -> None:
    there, afar = Mouth(), AfarAudio(FakeAudio())
    afar.attach(there)
    await asyncio.sleep(0)
    speaker = Speaker(backend=afar)
    voice = speaker.voice("agent", margin=0.0)
    assert isinstance(voice, AfarVoice)
    kept = voice.unplayed
    assert kept is not None
    voice(frame(0.5))
    assert len(list(kept)) == 1
    there.play(0.5)
    # The speaker tells how far it is, now and then.
    await until(lambda: there.play(0.01) == 0 and not list(kept))
    voice.close()
    afar.lost(GONE)


def test_a_copy_is_kept_as_the_array_is_the_apps() -> None:
    kept, samples = Unplayed(), np.ones((10, 1), np.int16)
    kept.push(AudioFrame(samples, 1_000), 0.01)
    samples[:] = 0
    [frame] = kept
    assert frame.samples.all()
