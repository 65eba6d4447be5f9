"""Everybody in the room is on the speaker, each with their own gain, and nobody stays behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from reactivex import Observable

from tests.sessions.stage import Stage
from tests.sessions.watching import settle
from utd_rx.audio.microphone import Microphone
from utd_rx.audio.speaker import Speaker
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFrame
from utd_rx.models.events import (
    ParticipantConnected,
    ParticipantDisconnected,
    TrackPublished,
    TrackSubscribed,
    TrackUnsubscribed,
)
from utd_rx.models.participant import (
    RemoteParticipant,
    TrackKind,
    TrackPublication,
    TrackSource,
)
from utd_rx.ports import living
from utd_rx.sessions.playback import Playback, play


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    await stage.session.join()
    yield stage
    await stage.session.aclose()


@pytest.fixture
async def speaker() -> AsyncIterator[Speaker]:
    speaker = Speaker()  # never opened: what it would play is pulled by the test
    yield speaker
    await speaker.aclose()


def frame(value: int) -> AudioFrame:
    return AudioFrame(np.full((480, 1), value, np.int16), 48_000)


def speaks(stage: Stage, identity: str, sid: str) -> None:
    track = TrackPublication(sid, "microphone", kind=TrackKind.AUDIO, source=TrackSource.MICROPHONE)
    subscribed = evolve(track, is_subscribed=True)
    stage.room.emit(
        ParticipantConnected(RemoteParticipant(identity, sid=f"PA_{identity}")),
        TrackPublished(identity, track),
        TrackSubscribed(identity, subscribed),
    )


async def until_played(playback: Playback, *identities: str) -> None:
    """Let the loop do everything that is ready."""
    for _ in range(20):
        await asyncio.sleep(0)
    assert set(playback.voices) == set(identities)


def heard(speaker: Speaker) -> int:
    return int(living.find(speaker.key).mixer.pull(240)[-1, 0])


async def test_everybody_is_played_with_their_gain(stage: Stage, speaker: Speaker) -> None:
    async with play(stage.session, speaker) as playback:
        playback.set_gain("sara", 2.0)
        speaks(stage, "sara", "TR_1")
        speaks(stage, "omar", "TR_2")
        await until_played(playback, "sara", "omar")
        for _ in range(5):
            stage.room.play("TR_1", frame(1000))
            stage.room.play("TR_2", frame(100))
        assert heard(speaker) == 2100
        playback.set_gain("omar", 0.0)
        await until_played(playback, "sara", "omar")
        heard(speaker)
        assert heard(speaker) == 2000
    assert living.find(speaker.key).mixer.voices == ()


async def test_who_goes_is_not_played_and_who_comes_back_keeps_the_gain(
    stage: Stage, speaker: Speaker
) -> None:
    async with play(stage.session, speaker) as playback:
        speaks(stage, "sara", "TR_1")
        await until_played(playback, "sara")
        playback.set_gain("sara", 0.5)
        stage.room.emit(ParticipantDisconnected("sara"))
        await until_played(playback)
        assert living.find(speaker.key).mixer.voices == ()
        speaks(stage, "sara", "TR_9")
        await until_played(playback, "sara")
        assert playback.voices == {"sara": 0.5}


class Gated:
    """A room whose `hear` and `route` wait to be let through."""

    def __init__(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        for name in ("hear", "route"):
            self._gate(stage, name, monkeypatch)

    def _gate(self, stage: Stage, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        receive = getattr(stage.room, name)

        async def gated(sid: str, *rest: Any, **options: Any) -> int:
            self.asked.append(sid)
            await self.gate.wait()
            received: int = await receive(sid, *rest, **options)
            return received

        monkeypatch.setattr(stage.room, name, gated)

    async def flap(self, stage: Stage) -> None:
        """Let sara's track come, go and come back while it is being received."""
        speaks(stage, "sara", "TR_1")
        for _ in range(20):
            await asyncio.sleep(0)
        assert self.asked == ["TR_1"]
        track = TrackPublication("TR_1", "microphone", TrackKind.AUDIO, TrackSource.MICROPHONE)
        stage.room.emit(TrackUnsubscribed("sara", track))
        for _ in range(5):
            await asyncio.sleep(0)
        stage.room.emit(TrackSubscribed("sara", evolve(track, is_subscribed=True)))
        for _ in range(5):
            await asyncio.sleep(0)
        self.gate.set()


async def test_a_track_that_was_gone_meanwhile_is_played_anew(
    stage: Stage, speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    gated = Gated(stage, monkeypatch)
    async with play(stage.session, speaker) as playback:
        await gated.flap(stage)
        await until_played(playback, "sara")
        assert gated.asked == ["TR_1", "TR_1"]
        assert len(living.find(speaker.key).mixer.voices) == 1


@pytest.mark.parametrize("name", ["audio", "events", "data", "messages"])
async def test_an_observer_that_raises_is_reported_each_time_and_nobody_loses_anything(
    stage: Stage, name: str
) -> None:
    reports: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    speaks(stage, "sara", "TR_1")
    await settle()
    streams: dict[str, Observable[Any]] = {
        "audio": stage.session.audio("sara"),
        "events": stage.session.events,
        "data": stage.session.data,
        "messages": stage.session.messages("t"),
    }
    stream = streams[name]
    seen: list[str] = []

    def fail(_: object) -> None:
        seen.append("failing")
        raise ValueError("an app's own")

    stream.subscribe(fail)
    stream.subscribe(lambda _: seen.append("well"))
    await settle()
    for _ in range(2):
        if name == "audio":
            stage.room.play("TR_1", frame(1), frame(2))
        else:
            stage.room.push(b"1", sender="sara", topic="t")
            stage.room.push(b"2", sender="sara", topic="t")
        await settle()
    assert (seen.count("failing"), seen.count("well")) == (4, 4)
    assert len(reports) == 4
    for told in reports:
        assert told["message"].startswith("an observer of ")
        assert told["exception"].__traceback__.tb_next is None


async def test_a_track_that_was_gone_meanwhile_is_observed_anew(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    gated = Gated(stage, monkeypatch)
    frames: list[AudioFrame] = []
    subscription = stage.session.audio("sara").subscribe(frames.append)
    await gated.flap(stage)
    for _ in range(20):
        await asyncio.sleep(0)
    assert gated.asked == ["TR_1", "TR_1"]
    stage.room.play("TR_1", frame(1000))
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(frames) == 1
    subscription.dispose()


async def test_one_participants_trouble_is_not_everybodys(
    stage: Stage,
    speaker: Speaker,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    route = stage.room.route

    async def troubled(sid: str, *rest: Any, **options: Any) -> int:
        if sid == "TR_1":
            raise LookupError("a native surprise")
        return await route(sid, *rest, **options)

    monkeypatch.setattr(stage.room, "route", troubled)
    async with play(stage.session, speaker) as playback:
        speaks(stage, "sara", "TR_1")
        speaks(stage, "omar", "TR_2")
        await until_played(playback, "omar")
        assert "sara cannot be played" in caplog.text
        assert len(living.find(speaker.key).mixer.voices) == 1


async def test_it_ends_with_the_session(stage: Stage, speaker: Speaker) -> None:
    playback = play(stage.session, speaker)
    speaks(stage, "sara", "TR_1")
    await until_played(playback, "sara")
    await stage.session.aclose()
    await asyncio.wait({playback._task}, timeout=5)
    assert playback._task.done()
    assert living.find(speaker.key).mixer.voices == ()
    await playback.aclose()


async def test_a_gain_out_of_range_is_refused(stage: Stage, speaker: Speaker) -> None:
    async with play(stage.session, speaker) as playback:
        with pytest.raises(UTDStreamException) as caught:
            playback.set_gain("sara", 9.0)
        with pytest.raises(UTDStreamException):
            playback.set_gain(["sara"], 1.0)  # type: ignore[arg-type] # what is tested
        with pytest.raises(UTDStreamException):
            stage.session.audio(["sara"])  # type: ignore[arg-type] # the same
        assert caught.value.code is UTDErrorCode.VALIDATION


async def test_the_platforms_speaker_is_left_to_webrtc(stage: Stage) -> None:
    speaker = Speaker(backend="platform")  # never opened, so nothing is held
    async with play(stage.session, speaker) as playback:
        with pytest.raises(UTDStreamException) as caught:
            playback.set_gain("sara", 2.0)
        assert caught.value.code is UTDErrorCode.FEATURE_DISABLED
        speaks(stage, "sara", "TR_1")
        await until_played(playback)
    await speaker.aclose()


async def test_nobody_is_played_twice_beside_the_platforms_microphone(speaker: Speaker) -> None:
    stage = Stage(microphone=Microphone(backend="platform"))
    assert stage.session.microphone_source is not None
    with pytest.raises(UTDStreamException, match="twice") as caught:
        play(stage.session, speaker)
    assert caught.value.code is UTDErrorCode.CONFLICT
    async with play(stage.session, Speaker(backend="platform")):
        pass
    await stage.session.aclose()
