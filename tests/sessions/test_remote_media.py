"""Somebody's sound and pictures follow whichever track they have, until who observes is done."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.sessions.stage import Stage
from tests.sessions.watching import settle
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFrame
from utd_rx.models.events import (
    ParticipantConnected,
    ParticipantDisconnected,
    TrackMuted,
    TrackSubscribed,
    TrackUnmuted,
    TrackUnpublished,
)
from utd_rx.models.participant import RemoteParticipant, TrackPublication, TrackSource
from utd_rx.models.video import VideoFrame


def track(sid: str, source: TrackSource = TrackSource.MICROPHONE) -> TrackPublication:
    return TrackPublication(sid, source=source, is_subscribed=True)


def frame(value: int) -> AudioFrame:
    return AudioFrame(np.full((480, 1), value, np.int16), 48_000)


def picture(value: int) -> VideoFrame:
    return VideoFrame(np.full((16, 16, 3), value, np.uint8))


def value(one: VideoFrame) -> int:
    return int(one.pixels[0, 0, 0])


async def speaks(stage: Stage, sid: str, *, before: str | None = None) -> None:
    """Let Ana have another microphone, in one turn of the loop."""
    gone = [TrackUnpublished("ana", track(before))] if before else []
    stage.room.emit(*gone, TrackSubscribed("ana", track(sid)))
    await settle()


@pytest.fixture
async def ana(joined: Stage) -> Stage:
    joined.room.emit(ParticipantConnected(RemoteParticipant("ana", tracks=(track("TR_1"),))))
    await settle()
    return joined


async def test_it_goes_on_with_the_next_track(ana: Stage) -> None:
    heard: list[int] = []
    ana.session.audio("ana").subscribe(lambda one: heard.append(int(one.samples[0, 0])))
    await settle()
    ana.room.play("TR_1", frame(1))
    await speaks(ana, "TR_2", before="TR_1")
    ana.room.play("TR_1", frame(2))
    ana.room.play("TR_2", frame(3))
    assert heard == [1, 3]


async def test_a_track_that_was_gone_and_is_back_is_received_anew(ana: Stage) -> None:
    heard: list[AudioFrame] = []
    ana.session.audio("ana").subscribe(heard.append)
    await settle()
    await speaks(ana, "TR_1", before="TR_1")
    ana.room.play("TR_1", frame(1))
    assert len(heard) == 1


async def test_each_observer_receives_on_its_own_until_it_disposes(ana: Stage) -> None:
    first, second = list[AudioFrame](), list[AudioFrame]()
    sound = ana.session.audio("ana")
    subscription = sound.subscribe(first.append)
    sound.subscribe(second.append)
    await settle()
    ana.room.play("TR_1", frame(1))
    subscription.dispose()
    await settle()
    ana.room.play("TR_1", frame(2))
    assert (len(first), len(second)) == (1, 2)


async def test_it_outlasts_who_is_heard_and_ends_with_the_session(ana: Stage) -> None:
    ends: list[str] = []
    ana.session.audio("ana").subscribe(on_completed=lambda: ends.append("end"))
    ana.room.emit(ParticipantDisconnected("ana"))
    await settle()
    assert ends == []
    await ana.session.aclose()
    assert ends == ["end"]


CAMERA, SCREEN = TrackSource.CAMERA, TrackSource.SCREEN_SHARE


@pytest.fixture
async def bea(joined: Stage) -> Stage:
    tracks = (track("TR_camera", CAMERA), track("TR_screen", SCREEN), track("TR_microphone"))
    joined.room.emit(ParticipantConnected(RemoteParticipant("bea", tracks=tracks)))
    await settle()
    return joined


async def test_a_video_is_pulled_while_somebody_observes_as_large_as_they_ask_for(
    bea: Stage,
) -> None:
    room, video = bea.room, bea.session.video
    small = video("bea", max_height=180)
    assert room.pulled == {}
    first = small.subscribe()
    await settle()
    assert room.pulled == {"TR_camera": 180}
    second = video("bea", max_height=360).subscribe()
    screen = video("bea", source=SCREEN).subscribe()
    await settle()
    assert room.pulled == {"TR_camera": 360, "TR_screen": None}
    second.dispose()
    screen.dispose()
    await settle()
    assert room.pulled == {"TR_camera": 180}
    first.dispose()
    await settle()
    assert room.pulled == {}


async def test_a_video_goes_on_after_a_mute_and_with_the_next_track_and_ends_with_the_session(
    bea: Stage,
) -> None:
    seen: list[int | str] = []
    bea.session.video("bea").subscribe(
        lambda one: seen.append(value(one)), on_completed=lambda: seen.append("end")
    )
    await settle()
    bea.room.show("TR_camera", picture(1))
    bea.room.show("TR_screen", picture(9))
    muted = track("TR_camera", CAMERA)
    bea.room.emit(TrackMuted("bea", muted), TrackUnmuted("bea", muted))
    await settle()
    bea.room.show("TR_camera", picture(2))
    bea.room.emit(TrackUnpublished("bea", muted), TrackSubscribed("bea", track("TR_again", CAMERA)))
    await settle()
    bea.room.show("TR_camera", picture(9))
    bea.room.show("TR_again", picture(3))
    assert seen == [1, 2, 3]
    await bea.session.aclose()
    assert seen == [1, 2, 3, "end"]
    assert bea.room.pulled == {}


@pytest.mark.parametrize(
    ("identity", "options"),
    [
        ("", {}),
        ("bea", {"source": TrackSource.MICROPHONE}),
        ("bea", {"source": "camera"}),
        ("bea", {"max_height": 0}),
        ("bea", {"max_height": 4097}),
        ("bea", {"max_height": 180.0}),
        ("bea", {"max_height": True}),
    ],
)
async def test_what_is_no_video_is_refused(bea: Stage, identity: str, options: Any) -> None:
    with pytest.raises(UTDStreamException) as raised:
        bea.session.video(identity, **options)
    assert raised.value.code is UTDErrorCode.VALIDATION
