"""Somebody's sound follows whichever microphone they have, until whoever hears it is done."""

from __future__ import annotations

import numpy as np
import pytest

from tests.sessions.stage import Stage
from tests.sessions.watching import settle
from utd_rx.models.audio import AudioFrame
from utd_rx.models.events import (
    ParticipantConnected,
    ParticipantDisconnected,
    TrackSubscribed,
    TrackUnpublished,
)
from utd_rx.models.participant import RemoteParticipant, TrackPublication, TrackSource


def track(sid: str) -> TrackPublication:
    return TrackPublication(sid, source=TrackSource.MICROPHONE, is_subscribed=True)


def frame(value: int) -> AudioFrame:
    return AudioFrame(np.full((480, 1), value, np.int16), 48_000)


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
