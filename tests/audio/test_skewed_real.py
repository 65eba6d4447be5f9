"""A card whose clock is off, on real PortAudio streams: the delay stays, and nothing is missing.

What the card's microphone hears is played on the card's speaker, so the difference between its two
clocks piles up between them unless it is worked off. A run of the suite takes a clock that is
further off than any card's, for a few seconds; the nightly one takes ten minutes at 0.1 %.
"""

from __future__ import annotations

import asyncio
import os
import statistics
from collections.abc import Iterator
from typing import Final

import pytest

from tests.audio.cable import TIMEOUT, Kept
from tests.support.pulse import Bench
from tests.support.skewed_card import CARD, MARK_EVERY, RATE, CardReport, SkewedCard
from utd_rx.audio import portaudio
from utd_rx.audio.jitter import MAX_DEPTH
from utd_rx.audio.microphone import Microphone
from utd_rx.audio.mixer import MixedVoice
from utd_rx.audio.playing import SLIP
from utd_rx.audio.speaker import Speaker

pytestmark = pytest.mark.realtime

SETTLE: Final = 6.0
WINDOW: Final = 5.0

_IS_NIGHTLY: Final = os.environ.get("UTD_RX_HYPOTHESIS_PROFILE") == "nightly"
SECONDS: Final = 600.0 if _IS_NIGHTLY else 20.0
OFF: Final = 0.001 if _IS_NIGHTLY else 0.004
"""Of the two clocks from each other; uncorrected that would be 80 ms in a run, 600 in a night."""

MAX_GROWTH: Final = 0.04
"""Seconds; a busy machine moves the delay by more than the correction leaves."""

MAX_MISSING: Final = 0.02
"""Share of the sound, most of it where the machine stands still and the card is starved, too."""


@pytest.fixture(
    params=[(1 + OFF / 2, 1 - OFF / 2), (1 - OFF / 2, 1 + OFF / 2)],
    ids=["the microphone is faster", "the speaker is faster"],
)
def card(bench: Bench, request: pytest.FixtureRequest) -> Iterator[SkewedCard]:
    """A card whose clocks are off."""
    source, sink = request.param
    card = SkewedCard(bench, source * RATE, sink * RATE)
    try:
        card.plug_in()
        portaudio.refresh()
        yield card
    finally:
        card.unplug()
        portaudio.refresh()


async def frames_more(microphone: Microphone, count: int) -> None:
    """Wait until the microphone has heard `count` frames more."""
    wanted = microphone.statistics.value.frames + count
    await microphone.statistics.until(
        lambda told: told.frames >= wanted, timeout=count / 100 + TIMEOUT
    )


async def run(card: SkewedCard, kept: Kept) -> list[str]:
    """Let the card hear itself for `SECONDS`; return what went wrong."""
    microphone, speaker = kept(Microphone(CARD)), kept(Speaker(CARD))
    await speaker.open()
    voice = speaker.voice("card")
    assert isinstance(voice, MixedVoice)
    await microphone.open(voice)
    reports: list[CardReport] = []
    depths: list[int] = []
    speaker.statistics.subscribe(lambda told: depths.append(voice.buffer.depth))
    concealed = 0
    for seconds in (SETTLE, *[WINDOW] * round(SECONDS / WINDOW)):
        await frames_more(microphone, round(100 * seconds))
        reports.append(await asyncio.to_thread(card.report))
        concealed = concealed or voice.buffer.concealed

    settled = reports[1:]
    medians = [statistics.median(one.delays) for one in settled]
    made_up = (voice.buffer.concealed - concealed) / RATE
    heard, silent = sum(one.heard for one in settled), sum(one.silent for one in settled)
    starved, lost = sum(one.starved for one in settled), sum(one.lost for one in settled)
    print(  # for the nightly run, whose figures are written down
        f"delay, ms: first {1000 * medians[0]:.1f}, "
        f"median {1000 * statistics.median(medians):.1f}, "
        f"last {1000 * medians[-1]:.1f}, greatest median {1000 * max(medians):.1f}, "
        f"greatest {1000 * max(max(one.delays) for one in settled):.1f}; "
        f"marks lost {lost}; seconds heard {heard:.1f}, silent {silent:.3f}, "
        f"starved {starved:.3f}, made up {made_up:.3f}; "
        f"drift {voice.buffer.drift:.5f}; underruns of the voice {voice.buffer.underruns}"
    )
    later = statistics.median(medians[len(medians) // 2 :])
    most_lost = MAX_MISSING * sum(len(one.delays) for one in settled)
    # What the machine did not give the card to play is not the path's to answer for.
    missing = max(0.0, silent - starved) + made_up
    wrong = {
        "the delay grows": later >= medians[0] + MAX_GROWTH,
        # A machine that stands still for a moment adds delay, too, which is worked off.
        "the delay is out of bounds": max(medians) >= medians[0] + MAX_DEPTH,
        "the buffer is out of bounds": max(depths) > (MAX_DEPTH + 2 * SLIP) * RATE,
        "sound is missing": missing >= MAX_MISSING * heard,
        "marks are missing": lost > most_lost + starved / MARK_EVERY,
    }
    return [what for what, is_so in wrong.items() if is_so]


@pytest.mark.timeout(SECONDS + 60)
async def test_a_clock_that_is_off_neither_adds_delay_nor_tears_the_sound(
    card: SkewedCard, kept: Kept
) -> None:
    assert await run(card, kept) == []
