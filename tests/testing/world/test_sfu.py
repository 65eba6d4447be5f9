"""The virtual SFU is to the engine and to clients what livekit-server is (docs/livekit.md)."""

from __future__ import annotations

import pytest

from tests.testing.world.party import HOUR, ROOM, Party, advance, virtual
from utd_rx.audio.sources import ToneSource
from utd_rx.engine.rules.roles import Grant
from utd_rx.errors import UTDErrorCode
from utd_rx.models import events as ev
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.participant import TrackSource
from utd_rx.testing import FakeWorld
from utd_rx.testing.contracts import refusal
from utd_rx.testing.world import sfu
from utd_rx.testing.world.devices import VirtualMicrophone
from utd_rx.testing.world.sfu import TURNS


@virtual
async def test_the_engine_is_told_what_happens_in_order(party: Party) -> None:
    await party.sfu.open_room(ROOM, '{"a":1}')
    ben = await party.join("ben", "hers")
    track = await ben.room.publish(VirtualMicrophone())
    await ben.room.disconnect()
    assert party.told() == [
        "room_started", "participant_joined", "track_published", "track_unpublished",
        "participant_left",
    ]  # fmt: skip
    [started, joined, published, ended, left] = party.reports
    assert {report.room for report in party.reports} == {ROOM}
    assert {report.sid for report in party.reports} == {started.sid}
    assert joined.who is not None
    assert (joined.who.identity, joined.who.metadata) == ("ben", "hers")
    for told in (published, ended):
        assert told.track is not None
        assert (told.track.sid, told.track.kind) == (track.sid, "audio")
        assert told.track.source is TrackSource.MICROPHONE
    assert left.reason is DisconnectReason.CLIENT_INITIATED


@pytest.mark.parametrize(("is_engines", "seconds"), [(True, 60.0), (False, 20.0)])
@virtual
async def test_a_room_ends_some_time_after_the_last_has_left(
    party: Party, is_engines: bool, seconds: float
) -> None:
    if is_engines:
        await party.sfu.open_room(ROOM, "")
    ben = await party.join("ben")
    await advance(HOUR / 2)
    await ben.room.disconnect()
    await advance(seconds - 1)
    await ben.room.connect("", party.token("ben"))
    await advance(HOUR)
    assert "room_finished" not in party.told()
    await ben.room.disconnect()
    await advance(seconds + 1)
    assert party.told()[-1] == "room_finished"
    assert await party.sfu.list_rooms() == ()


@virtual
async def test_a_room_that_nobody_joins_ends(party: Party) -> None:
    found = await party.sfu.open_room(ROOM, "its", 2)
    assert found == await party.sfu.open_room(ROOM, "another's", 9)
    assert (found.metadata, found.max_participants) == ("its", 2)
    await advance(299)
    assert party.told() == ["room_started"]
    await advance(2)
    assert party.told() == ["room_started", "room_finished"]


@virtual
async def test_a_full_room_refuses_whoever_is_not_in_it(party: Party) -> None:
    await party.sfu.open_room(ROOM, "", 1)
    first = await party.join("ben")
    dora = party.guest("dora")
    refused = await refusal(dora.room.connect("", party.token("dora")))
    assert refused.code is UTDErrorCode.SERVER
    await party.join("ben")
    assert first.end is DisconnectReason.DUPLICATE_IDENTITY
    assert [who.identity for who in await party.sfu.list_participants(ROOM)] == ["ben"]


@virtual
async def test_a_token_that_is_none_or_has_expired_is_refused(party: Party) -> None:
    token = party.token("ben")
    ben = party.guest("ben")
    assert (await refusal(ben.room.connect("", "x"))).code is UTDErrorCode.UNAUTHORIZED
    await advance(HOUR + 59)
    await ben.room.connect("", token)
    await ben.room.disconnect()
    await advance(2)
    assert (await refusal(ben.room.connect("", token))).code is UTDErrorCode.UNAUTHORIZED


@virtual
async def test_the_newer_connection_of_an_identity_takes_the_place(party: Party) -> None:
    anna = await party.join("anna")
    first = await party.join("ben")
    anna.forget()
    second = await party.join("ben")
    assert first.end is DisconnectReason.DUPLICATE_IDENTITY
    assert second.end is None
    assert anna.names() == ["ParticipantDisconnected", "ParticipantConnected"]
    assert len(anna.batches) == 1


@virtual
async def test_what_the_engine_takes_ends_and_comes_not_back_by_itself(party: Party) -> None:
    anna, ben = await party.join("anna"), await party.join("ben")
    microphone = VirtualMicrophone()
    await ben.room.publish(microphone)
    await advance(0)
    anna.forget()
    ben.forget()
    assert await party.sfu.set_grant(ROOM, "ben", Grant())
    await advance(0)
    assert anna.names() == [
        "TrackUnsubscribed",
        "TrackUnpublished",
        "ParticipantPermissionsChanged",
    ]
    assert ben.names() == ["ParticipantPermissionsChanged", "LocalTrackUnpublished"]
    assert not microphone.is_open
    anna.forget()
    await party.sfu.set_grant(ROOM, "ben", Grant(can_publish=True))
    await party.sfu.set_grant(ROOM, "ben", Grant(can_publish=True))  # equal, and so nothing
    await advance(0)
    assert anna.names() == ["ParticipantPermissionsChanged"]


@virtual
async def test_only_sources_that_are_granted_are_published(party: Party) -> None:
    ben = await party.join("ben")
    grant = Grant(can_publish=True, sources=(TrackSource.CAMERA,))
    await party.sfu.set_grant(ROOM, "ben", grant)
    await advance(0)
    told = await party.sfu.get_participant(ROOM, "ben")
    assert told is not None
    assert told.grant == grant
    refused = await refusal(ben.room.publish(VirtualMicrophone()))
    assert refused.code is UTDErrorCode.FORBIDDEN


@virtual
async def test_a_mute_by_the_server_is_told_once_to_everybody(party: Party) -> None:
    anna, ben = await party.join("anna"), await party.join("ben")
    track = await ben.room.publish(VirtualMicrophone())
    for guest in (anna, ben):
        guest.forget()
    for is_muted in (True, True, False):
        assert await party.sfu.mute(ROOM, "ben", track.sid, is_muted=is_muted)
        await advance(0)
    assert anna.names()[-2:] == ["TrackMuted", "TrackUnmuted"]
    assert len(anna.of(ev.TrackMuted)) == 1
    assert len(ben.of(ev.TrackMuted)) == len(ben.of(ev.TrackUnmuted)) == 1
    assert not await party.sfu.mute(ROOM, "ben", "TR_none", is_muted=True)


@virtual
async def test_each_call_of_the_engine_is_a_batch_of_its_own(party: Party) -> None:
    ben = await party.join("ben")
    ben.forget()
    await party.sfu.set_grant(ROOM, "ben", Grant())
    await party.sfu.set_room_metadata(ROOM, "new")
    await party.sfu.send(ROOM, {"type": "_seat_update"}, None)
    await advance(0)
    assert [tuple(type(event) for event in batch) for batch in ben.batches] == [
        (ev.ParticipantPermissionsChanged, ev.TokenRefreshed),
        (ev.RoomMetadataChanged,),
        (ev.DataReceived,),
    ]
    assert ben.batches[2] == (ev.DataReceived(b'{"type":"_seat_update"}', None),)


@virtual
async def test_a_message_goes_to_whom_it_is_for_and_no_destination_is_everybody(
    party: Party,
) -> None:
    anna, ben = await party.join("anna"), await party.join("ben")
    await party.sfu.send(ROOM, {"n": 1}, ("ben",))
    await party.sfu.send(ROOM, {"n": 2}, ())
    await advance(0)
    assert [event.payload for event in anna.of(ev.DataReceived)] == [b'{"n":2}']
    assert [event.payload for event in ben.of(ev.DataReceived)] == [b'{"n":1}', b'{"n":2}']


@virtual
async def test_who_may_not_send_or_receive_does_not(party: Party) -> None:
    anna, ben = await party.join("anna"), await party.join("ben", grant=Grant(can_subscribe=False))
    await anna.room.publish(VirtualMicrophone())
    await advance(0)
    assert ben.names() == ["TrackPublished"]
    await party.sfu.set_grant(ROOM, "ben", Grant(can_publish_data=False))
    await advance(0)
    assert ben.names()[1:] == ["ParticipantPermissionsChanged", "TrackSubscribed"]
    assert (await refusal(ben.room.send_data(b"x"))).code is UTDErrorCode.FORBIDDEN


@virtual
async def test_a_room_that_is_deleted_is_over_for_everybody(party: Party) -> None:
    guests = [await party.join(who) for who in ("anna", "ben")]
    assert await party.sfu.close_room(ROOM)
    assert not await party.sfu.close_room(ROOM)
    await advance(0)
    assert {guest.end for guest in guests} == {DisconnectReason.ROOM_DELETED}
    assert party.told()[-3:] == ["participant_left", "participant_left", "room_finished"]


@virtual
async def test_nobody_and_nowhere_are_false_or_empty(party: Party) -> None:
    sfu = party.sfu
    assert not await sfu.remove(ROOM, "ben")
    assert not await sfu.set_grant(ROOM, "ben", Grant())
    assert not await sfu.set_metadata(ROOM, "ben", "m")
    assert not await sfu.set_room_metadata(ROOM, "m")
    assert await sfu.get_participant(ROOM, "ben") is None
    assert await sfu.list_participants(ROOM) == ()
    await sfu.send(ROOM, {}, None)


@virtual
async def test_news_of_the_silent_is_collected_if_that_is_wished() -> None:
    party = Party(silent_news=3.0)
    anna = await party.join("anna")
    ben = await party.join("ben")
    await ben.room.send_data(b"who am I?")
    await advance(2.9)
    assert anna.names() == ["DataReceived"]
    assert anna.of(ev.DataReceived)[0].sender is None  # anybody may forge the server's messages
    await advance(0.2)
    assert anna.names() == ["DataReceived", "ParticipantConnected"]
    anna.forget()
    await ben.room.send_data(b"and now?")
    cleo = await party.join("cleo")
    await cleo.room.publish(ToneSource(), TrackSource.MICROPHONE)
    await advance(0)
    assert [event.sender for event in anna.of(ev.DataReceived)] == ["ben"]
    assert anna.names()[1:4] == ["ParticipantConnected", "TrackPublished", "TrackSubscribed"]
    await party.aclose()


@pytest.mark.parametrize("turns", [1, TURNS])
def test_a_frame_on_an_open_socket_is_there_before_what_the_engine_asks_of_its_media_server(
    turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sfu, "TURNS", turns)
    with FakeWorld() as world:
        anna, ben = world.call("anna", "ben", answer=False)
        failures: list[object] = []
        anna.failure.subscribe(failures.append)
        [ringing] = world.client("ben").ringing_calls.value
        world.run(ben.reject(ringing.call_id))
        world.advance(1.0)
    # With fewer turns the call's room is gone before its end is known, which is a failure.
    assert len(failures) == (1 if turns == TURNS else 3)


def test_what_a_silent_newcomer_sends_in_a_world_names_no_sender_if_that_is_wished() -> None:
    with FakeWorld(silent_update_interval=3.0) as world:
        anna = world.join_audio_room("anna", host=True)
        ben = world.join_audio_room("ben")
        heard: list[ev.DataReceived] = []
        anna.data.subscribe(heard.append)
        for _ in range(2):
            world.run(ben.send_data(b"hello"))
            world.advance(3.1)
    assert [message.sender for message in heard] == [None, "ben"]
