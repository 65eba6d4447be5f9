"""However opening, closing, swapping and dying fall together, nothing hangs, lingers or lies."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import numpy as np
import pytest

from tests.audio.cable import Heard
from utd_rx.audio import lookout, portaudio, supervisor
from utd_rx.audio.capture import CaptureConnection, CaptureSide
from utd_rx.audio.devices import AudioDevice, AudioDirection, DeviceChoice
from utd_rx.audio.levels import FLOOR_DBFS
from utd_rx.audio.microphone import Microphone
from utd_rx.audio.playback import PlaybackConnection, PlaybackSide
from utd_rx.audio.ring import Ring
from utd_rx.audio.speaker import Speaker
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat
from utd_rx.models.voice_processing import VoiceProcessing

FORMAT = AudioFormat()
TIMEOUT = 10.0
NOISE = np.random.default_rng(1).integers(-9_000, 9_000, (480, 1)).astype(np.int16)


class FakeInput(CaptureConnection):
    """A device whose callbacks the test makes."""

    is_alive, is_closed = True, False

    @property
    def is_active(self) -> bool:
        return self.is_alive

    @property
    def is_displaced(self) -> bool:
        return False

    def close(self) -> None:
        self.is_closed = True

    def hears(self, frames: int) -> None:
        for _ in range(frames):
            self._hear(NOISE.tobytes(), len(NOISE), None, None)


class FakeOutput(PlaybackConnection):
    """A device that takes sound when the test says so."""

    is_alive, is_closed = True, False

    @property
    def is_active(self) -> bool:
        return self.is_alive

    @property
    def is_displaced(self) -> bool:
        return False

    def close(self) -> None:
        self.is_closed = True


class Cards:
    """All devices that were opened; none opens while `gate` is shut or `refusal` is set."""

    def __init__(self) -> None:
        self.inputs: list[FakeInput] = []
        self.outputs: list[FakeOutput] = []
        self.refusal: UTDStreamException | None = None
        self.gate = threading.Event()
        self.gate.set()

    def hear(self, side: CaptureSide, choice: DeviceChoice, wake: Callable[[], None]) -> FakeInput:
        device = self._device(choice, AudioDirection.INPUT)
        made = FakeInput.__new__(FakeInput)
        made.device, made.format, made.latency = device, FORMAT, 0.0
        made.flagged, made.beats, made.heard_at = 0, 0, 0.0
        made.ring, made._frame, made._wake = Ring(48_000, 1), 480, wake
        self.inputs.append(made)
        return made

    def play(
        self, side: PlaybackSide, choice: DeviceChoice, wake: Callable[[], None]
    ) -> FakeOutput:
        device = self._device(choice, AudioDirection.OUTPUT)
        made = FakeOutput.__new__(FakeOutput)
        made.device, made.format, made.latency, made.block = device, FORMAT, 0.0, 120
        made.flagged = made.beats = made.underrun = 0
        made.ring, made._wake = Ring(48_000, 1), wake
        self.outputs.append(made)
        return made

    def _device(self, choice: DeviceChoice, direction: AudioDirection) -> AudioDevice:
        self.gate.wait(TIMEOUT)
        if self.refusal is not None:
            raise self.refusal
        name = choice.name if isinstance(choice, AudioDevice) else str(choice)
        return AudioDevice(name, name, direction, 1, 48_000, True)


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cards]:
    made = Cards()
    monkeypatch.setattr(
        CaptureSide, "connect", lambda side, choice, wake: made.hear(side, choice, wake)
    )
    monkeypatch.setattr(
        PlaybackSide, "connect", lambda side, choice, wake: made.play(side, choice, wake)
    )
    listed = tuple(AudioDevice("card", "card", way, 1, 48_000, True) for way in AudioDirection)
    monkeypatch.setattr(lookout, "look", lambda max_age=0.0: listed)
    monkeypatch.setattr(portaudio, "restart", lambda: None)
    monkeypatch.setattr(supervisor, "RETRY", 0.0)
    yield made
    made.gate.set()
    opened: list[FakeInput | FakeOutput] = [*made.inputs, *made.outputs]
    assert all(one.is_closed for one in opened)


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
    await side.device.until(lambda device: device is not None and device.name == "other")


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
    for gain, level in ((1.0, -12.0), (0.25, -24.0)):
        heard = Heard()
        microphone.set_gain(gain)
        stream = await microphone.open(heard)
        for count in (5, 10):  # more at once would be taken for a stall
            cards.inputs[-1].hears(5)
            await heard.more(count - len(heard.frames))
        assert int(np.max(heard.frames[-1].samples)) == pytest.approx(9_000 * gain, rel=0.01)
        # The noise is about 12 dB below full scale.
        await microphone.level.until(lambda now: abs(now - level) < 3, timeout=TIMEOUT)  # noqa: B023
        await stream.aclose()
    assert microphone.gain.value == 0.25
    await microphone.aclose()


async def test_a_microphone_that_died_hears_nobody_and_counts_on(cards: Cards) -> None:
    microphone = Microphone("card")
    await microphone.open(lambda frame: None)
    cards.inputs[0].hears(5)
    await microphone.speaking.until(True, timeout=TIMEOUT)
    assert microphone.level.value > FLOOR_DBFS
    cards.refusal = UTDStreamException("gone", code=UTDErrorCode.NOT_FOUND)
    cards.inputs[0].is_alive = False
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
    assert speaker._changes is not None
    speaker._changes.post(level=-3.0)
    await speaker.level.until(-3.0, timeout=TIMEOUT)
    cards.outputs[0].is_alive = False
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
        await heard.more(4 - len(heard.frames))
        await stream.aclose()
        assert microphone.statistics.value.frames == 4 * (number + 1)
    await microphone.aclose()
