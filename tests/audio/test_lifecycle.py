"""However opening, closing, swapping and dying fall together, nothing hangs, lingers or lies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable

import numpy as np
import pytest

from tests.audio.cable import Heard
from tests.audio.cards import Cards
from utd_rx.audio.microphone import Microphone
from utd_rx.audio.speaker import Speaker
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.device_state import FLOOR_DBFS
from utd_rx.models.voice_processing import VoiceProcessing
from utd_rx.ports import living

TIMEOUT = 10.0

Side = Microphone | Speaker


def opening(side: Side) -> Awaitable[object]:
    return side.open() if isinstance(side, Speaker) else side.open(lambda frame: None)


@pytest.fixture(params=[Microphone, Speaker])
async def side(request: pytest.FixtureRequest, cards: Cards) -> AsyncIterator[Side]:
    made: Side = request.param("card")
    yield made
    await made.aclose()


async def conflicts(attempt: Awaitable[object]) -> None:
    with pytest.raises(UTDStreamException) as caught:
        await asyncio.wait_for(attempt, TIMEOUT)
    assert caught.value.code is UTDErrorCode.CONFLICT


@pytest.mark.parametrize("is_of_the_stream", [True, False])
@pytest.mark.parametrize("is_cancelled", [True, False])
async def test_however_a_stream_is_closed_it_has_ended(
    cards: Cards, is_of_the_stream: bool, is_cancelled: bool
) -> None:
    microphone = Microphone("card")
    stream = await microphone.open(lambda frame: None)
    closing = asyncio.create_task((stream if is_of_the_stream else microphone).aclose())
    await asyncio.sleep(0)
    if is_cancelled:
        closing.cancel()
    await asyncio.wait({closing})
    await asyncio.wait_for(stream.wait_ended(), TIMEOUT)
    assert microphone.device.value is None
    if is_of_the_stream:
        again = await microphone.open(lambda frame: None)
        await again.aclose()
    await microphone.aclose()


async def test_closing_while_it_opens_leaves_nothing_open(side: Side, cards: Cards) -> None:
    cards.gate.clear()
    opens = asyncio.ensure_future(opening(side))
    await asyncio.sleep(0)
    closes = asyncio.create_task(side.aclose())
    await asyncio.sleep(0)
    cards.gate.set()
    await asyncio.wait_for(closes, TIMEOUT)
    assert opens.done()
    await conflicts(opens)
    assert side.device.value is None


@pytest.mark.parametrize("is_cancelled", [True, False])
async def test_nothing_opens_while_it_closes(side: Side, cards: Cards, is_cancelled: bool) -> None:
    await opening(side)
    closes = asyncio.create_task(side.aclose())
    await asyncio.sleep(0)
    if is_cancelled:
        closes.cancel()
    await conflicts(opening(side))
    await asyncio.wait({closes})
    await side.aclose()
    await conflicts(opening(side))
    assert side.device.value is None


async def test_closed_for_good_it_takes_no_command(side: Side, cards: Cards) -> None:
    await side.aclose()
    for command in (side.mute, side.unmute):
        with pytest.raises(UTDStreamException) as caught:
            command()
        assert caught.value.code is UTDErrorCode.CONFLICT
    await conflicts(side.use("other"))
    if isinstance(side, Speaker):
        with pytest.raises(UTDStreamException):
            side.set_volume(0.5)
    else:
        with pytest.raises(UTDStreamException):
            side.set_gain(0.5)
        await conflicts(side.set_processing(VoiceProcessing()))


async def test_a_swap_while_it_opens_is_made(side: Side, cards: Cards) -> None:
    cards.gate.clear()
    opens = asyncio.ensure_future(opening(side))
    await asyncio.sleep(0)
    swaps = asyncio.create_task(side.use("other"))
    await asyncio.sleep(0)
    cards.gate.set()
    await asyncio.wait_for(asyncio.gather(opens, swaps), TIMEOUT)
    device = await side.device.until(lambda device: device is not None and device.name == "other")
    assert device is not None


async def test_processing_set_while_it_opens_is_on(
    cards: Cards, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise, high_pass = VoiceProcessing(noise_suppression=True), VoiceProcessing(high_pass=True)
    microphone = Microphone("card", processing=noise)
    opens = asyncio.create_task(microphone.open(lambda frame: None))
    await asyncio.sleep(0)
    await asyncio.wait_for(microphone.set_processing(high_pass), TIMEOUT)
    await opens
    assert microphone.processing.value == high_pass
    await microphone.aclose()


async def test_a_gain_is_heard_and_shown_and_outlives_an_opening(cards: Cards) -> None:
    microphone = Microphone("card")
    microphone.level.subscribe()  # who looks only after the sound looks at nothing
    for gain, level in ((1.0, -12.0), (0.25, -24.0)):
        heard = Heard()
        microphone.set_gain(gain)
        stream = await microphone.open(heard)
        for count in (5, 10):  # more at once would be taken for a stall
            cards.inputs[-1].hears(5)
            await heard.until(count)
        assert int(np.max(heard.frames[-1].samples)) == pytest.approx(9_000 * gain, rel=0.01)
        # The noise is about 12 dB below full scale.
        await microphone.level.until(lambda now: abs(now - level) < 3, timeout=TIMEOUT)  # noqa: B023
        await stream.aclose()
    assert microphone.gain.value == 0.25
    await microphone.aclose()


async def test_a_microphone_that_died_hears_nobody_and_counts_on(cards: Cards) -> None:
    microphone = Microphone("card")
    microphone.speaking.subscribe()
    await microphone.open(lambda frame: None)
    cards.inputs[0].hears(5)
    await microphone.speaking.until(True, timeout=TIMEOUT)
    assert microphone.level.value > FLOOR_DBFS
    cards.refusal = UTDStreamException("gone", code=UTDErrorCode.NOT_FOUND)
    cards.inputs[0].is_active = False
    dead = await microphone.state.until(lambda state: state.failure is not None, timeout=TIMEOUT)
    dead = await microphone.state.until(lambda state: state.statistics.lost == 1, timeout=TIMEOUT)
    assert (dead.level, dead.is_speaking) == (FLOOR_DBFS, False)
    assert (dead.statistics.frames, dead.statistics.delay) == (5, 0.0)
    cards.refusal = None
    await microphone.failure.until(None, timeout=TIMEOUT)
    await microphone.aclose()


async def test_a_speaker_that_died_shows_no_level(cards: Cards) -> None:
    speaker = Speaker("card")
    await speaker.open()
    cards.refusal = UTDStreamException("gone", code=UTDErrorCode.NOT_FOUND)
    living.find(speaker.key).teller.post(level=-3.0)
    await speaker.level.until(-3.0, timeout=TIMEOUT)
    cards.outputs[0].is_active = False
    dead = await speaker.state.until(lambda state: state.statistics.lost == 1, timeout=TIMEOUT)
    assert dead.failure is not None
    assert dead.level == FLOOR_DBFS
    cards.refusal = None
    await speaker.failure.until(None, timeout=TIMEOUT)
    await speaker.aclose()


async def test_statistics_count_over_all_openings(cards: Cards) -> None:
    microphone = Microphone("card")
    for number in range(3):
        heard = Heard()
        stream = await microphone.open(heard)
        cards.inputs[number].hears(4)
        await heard.until(4)
        await stream.aclose()
        assert microphone.statistics.value.frames == 4 * (number + 1)
    await microphone.aclose()
