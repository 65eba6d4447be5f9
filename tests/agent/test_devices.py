"""A microphone of anybody's makes no session deaf without a word, and holds up no end of it."""

from __future__ import annotations

import asyncio
from typing import Self

import numpy as np
import pytest

from tests.agent.stage import RATE, AgentStage, staged
from tests.audio.virtual_clock import VirtualClock
from utd_rx.audio.microphone import Microphone
from utd_rx.audio.speaker import Speaker
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.agent import AgentStatus
from utd_rx.models.audio import AudioFormat, AudioFrame, FrameSink
from utd_rx.testing.audio import FakeAudio


class Odd:
    """A source that is open or not, and fails as it is told."""

    format = AudioFormat(RATE)

    def __init__(
        self, opening: BaseException | None = None, closing: Exception | None = None
    ) -> None:
        self.opening = opening
        self.closing = closing
        self.hangs = False
        self.is_asked = asyncio.Event()
        self.open_count = 0

    async def open(self, sink: FrameSink) -> Self:
        self.is_asked.set()
        if self.hangs:
            await asyncio.Event().wait()
        if self.opening is not None:
            raise self.opening
        self.open_count += 1
        return self

    async def wait_ended(self) -> None:
        await asyncio.Event().wait()

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.open_count -= 1
        if self.closing is not None:
            raise self.closing


@pytest.mark.parametrize("raised", [OSError("sk_secret"), asyncio.CancelledError("sk_secret")])
async def test_whatever_a_microphone_raises_ends_the_session_and_says_so(
    raised: BaseException,
) -> None:
    async with staged(microphone=Odd(raised)) as stage:
        await stage.start()
        await stage.session.status.until(AgentStatus.CLOSED)
        failure = stage.session.failure.value
        assert failure is not None
        name = type(raised).__name__
        assert failure.message == f"the microphone or the speaker does not open: {name}"
        assert not failure.retryable
        await stage.session.stop()
        assert stage.socket.goodbyes == [1000]


async def test_a_microphone_that_never_opens_holds_up_no_stop() -> None:
    source = Odd()
    async with staged(microphone=source) as stage:
        source.hangs = True
        await stage.start()
        await source.is_asked.wait()
        await stage.session.stop()
        source.hangs = False
        await stage.start()
        await stage.session.select(lambda _: source.open_count).until(1)
        assert stage.session.connected.value


async def test_a_microphone_that_fails_to_close_keeps_no_speaker_open() -> None:
    clock, source = VirtualClock(), Odd(closing=OSError("gone"))
    speaker = Speaker(backend=FakeAudio(clock))
    async with staged(microphone=source, speaker=speaker) as stage:
        await stage.start()
        await source.is_asked.wait()
        await clock.advance(0.1)
        assert speaker.device.value is not None
        await stage.session.stop()
        await clock.advance(0.1)
        assert speaker.device.value is None
        assert source.open_count == 0
    await speaker.aclose()


@pytest.mark.parametrize("turns", range(5))
async def test_a_close_that_is_cancelled_closes_all_the_same(turns: int) -> None:
    source = Odd()
    stage = AgentStage(microphone=source)
    await stage.start()
    await source.is_asked.wait()
    closing = asyncio.create_task(stage.session.aclose())
    for _ in range(turns):
        await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await stage.session.aclose()
    assert source.open_count == 0
    assert stage.session.status.value is AgentStatus.CLOSED
    assert stage.socket.goodbyes == [1000]


async def test_a_voice_that_is_opened_after_the_end_ends() -> None:
    async with staged() as stage:
        await stage.start()
    heard: list[AudioFrame] = []
    voice = await stage.session.voice.open(heard.append)
    waiting = asyncio.create_task(voice.wait_ended())
    await stage.clock.advance(0.1)
    await waiting
    assert not any(np.any(frame.samples) for frame in heard)


async def test_a_microphone_that_has_no_frames_is_refused() -> None:
    with pytest.raises(UTDStreamException) as refused:
        AgentStage(microphone=Microphone(backend="platform"))
    assert refused.value.code is UTDErrorCode.FEATURE_DISABLED
