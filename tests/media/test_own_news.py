"""Whoever listens hears of own tracks by the sids they know, however many lives were in between."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.media.restored import ALL, Restored, turns
from utd_rx.audio.sources import ToneSource
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models import events as ev
from utd_rx.models.participant import TrackPublication, TrackSource
from utd_rx.testing.contracts import refusal
from utd_rx.testing.loop import run_virtual
from utd_rx.testing.room import FakeRoom
from utd_rx.video import TestPattern

SOUND_ONLY = evolve(ALL, can_publish_sources=(TrackSource.MICROPHONE,))


class Known:
    """The own tracks as whoever listens knows them, who is told of no other."""

    def __init__(self, stage: Restored) -> None:
        self.tracks: dict[str, TrackPublication] = {}
        self._ever: set[str] = set()
        self._own: set[str] = set()
        stage.room.listen(self._hear)

    def add(self, track: TrackPublication) -> TrackPublication:
        """It was published."""
        self.tracks[track.sid] = track
        self._ever.add(track.sid)
        return track

    def _hear(self, events: tuple[ev.RoomEvent, ...]) -> None:
        for event in events:
            match event:
                case ev.LocalTrackRepublished(track=track, previous_sid=sid):
                    assert sid in self.tracks, f"{sid} was never told"
                    del self.tracks[sid]
                    self.add(track)
                case ev.LocalTrackFailed(track_sid=sid):
                    assert sid in self._ever
                    self.tracks.pop(sid, None)
                case ev.LocalTrackUnpublished(track=track):
                    assert track.sid in self._ever
                    self.tracks.pop(track.sid, None)
                case ev.TrackMuted(track=track) | ev.TrackUnmuted(track=track):
                    assert track.sid in self._ever
                    if track.sid in self.tracks:
                        self.tracks[track.sid] = track


async def half_restored() -> tuple[Restored, Known, TrackPublication, TrackPublication]:
    """Return a stage on which the microphone is there again, and the camera is not; what is known;
    and both, as they were before."""
    stage = await Restored().joined()
    known = Known(stage)
    sound = known.add(await stage.room.publish(ToneSource()))
    pattern = TestPattern(64, 36, 10)
    picture = known.add(await stage.room.publish(pattern, TrackSource.CAMERA))
    stage.permission = SOUND_ONLY
    stage.die()
    await turns(30)
    assert [track.source for track in stage.now.tracks] == [TrackSource.MICROPHONE]
    return stage, known, sound, picture


def grant(stage: Restored) -> None:
    """Let the server grant all."""
    local = evolve(stage.now.snapshot.local, permission=ALL)
    stage.now.snapshot = evolve(stage.now.snapshot, local=local)
    stage.now.emit(ev.ParticipantPermissionsChanged("me", ALL))


async def whole(stage: Restored) -> list[ev.RoomEvent]:
    """Let it be restored, and return what was told then."""
    before = len(stage.told)
    grant(stage)
    await stage.until(lambda event: isinstance(event, ev.Reconnected), after=before)
    return stage.told[before:]


async def test_of_a_life_that_ended_half_way_nobody_hears() -> None:
    stage, known, sound, picture = await half_restored()
    stage.permission = ALL
    stage.die()
    await stage.again(1)
    moved = [event for event in stage.told if isinstance(event, ev.LocalTrackRepublished)]
    assert [event.previous_sid for event in moved] == [sound.sid, picture.sid]
    assert tuple(known.tracks) == tuple(track.sid for track in stage.now.tracks)


async def test_a_track_is_known_by_its_sid_after_ever_so_many_lives() -> None:
    stage, known, sound, _ = await half_restored()
    for _ in range(6):
        stage.clock.advance(61)
        stage.die()
        await turns(30)
    await stage.room.set_muted(sound.sid, True)
    assert stage.now.tracks[0].is_muted
    await whole(stage)
    assert [track.is_muted for track in known.tracks.values()] == [True, False]


async def test_a_mute_by_the_server_while_it_is_restored_is_told_as_one() -> None:
    stage, known, sound, _ = await half_restored()
    there = stage.now.tracks[0].sid
    await stage.now.set_muted(there, True)
    await turns(2)
    told = await whole(stage)
    moved, muted = told[:2]
    assert isinstance(moved, ev.LocalTrackRepublished)
    assert (moved.previous_sid, moved.track.is_muted) == (sound.sid, False)
    assert isinstance(muted, ev.TrackMuted)
    assert known.tracks[there].is_muted


async def test_so_is_an_end_and_a_failure() -> None:
    stage, known, sound, picture = await half_restored()
    await stage.now.unpublish(stage.now.tracks[0].sid)
    await turns(2)
    told = await whole(stage)
    assert [event.track.sid for event in told if isinstance(event, ev.LocalTrackUnpublished)] == [
        sound.sid
    ]
    assert picture.sid not in known.tracks
    assert len(known.tracks) == 1

    stage, known, sound, _ = await half_restored()
    no = UTDStreamException("no", code=UTDErrorCode.SERVER)
    track = stage.now.tracks[0]
    stage.now.emit(ev.LocalTrackFailed(track.sid, no), ev.LocalTrackUnpublished(track))
    await turns(2)
    told = await whole(stage)
    assert [event for event in told if isinstance(event, ev.LocalTrackFailed)] == [
        ev.LocalTrackFailed(sound.sid, no)
    ]


async def test_so_is_another_sid_that_a_full_reconnect_gave_it() -> None:
    stage, _, sound, _ = await half_restored()
    track = stage.now.tracks[0]
    stage.now.emit(ev.LocalTrackRepublished(evolve(track, sid="TR_new"), track.sid))
    await turns(2)
    told = await whole(stage)
    assert told[0] == ev.LocalTrackRepublished(evolve(track, sid="TR_new"), sound.sid)


async def test_a_track_that_is_refused_half_way_has_failed_though_that_life_ended_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(*_: Any) -> TrackPublication:
        raise UTDStreamException("no", code=UTDErrorCode.SERVER)

    stage = await Restored().joined()
    known = Known(stage)
    sound = known.add(await stage.room.publish(ToneSource()))
    known.add(await stage.room.publish(TestPattern(64, 36, 10), TrackSource.CAMERA))
    stage.permission = SOUND_ONLY
    with monkeypatch.context() as here:
        here.setattr(FakeRoom, "publish", refuse)
        stage.die()
        await turns(30)
    stage.permission = ALL
    stage.die()
    await stage.again(1)
    failed = [event for event in stage.told if isinstance(event, ev.LocalTrackFailed)]
    assert [event.track_sid for event in failed] == [sound.sid]
    assert [track.sid for track in stage.now.tracks] == list(known.tracks)


@pytest.mark.parametrize("what", ["muted", "taken"])
async def test_what_the_server_does_before_a_publication_has_answered_holds(what: str) -> None:
    stage = await Restored().joined()
    known = Known(stage)
    known.add(await stage.room.publish(ToneSource()))
    publish = FakeRoom.publish

    async def early(room: FakeRoom, *args: Any) -> TrackPublication:
        track = await publish(room, *args)
        await (room.set_muted(track.sid, True) if what == "muted" else room.unpublish(track.sid))
        room.flush()
        return track

    with pytest.MonkeyPatch.context() as here:
        here.setattr(FakeRoom, "publish", early)
        stage.die()
        await stage.again()
    assert [track.is_muted for track in known.tracks.values()] == [True] * (what == "muted")
    stage.die()
    await stage.again(1)
    assert stage.now.tracks == ()


async def test_what_is_muted_before_its_first_publication_has_answered_does_not_come_back() -> None:
    stage = await Restored().joined()
    publish = FakeRoom.publish

    async def early(room: FakeRoom, *args: Any) -> TrackPublication:
        track = await publish(room, *args)
        await room.set_muted(track.sid, True)
        room.flush()
        return track

    with pytest.MonkeyPatch.context() as here:
        here.setattr(FakeRoom, "publish", early)
        await stage.room.publish(ToneSource())
    stage.die()
    await stage.again()
    assert stage.now.tracks == ()


async def test_who_mutes_what_there_never_was_is_told_so_and_of_what_is_over_it_is_done() -> None:
    stage = await Restored().joined()
    track = await stage.room.publish(ToneSource())
    for muted in (True, False):
        refused = await refusal(stage.room.set_muted("TR_never", muted))
        assert refused.code is UTDErrorCode.NOT_FOUND
    await stage.room.unpublish(track.sid)
    await stage.room.set_muted(track.sid, True)


OPERATIONS = (
    "die",
    "die",
    "turn",
    "turn",
    "settle",
    "grant sound",
    "grant all",
    "mute",
    "unmute",
    "server mutes",
    "server unmutes",
    "server takes",
    "unpublish",
)


async def check(operations: list[tuple[str, int]]) -> None:
    stage = await Restored().joined()
    known = Known(stage)
    known.add(await stage.room.publish(ToneSource()))
    known.add(await stage.room.publish(TestPattern(64, 36, 10), TrackSource.CAMERA))
    working: set[asyncio.Task[None]] = set()
    for operation, which in operations:
        await act(stage, known, operation, which, working)
    stage.permission = ALL
    grant(stage)
    await turns(60)
    for task in working:
        await task
    await turns(60)
    there = {track.sid: track.is_muted for track in stage.now.tracks}
    told = {track.sid: track.is_muted for track in known.tracks.values()}
    assert there.items() <= told.items()
    assert {sid for sid, is_muted in told.items() if not is_muted} <= there.keys()
    await stage.room.aclose()
    await stage.succession.aclose()


async def act(
    stage: Restored, known: Known, operation: str, which: int, working: set[asyncio.Task[None]]
) -> None:
    own, there = list(known.tracks), stage.now.tracks
    match operation:
        case "die":
            stage.clock.advance(61)
            stage.die()
        case "turn" | "settle":
            await turns(1 if operation == "turn" else 30)
        case "grant sound" | "grant all":
            stage.permission = SOUND_ONLY if operation == "grant sound" else ALL
        case "mute" | "unmute" if own:
            sid, muted = own[which % len(own)], operation == "mute"
            known.tracks[sid] = evolve(known.tracks[sid], is_muted=muted)
            working.add(asyncio.create_task(set_muted(stage, known, sid, muted)))
        case "unpublish" if own:
            sid = own[which % len(own)]
            del known.tracks[sid]
            await stage.room.unpublish(sid)
        case "server mutes" | "server unmutes" if there:
            sid = there[which % len(there)].sid
            await stage.now.set_muted(sid, operation == "server mutes")
        case "server takes" if there:
            await stage.now.unpublish(there[which % len(there)].sid)


async def set_muted(stage: Restored, known: Known, sid: str, muted: bool) -> None:
    try:
        await stage.room.set_muted(sid, muted)
    except UTDStreamException as error:
        # It ended meanwhile, or may not be published.
        assert error.code in (UTDErrorCode.NOT_FOUND, UTDErrorCode.FORBIDDEN)
        if sid in known.tracks:
            known.tracks[sid] = evolve(known.tracks[sid], is_muted=True)


@given(
    operations=st.lists(
        st.tuples(st.sampled_from(OPERATIONS), st.integers(min_value=0, max_value=1)), max_size=16
    )
)
@settings(max_examples=100)
def test_through_any_deaths_whoever_listens_knows_the_tracks_that_are_there(
    operations: list[tuple[str, int]],
) -> None:
    run_virtual(check(operations))
