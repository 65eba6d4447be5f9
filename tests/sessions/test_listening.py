"""What others say is a source of sound: one of them, or all of them mixed, whoever comes later."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
from attrs import evolve

from tests.sessions.stage import LoopClock, Stage
from tests.sessions.watching import settle
from tests.state.virtual import run
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat, AudioFrame, AudioInput
from utd_rx.models.events import (
    ParticipantConnected,
    ParticipantDisconnected,
    TrackSubscribed,
    TrackUnsubscribed,
)
from utd_rx.models.participant import RemoteParticipant, TrackPublication, TrackSource


def frame(value: int) -> AudioFrame:
    return AudioFrame(np.full((480, 1), value, np.int16), 48_000)


def track(sid: str) -> TrackPublication:
    return TrackPublication(sid, source=TrackSource.MICROPHONE, is_subscribed=True)


def comes(stage: Stage, identity: str) -> None:
    """Let somebody join and speak, on a track that is named after them."""
    stage.room.emit(ParticipantConnected(RemoteParticipant(identity, tracks=(track(identity),))))


async def say(stage: Stage, seconds: float, **values: int) -> None:
    """Let each say a constant for a while."""
    for _ in range(round(seconds * 100)):
        for identity, value in values.items():
            stage.room.play(identity, frame(value))
        await asyncio.sleep(0.01)


def on_stage(story: Callable[[Stage], Awaitable[None]]) -> None:
    """Play a story on virtual time, with a session that has joined."""

    async def played() -> None:
        stage = Stage(clock=LoopClock(asyncio.get_running_loop()))
        await stage.session.join()
        try:
            await story(stage)
        finally:
            await stage.session.aclose()

    run(played())


def last(frames: list[AudioFrame]) -> int:
    return int(frames[-1].samples[-1, 0])


def test_everybody_is_heard_but_who_is_left_out_also_who_comes_later() -> None:
    async def story(stage: Stage) -> None:
        frames: list[AudioFrame] = []
        comes(stage, "ana")
        comes(stage, "robot")
        await settle()
        stream = await stage.session.voices(except_=["robot"]).open(frames.append)
        await say(stage, 0.2, ana=100, robot=5_000)
        assert last(frames) == 100
        comes(stage, "ben")
        await settle()
        await say(stage, 0.2, ana=100, ben=20, robot=5_000)
        assert last(frames) == 120
        stage.room.emit(ParticipantDisconnected("ana"))
        await settle()
        await say(stage, 0.2, ana=100, ben=20)
        assert last(frames) == 20
        assert len(frames) == pytest.approx(60, abs=2)
        await stream.aclose()
        count = len(frames)
        await say(stage, 0.1, ben=20)
        assert len(frames) == count

    on_stage(story)


def test_who_was_unsubscribed_and_is_back_is_heard_again() -> None:
    async def story(stage: Stage) -> None:
        frames: list[AudioFrame] = []
        comes(stage, "ana")
        await settle()
        stream = await stage.session.voices().open(frames.append)
        for _ in range(2):
            await say(stage, 0.1, ana=100)
            assert last(frames) == 100
            gone = evolve(track("ana"), is_subscribed=False)
            stage.room.emit(TrackUnsubscribed("ana", gone))
            await settle()
            await say(stage, 0.2, ana=100)
            assert last(frames) == 0
            stage.room.emit(TrackSubscribed("ana", track("ana")))
            await settle()
        await stream.aclose()

    on_stage(story)


def test_one_voice_is_silent_before_they_come_and_ends_with_the_session() -> None:
    async def story(stage: Stage) -> None:
        frames: list[AudioFrame] = []
        stream = await stage.session.voice("ana").open(frames.append)
        await say(stage, 0.1)
        assert len(frames) > 5
        comes(stage, "ana")
        await settle()
        await say(stage, 0.2, ana=100, ben=20)
        assert last(frames) == 100
        await stage.session.aclose()
        await stream.wait_ended()

    on_stage(story)


def test_everybodys_end_with_the_session_too() -> None:
    async def story(stage: Stage) -> None:
        stream = await stage.session.voices().open(lambda _: None)
        await stage.session.aclose()
        await stream.wait_ended()
        late = await stage.session.voices().open(lambda _: None)
        await late.wait_ended()

    on_stage(story)


async def test_they_are_audio_inputs_and_cross_a_port_of_this_process(joined: Stage) -> None:
    sources: list[AudioInput] = [joined.session.voice("ana"), joined.session.voices()]
    for source in sources:
        assert source.format == AudioFormat(48_000, 1)
        assert pickle.loads(pickle.dumps(source)) is source


@pytest.mark.parametrize("left_out", ["ana", [""], 7])
async def test_who_is_left_out_has_an_identity(joined: Stage, left_out: list[str]) -> None:
    with pytest.raises(UTDStreamException) as caught:
        joined.session.voices(except_=left_out)
    assert caught.value.code is UTDErrorCode.VALIDATION
    with pytest.raises(UTDStreamException):
        joined.session.voice("")
