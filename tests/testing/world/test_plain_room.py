"""Plain rooms of a world: the sessions are genuine, the media server is made up."""

from __future__ import annotations

from pathlib import Path

import pytest

from utd_rx import Recording, RoomReplay, record, replay
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.data_tracks import DataTrackFrame
from utd_rx.models.participant import ParticipantPermission, RemoteParticipant, TrackPublication
from utd_rx.models.participant import TrackSource as Source
from utd_rx.protocol.wire.tokens import expired_at
from utd_rx.sessions.room import RoomSession
from utd_rx.testing import FakeWorld


def heard(session: RoomSession) -> list[str]:
    people = session.remote_participants.value
    return [who.identity for who in people for one in who.tracks if one.is_subscribed]


def test_two_meet_in_a_plain_room_and_the_engine_hears_nothing_of_it() -> None:
    with FakeWorld() as world:
        ana, ben = world.open_room("ana"), world.open_room("ben")
        mood = ben.attribute("mood", "ana")
        world.run(ana.set_attributes({"mood": "good"}))
        world.run(ana.set_name("Anna"))
        world.run(ana.set_microphone(True))
        world.run(ana.chat.send("hello"))
        world.settle()
        [seen] = ben.remote_participants.value
        assert (seen.name, mood.value, heard(ben)) == ("Anna", "good", ["ana"])
        [message] = ben.chat_history.value
        assert (message.text, message.sent_at) == ("hello", ana.chat_history.value[0].sent_at)
        assert ben.room_info.value.name == "lobby"
        assert world.sent == []


def test_a_word_about_what_to_receive_outlives_an_outage() -> None:
    def choose(who: RemoteParticipant, track: TrackPublication) -> bool:
        return who.identity == "ana"

    with FakeWorld() as world:
        ana, ben = world.open_room("ana"), world.open_room("ben", auto_subscribe=choose)
        cy = world.open_room("cy", auto_subscribe=False)
        for speaker in (ana, ben):
            world.run(speaker.set_microphone(True))
        world.run(cy.subscribe("ben", Source.MICROPHONE))
        world.run(ben.subscribe("cy", Source.MICROPHONE))
        world.run(cy.set_microphone(True))
        world.settle()
        assert (heard(ana), heard(ben), heard(cy)) == (["ben", "cy"], ["ana", "cy"], ["ben"])
        world.network.interrupt("cy", full=True)
        world.advance(60)
        assert cy.connected.value
        assert (heard(ben), heard(cy)) == (["ana", "cy"], ["ben"])
        world.run(cy.unsubscribe("ben", Source.MICROPHONE))
        assert heard(cy) == []


def test_a_token_that_expired_says_when_and_a_source_of_tokens_is_asked_again() -> None:
    with FakeWorld() as world:
        short = world.room_token("ana", seconds=100)
        ana = world.open_room("ana", token=short)
        asked: list[float] = []

        async def source() -> str:
            asked.append(world.now)
            return world.room_token("ben", seconds=100)

        ben = world.open_room("ben", token_source=source)
        world.run(ana.leave())
        world.advance(200)
        with pytest.raises(UTDStreamException, match=r"the token expired at .* UTC, 100 s") as told:
            world.run(ana.join())
        assert told.value.code is UTDErrorCode.UNAUTHORIZED
        assert told.value.expired_at == expired_at(short, now=1e12)
        world.run(ben.leave())
        world.run(ben.join())
        assert asked == [0.0, 200.0]


def test_what_a_token_does_not_grant_is_refused_at_once() -> None:
    with FakeWorld() as world:
        listener = world.room_token("ana", permission=ParticipantPermission(can_subscribe=True))
        ana, began = world.open_room("ana", token=listener), world.now
        for command in (ana.set_microphone(True), ana.set_name("Anna"), ana.send_data(b"x")):
            with pytest.raises(UTDStreamException) as told:
                world.run(command)
            assert told.value.code is UTDErrorCode.FORBIDDEN
        assert world.now == began


def test_whoever_joins_later_keeps_the_identity() -> None:
    with FakeWorld() as world:
        first, second = world.open_room("ana"), world.open_room("ana")
        world.advance(1)
        assert (first.connected.value, second.connected.value) == (False, True)
        assert first.failure.value is not None
        assert first.failure.value.reason is ConflictReason.REPLACED


def test_in_a_room_of_the_engine_one_chooses_what_to_receive_too() -> None:
    with FakeWorld() as world:
        host = world.join_audio_room("ana", host=True, microphone=world.microphone("ana"))
        ben = world.join_audio_room("ben")
        world.run(host.take_seat(0))
        world.run(ben.unsubscribe("ana", Source.MICROPHONE))
        assert not any(one.is_subscribed for one in ben.remote_participants.value[0].tracks)
        world.run(ben.subscribe("ana", Source.MICROPHONE))
        assert any(one.is_subscribed for one in ben.remote_participants.value[0].tracks)
        with pytest.raises(UTDStreamException, match="canUpdateOwnMetadata"):
            world.run(ben.set_attributes({"mood": "good"}))
        assert ben.attribute("mood", "ana").value is None


def test_data_tracks_go_on_over_outages_and_end_with_the_grant_of_data() -> None:
    with FakeWorld() as world:
        ana, ben = world.open_room("ana"), world.open_room("ben")
        told: list[DataTrackFrame] = []
        ben.data_track("ana", "pose").subscribe(told.append)
        pose = world.run(ana.publish_data_track("pose"))
        sids: set[str] = set()
        for number, outage in enumerate(("none", "resume", "full", "theirs")):
            if outage != "none":
                who = "ben" if outage == "theirs" else "ana"
                world.network.interrupt(who, full=outage != "resume")
                world.advance(60)
            frame = DataTrackFrame(b"%d" % number * 100_000, number)
            world.run(pose.push(frame.payload, user_timestamp=number))
            world.settle()
            assert told[-1] == frame
            sids |= {track.sid for track in ben.remote_participants.value[0].data_tracks}
        assert (len(told), len(sids)) == (4, 2)
        world.run(pose.unpublish())
        world.settle()
        assert ben.remote_participants.value[0].data_tracks == ()
        silent = ParticipantPermission(can_subscribe=True)
        cy = world.open_room("cy", token=world.room_token("cy", permission=silent))
        with pytest.raises(UTDStreamException) as refused:
            world.run(cy.publish_data_track("pose"))
        assert refused.value.code is UTDErrorCode.FORBIDDEN


async def replayed(path: Path) -> RoomReplay:
    recorded = replay(path, RoomReplay)
    await recorded.run(speed=None)
    return recorded


def test_a_recording_of_a_plain_room_shows_what_was_and_not_what_was_said(tmp_path: Path) -> None:
    path = tmp_path / "room.jsonl"
    with FakeWorld() as world:
        ana, ben = world.open_room("ana"), world.open_room("ben")
        recording = world.run(started(ana, path))
        world.run(ben.chat.send("a secret"))
        legacy = b'{"id": "a secret", "message": "a secret"}'
        world.run(ben.send_data(legacy, topic="lk-chat-topic"))
        world.run(ben.send_text("a secret", topic="lk.transcription"))
        world.run(ben.publish_data_track("pose"))
        world.settle()
        world.run(recording.aclose())
        again = world.run(replayed(path))
        assert "a secret" not in path.read_text()
        assert [turn.text[:9] for turn in again.transcript.value] == ["<redacted"]
        assert [one.text[:9] for one in again.chat_history.value] == ["<redacted"] * 2
        assert again.remote_participants.value == ana.remote_participants.value


async def started(session: RoomSession, path: Path) -> Recording:
    return record(session, path)
