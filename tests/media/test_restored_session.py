"""A session whose media process dies shows a room in which nobody is missing, or why it ended."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from tests.media.restored import ALL, BEN, VOICE, Restored, turns
from utd_rx import RoomSession, ToneSource, UTDConnectionState, UTDErrorCode
from utd_rx.models import events as ev
from utd_rx.models.participant import TrackSource
from utd_rx.testing.contracts import PATIENCE
from utd_rx.video import TestPattern

TOKEN = (
    "eyJhbGciOiJIUzI1NiJ9."
    "eyJzdWIiOiJtZSIsInZpZGVvIjp7InJvb20iOiJyb29tIiwicm9vbUpvaW4iOnRydWV9fQ."
    "c2lnbmF0dXJl"
)
"""Of `me`, for `room`; nobody checks it here."""


async def joined(stage: Restored, **sources: Any) -> RoomSession:
    """Join a plain room that lives in media processes of the stage."""
    session = RoomSession("wss://x", TOKEN, room=stage.room, microphone=ToneSource(), **sources)
    await session.join()
    return session


async def test_the_roster_does_not_flicker_and_the_microphone_stays_on() -> None:
    stage = Restored()
    session = await joined(stage)
    await session.set_microphone(True)
    rosters: list[list[str]] = []
    session.remote_participants.subscribe(
        lambda people: rosters.append([f"{who.identity} {len(who.tracks)}" for who in people])
    )
    switched: list[bool] = []
    session.microphone_enabled.subscribe(switched.append)
    states: list[UTDConnectionState] = []
    session.connection_state.subscribe(states.append)
    stage.die()
    await turns(30)
    assert rosters == [["ben 2"]]
    assert switched == [True]
    assert [state.name for state in states] == ["CONNECTED", "RECONNECTING", "CONNECTED"]
    assert len(stage.now.tracks) == 1
    await session.set_microphone(False)
    assert stage.now.tracks[0].is_muted
    stage.remotes = (evolve(BEN, tracks=(VOICE,)),)
    stage.die()
    await turns(2)
    stage.clock.advance(1)
    await turns(30)
    assert rosters[-1] == ["ben 1"]
    assert not session.microphone_enabled.value
    await session.set_microphone(True)
    assert not stage.now.tracks[0].is_muted
    await session.aclose()
    await stage.succession.aclose()


async def half_restored() -> tuple[Restored, RoomSession]:
    """Return a session whose microphone is there again, and whose camera is not yet."""
    stage = Restored()
    session = await joined(stage, camera=TestPattern(64, 36, 10))
    await session.set_microphone(True)
    await session.set_camera(True)
    stage.permission = evolve(ALL, can_publish_sources=(TrackSource.MICROPHONE,))
    stage.die()
    await turns(30)
    assert [track.source for track in stage.now.tracks] == [TrackSource.MICROPHONE]
    return stage, session


async def test_after_a_second_death_half_way_it_hears_its_host_and_switches_what_is_heard() -> None:
    stage, session = await half_restored()
    stage.permission = ALL
    stage.die()
    await turns(2)
    stage.clock.advance(1)
    await turns(30)
    await stage.now.set_muted(stage.now.tracks[0].sid, True)
    await turns(4)
    assert not session.microphone_enabled.value
    for on in (True, False):
        await session.set_microphone(on)
        assert stage.now.tracks[0].is_muted is not on
    await session.aclose()
    await stage.succession.aclose()


async def test_a_host_who_mutes_it_half_way_is_followed_until_the_app_says_otherwise() -> None:
    stage, session = await half_restored()
    sid = stage.now.tracks[0].sid
    await stage.now.set_muted(sid, True)
    await turns(2)
    stage.now.emit(ev.ParticipantPermissionsChanged("me", ALL))
    await session.connection_state.until(UTDConnectionState.CONNECTED, timeout=PATIENCE)
    await turns(4)
    assert not session.microphone_enabled.value
    assert stage.now.tracks[0].is_muted
    await session.set_microphone(True)
    assert not stage.now.tracks[0].is_muted
    await session.aclose()
    await stage.succession.aclose()


async def test_after_three_deaths_it_has_ended_and_says_what_the_last_one_said() -> None:
    stage = Restored()
    session = await joined(stage)
    for words in ("one", "two", "thread 'tokio' panicked"):
        stage.hosts[-1].die(words)
        await turns(4)
        stage.clock.advance(1)
        await turns(30)
    await session.connection_state.until(UTDConnectionState.DISCONNECTED, timeout=PATIENCE)
    failure = session.failure.value
    assert failure is not None
    assert failure.code is UTDErrorCode.FEATURE_DISABLED
    assert "thread 'tokio' panicked" in failure.message
    stage.clock.advance(60)
    await session.join()
    assert session.connected.value
    await session.aclose()
    await stage.succession.aclose()
