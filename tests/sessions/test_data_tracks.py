"""Data tracks of a session: those it publishes, and those of others."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.sessions.test_room import TOKEN, URL
from tests.sessions.watching import settle
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.data_tracks import DataTrackFrame, DataTrackInfo
from utd_rx.models.events import (
    DataTrackPublished,
    DataTrackUnpublished,
    ParticipantConnected,
)
from utd_rx.models.participant import RemoteParticipant
from utd_rx.ports.data_tracks import MAX_DATA_FRAME
from utd_rx.sessions.room import RoomSession
from utd_rx.testing.room import FakeRoom

LARGE = b"x" * (MAX_DATA_FRAME + 1)
FIRST, SECOND = DataTrackInfo("DTR_1", "pose"), DataTrackInfo("DTR_2", "pose")


@pytest.fixture
def fake() -> FakeRoom:
    return FakeRoom("me")


@pytest.fixture
async def room(fake: FakeRoom) -> AsyncIterator[RoomSession]:
    async with RoomSession(URL, TOKEN, room=fake) as session:
        await session.join()
        fake.emit(ParticipantConnected(RemoteParticipant("ben")), DataTrackPublished("ben", FIRST))
        await settle()
        yield session


async def test_who_publishes_what_is_told(room: RoomSession, fake: FakeRoom) -> None:
    other = DataTrackInfo("DTR_3", "heat")
    fake.emit(DataTrackPublished("ben", other), DataTrackPublished("nobody", other))
    await settle()
    assert room.remote_participants.value[0].data_tracks == (FIRST, other)
    fake.emit(DataTrackUnpublished("ben", FIRST), DataTrackPublished("me", other))
    await settle()
    [ben] = room.remote_participants.value
    assert ben.data_tracks == (other,)


async def test_a_track_is_followed_while_it_is_observed(room: RoomSession, fake: FakeRoom) -> None:
    told: list[DataTrackFrame | str] = []
    frames = [DataTrackFrame(b"%d" % n, n) for n in range(4)]
    track = room.data_track("ben", "pose")
    fake.data_tracks.play("DTR_1", frames[0])
    observing = track.subscribe(told.append, on_completed=lambda: told.append("end"))
    await settle()
    fake.data_tracks.play("DTR_1", frames[1])
    fake.emit(DataTrackUnpublished("ben", FIRST), DataTrackPublished("ben", SECOND))
    await settle()
    fake.data_tracks.play("DTR_1", frames[2])
    fake.data_tracks.play("DTR_2", frames[3])
    assert told == [frames[1], frames[3]]
    observing.dispose()
    await settle()
    fake.data_tracks.play("DTR_2", frames[0])
    assert told == [frames[1], frames[3]]
    track.subscribe(told.append, on_completed=lambda: told.append("end"))
    await room.aclose()
    assert told[2:] == ["end"]


@pytest.mark.parametrize(("identity", "name"), [("", "pose"), ("ben", ""), ("ben", "x" * 257)])
async def test_what_is_no_track_is_refused_at_once(
    room: RoomSession, identity: str, name: str
) -> None:
    with pytest.raises(UTDStreamException) as refused:
        room.data_track(identity, name)
    assert refused.value.code is UTDErrorCode.VALIDATION


async def test_frames_are_pushed_until_the_track_is_unpublished(
    room: RoomSession, fake: FakeRoom
) -> None:
    async with await room.publish_data_track("pose") as track:
        await track.push(b"a")
        await track.push(memoryview(b"b"), user_timestamp=2**64 - 1)  # type: ignore[arg-type] # any bytes
        for wrong, stamp in ((b"", None), ("a", None), (b"a", -1), (b"a", 2**64), (LARGE, 1)):
            with pytest.raises(UTDStreamException) as refused:
                await track.push(wrong, user_timestamp=stamp)  # type: ignore[arg-type] # the same
            assert refused.value.code is UTDErrorCode.VALIDATION
    pushed = [DataTrackFrame(b"a"), DataTrackFrame(b"b", 2**64 - 1)]
    assert fake.data_tracks.pushed == [("pose", frame) for frame in pushed]
    assert fake.data_tracks.published == {}
    with pytest.raises(UTDStreamException, match="unpublished") as refused:
        await track.push(b"c")
    assert refused.value.reason is ConflictReason.CLOSED
    assert fake.data_tracks.published == {}
    assert "pose" in repr(track)


async def test_the_next_connection_has_it_again_with_the_first_frame(
    room: RoomSession, fake: FakeRoom
) -> None:
    track = await room.publish_data_track("pose")
    fake.lose(DisconnectReason.PARTICIPANT_REMOVED)
    await settle()
    with pytest.raises(UTDStreamException) as refused:
        await track.push(b"lost")
    assert refused.value.reason is ConflictReason.NOT_JOINED
    await room.join()
    assert fake.data_tracks.published == {}
    await track.push(b"again")
    await track.push(b"and again")
    assert [frame.payload for _, frame in fake.data_tracks.pushed] == [b"again", b"and again"]
    assert list(fake.data_tracks.published.values()) == ["pose"]
