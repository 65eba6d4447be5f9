"""`UTDRoom` against both SFUs: what a session may rely on."""

from __future__ import annotations

import asyncio
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from livekit import api, rtc

from tests.rtc.bench import (
    PATIENCE,
    Ear,
    Frames,
    Party,
    Tone,
    raises,
    token,
)
from tests.support.sfu import RunningSfu
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models import events as ev
from utd_rx.models.connection import DisconnectReason
from utd_rx.ports.data import MAX_DATA
from utd_rx.ports.room import RoomPort
from utd_rx.rtc import native
from utd_rx.rtc.connector import Address, Connector
from utd_rx.rtc.live_room import LiveRoom
from utd_rx.rtc.room import UTDRoom


def check_port(room: UTDRoom) -> RoomPort:
    """A type checker proves that `UTDRoom` is a `RoomPort`."""
    return room


async def test_the_snapshot_holds_who_is_there_and_events_say_who_comes(party: Party) -> None:
    ann, ear = await party.join("ann")
    _, watch = await party.join("watch")
    await ann.publish(Tone())
    await watch.wait(ev.TrackSubscribed)  # a snapshot before may not hold the track yet
    bob = await party.room()
    bob_ear = Ear(bob)
    snapshot = await bob.connect(party.sfu.url, token(party.sfu, "bob"))
    assert bob_ear.heard == []  # nothing before the caller has the snapshot
    assert snapshot.name == "room"
    assert snapshot.local.identity == "bob"
    assert snapshot.local.permission.can_publish
    seen = {remote.identity: remote for remote in snapshot.remotes}
    assert seen["ann"].name == "Ann"
    assert seen["ann"].is_microphone_enabled
    await ear.wait(ev.ParticipantConnected, lambda event: event.participant.identity == "bob")
    await bob_ear.wait(ev.TrackSubscribed)
    come = {event.participant.identity for event in bob_ear.of(ev.ParticipantConnected)}
    assert not come & set(seen)
    assert bob_ear.of(ev.TrackPublished) == []


async def test_an_event_right_after_the_join_follows_the_snapshot(
    party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = LiveRoom.joined

    def joined_and_at_once_an_event(live: LiveRoom) -> ev.RoomSnapshot:
        snapshot = joined(live)
        live.room.emit("room_updated")
        return snapshot

    monkeypatch.setattr(LiveRoom, "joined", joined_and_at_once_an_event)
    room = await party.room()
    ear = Ear(room)
    await room.connect(party.sfu.url, token(party.sfu, "ann"))
    assert ear.heard == []
    await ear.wait(ev.RoomUpdated)
    assert isinstance(ear.heard[0], ev.RoomUpdated)


async def test_a_listener_that_stops_hears_nothing_more(party: Party) -> None:
    room = await party.room()
    heard: list[ev.RoomEvent] = []
    stops = [room.listen(heard.extend), room.listen(heard.extend)]
    await room.connect(party.sfu.url, token(party.sfu, "ann"))
    stops[0]()
    stops[0]()
    await room.disconnect()
    assert heard.count(ev.Disconnected(DisconnectReason.CLIENT_INITIATED)) == 1
    stops[1]()


async def test_events_are_values(party: Party) -> None:
    ann, _ = await party.join("ann")
    _, ear = await party.join("bob")
    await ann.publish(Tone())
    await ear.wait(ev.TrackSubscribed)
    await ann.disconnect()
    await ear.wait(ev.ParticipantDisconnected)
    assert pickle.loads(pickle.dumps(ear.heard)) == ear.heard


async def test_a_departure_is_told_with_its_reason_after_its_tracks(party: Party) -> None:
    ann, _ = await party.join("ann")
    _, ear = await party.join("bob")
    await ann.publish(Tone())
    await ear.wait(ev.TrackSubscribed)
    await ann.aclose()
    gone = await ear.wait(ev.ParticipantDisconnected)
    assert gone == ev.ParticipantDisconnected("ann", DisconnectReason.CLIENT_INITIATED)
    kinds = [type(event) for event in ear.heard if getattr(event, "identity", "") == "ann"]
    assert kinds[-3:] == [ev.TrackUnsubscribed, ev.TrackUnpublished, ev.ParticipantDisconnected]


async def test_data_of_somebody_not_known_yet_has_no_sender_like_the_servers(party: Party) -> None:
    _, ear = await party.join("ann")
    mallory, _ = await party.join("mallory")
    server = await party.server()
    # Right after joining: the SFU has not told ann yet that mallory is there. Sent until heard,
    # since a receiver's channel opens a moment after its join (docs/contract.md, "Lost pushes").
    heard = asyncio.create_task(ear.wait(ev.DataReceived))
    while not heard.done():
        await mallory.send_data(b"forged", topic="_seat", reliable=True)
        await asyncio.wait([heard], timeout=0.05)
    before = ear.heard[: ear.heard.index(heard.result())]
    is_known = any(isinstance(event, ev.ParticipantConnected) for event in before)
    # Unnamed it looks exactly as the server's own below.
    assert heard.result().sender == ("mallory" if is_known else None)
    assert heard.result().topic == "_seat"
    await server.room.send_data(
        api.SendDataRequest(room="room", data=b"real", kind=api.DataPacket.Kind.RELIABLE)
    )
    real = await ear.wait(ev.DataReceived, lambda event: event.payload == b"real")
    assert real.sender is None
    # Once known he is always named.
    await ear.wait(ev.ParticipantConnected)
    await mallory.send_data(b"signed")
    signed = await ear.wait(ev.DataReceived, lambda event: event.payload == b"signed")
    assert signed.sender == "mallory"


async def test_data_goes_to_whom_it_is_for(party: Party) -> None:
    ann, ann_ear = await party.join("ann")
    _, bob = await party.join("bob")
    _, carl = await party.join("carl")
    await ann_ear.wait(ev.ParticipantActive, lambda event: event.identity == "bob")
    await ann_ear.wait(ev.ParticipantActive, lambda event: event.identity == "carl")
    await ann.send_data(b"nobody", to=[])
    await ann.send_data(b"secret", to=["bob"])
    await ann.send_data(b"all")
    for ear in (bob, carl):
        await ear.wait(ev.DataReceived, lambda event: event.payload == b"all")
    assert [event.payload for event in bob.of(ev.DataReceived)] == [b"secret", b"all"]
    assert [event.payload for event in carl.of(ev.DataReceived)] == [b"all"]


async def test_data_is_refused_at_once_where_it_cannot_be_sent(party: Party) -> None:
    room = await party.room()
    await raises(UTDErrorCode.CONFLICT, room.send_data(b"x"))
    await room.connect(party.sfu.url, token(party.sfu, "ann"))
    await room.send_data(b"x" * MAX_DATA)
    await raises(UTDErrorCode.VALIDATION, room.send_data(b"x" * (MAX_DATA + 1)))
    await raises(UTDErrorCode.VALIDATION, room.send_data(b"x" * MAX_DATA, topic="t"))
    mute, _ = await party.join("mute", can_publish_data=False)
    await raises(UTDErrorCode.FORBIDDEN, mute.send_data(b"x"))


async def test_changes_of_participants_are_told_once(party: Party) -> None:
    ann, ear = await party.join("ann")
    await ann.publish(Tone())
    _, other = await party.join("bob")
    server = await party.server()
    await server.room.update_participant(
        api.UpdateParticipantRequest(
            room="room", identity="ann", name="Anna", metadata="m", attributes={"k": "v"}
        )
    )
    await server.room.update_room_metadata(
        api.UpdateRoomMetadataRequest(room="room", metadata="meta")
    )
    for side in (ear, other):
        await side.wait(ev.RoomMetadataChanged, lambda event: event.metadata == "meta")
        await side.wait(ev.ParticipantNameChanged)
        await side.wait(ev.ParticipantMetadataChanged)
        changed = await side.wait(ev.ParticipantAttributesChanged)
        assert changed == ev.ParticipantAttributesChanged("ann", changed.attributes)
        assert dict(changed.attributes) == {"k": "v"}
        assert side.of(ev.ParticipantNameChanged) == [ev.ParticipantNameChanged("ann", "Anna")]
        assert len(side.of(ev.ParticipantMetadataChanged)) == 1
        assert len(side.of(ev.ParticipantAttributesChanged)) == 1


async def test_a_new_connection_takes_the_newest_token(
    party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    room, minted = await party.room(), token(party.sfu, "ann")
    ear = Ear(room)
    await room.connect(party.sfu.url, minted)
    await ear.wait(ev.TokenRefreshed)
    assert room.room is not None
    renewed = native.newest_token(room.room)
    used: list[str] = []
    join = Connector.join

    async def watched(
        self: Connector, room: rtc.Room, address: Address, *rest: Any, **how: Any
    ) -> Any:
        used.append(address.token)
        return await join(self, room, address, *rest, **how)

    monkeypatch.setattr(Connector, "join", watched)
    await room.disconnect()
    snapshot = await room.reconnect()
    assert snapshot.local.identity == "ann"
    assert used == [renewed]
    assert renewed != minted


async def test_a_full_reconnect_looks_like_one(party: Party) -> None:
    ann, ann_ear = await party.join("ann")
    bob, ear = await party.join("bob")
    tone = Tone()
    own = await ann.publish(tone)
    track = await bob.publish(Tone())
    await ann_ear.wait(ev.TrackSubscribed)
    frames = Frames()
    reception = await ann.hear(track.sid, frames.take)
    await frames.wait(lambda: frames.peak > 4_000)
    ann_ear.heard.clear()
    assert ann.room is not None
    await ann.room.simulate_scenario(rtc.SimulateScenarioKind.SIMULATE_FULL_RECONNECT)
    again = await ann_ear.wait(ev.Reconnected)
    (remote,) = again.snapshot.remotes
    assert remote.identity == "bob"
    republished = await ann_ear.wait(ev.LocalTrackRepublished)
    assert republished.previous_sid == own.sid
    removals = ev.TrackUnsubscribed | ev.TrackUnpublished | ev.ParticipantDisconnected
    assert [event for event in ann_ear.heard if isinstance(event, removals)] == []
    assert ann_ear.of(ev.ParticipantConnected) == []
    count = len(frames.frames)
    await frames.wait(lambda: any(frame.samples.any() for frame in frames.frames[count + 50 :]))
    # The same input feeds the new track.
    heard = await ear.wait(
        ev.TrackSubscribed, lambda event: event.track.sid == republished.track.sid
    )
    others = Frames()
    await bob.hear(heard.track.sid, others.take)
    await others.wait(lambda: others.peak > 4_000)
    # A command that still names the old track means the new one.
    await ann.unpublish(own.sid)
    await ann_ear.wait(ev.LocalTrackUnpublished)
    assert tone.open_streams == 0
    await ann.unhear(reception)


@pytest.mark.long
async def test_a_resume_keeps_everything(party: Party) -> None:
    ann, ear = await party.join("ann")
    bob, _ = await party.join("bob")
    await bob.publish(Tone())
    await ear.wait(ev.TrackSubscribed)
    ear.heard.clear()
    assert ann.room is not None
    await ann.room.simulate_scenario(rtc.SimulateScenarioKind.SIMULATE_SIGNAL_RECONNECT)
    await ear.wait(ev.Reconnecting)
    again = await ear.wait(ev.Reconnected)
    (remote,) = again.snapshot.remotes
    assert remote.tracks[0].is_subscribed
    assert ear.of(ev.ParticipantDisconnected) == []
    assert ear.of(ev.TrackUnsubscribed) == []


async def test_the_server_ends_a_connection_and_the_room_joins_again(party: Party) -> None:
    room, ear = await party.join("ann")
    tone = Tone()
    await room.publish(tone)
    server = await party.server()
    await server.room.remove_participant(api.RoomParticipantIdentity(room="room", identity="ann"))
    gone = await ear.wait(ev.Disconnected)
    assert gone.reason is DisconnectReason.PARTICIPANT_REMOVED
    assert ear.heard[-1] is gone
    await raises(UTDErrorCode.CONFLICT, room.publish(tone))
    await room.connect(party.sfu.url, token(party.sfu, "ann"))
    assert tone.open_streams == 0
    await room.publish(tone)
    assert len(ear.of(ev.Disconnected)) == 1


@pytest.mark.parametrize("is_allowed", [False, True])
async def test_who_takes_a_place_is_told_nothing_of_what_was_allowed_there_before(
    party: Party, is_allowed: bool
) -> None:
    await party.join("ann", can_publish=not is_allowed)
    room = await party.room()
    ear = Ear(room)
    minted = token(party.sfu, "ann", can_publish=is_allowed)
    snapshot = await room.connect(party.sfu.url, minted)
    server = await party.server()
    await server.room.update_participant(
        api.UpdateParticipantRequest(room="room", identity="ann", metadata="m")
    )
    await ear.wait(ev.ParticipantMetadataChanged)
    assert snapshot.local.permission.can_publish is is_allowed
    assert ear.of(ev.ParticipantPermissionsChanged) == []


async def test_disconnect_is_told_once_and_is_idempotent(party: Party) -> None:
    room, ear = await party.join("ann")
    await raises(UTDErrorCode.CONFLICT, room.connect(party.sfu.url, token(party.sfu, "ann")))
    await asyncio.gather(room.disconnect(), room.disconnect(), room.aclose(), room.aclose())
    assert ear.of(ev.Disconnected) == [ev.Disconnected(DisconnectReason.CLIENT_INITIATED)]
    await room.disconnect()
    await raises(UTDErrorCode.CONFLICT, room.connect(party.sfu.url, token(party.sfu, "ann")))
    assert room.room is None


async def listed(server: api.LiveKitAPI) -> list[str]:
    """Return whom the server lists."""
    found = await server.room.list_participants(api.ListParticipantsRequest(room="room"))
    return [who.identity for who in found.participants]


async def test_disconnect_while_connecting_takes_the_join_back(party: Party) -> None:
    room = await party.room()
    server = await party.server()
    for turns in range(6):
        joining = asyncio.create_task(room.connect(party.sfu.url, token(party.sfu, "ann")))
        for _ in range(turns):
            await asyncio.sleep(0)
        await room.disconnect()
        await asyncio.wait([joining])
        if turns == 0:  # the join had not begun: it was not taken back but allowed
            assert joining.exception() is None
            await room.disconnect()
        else:
            await raises(UTDErrorCode.CONFLICT, joining)
    _, ear = await party.join("watch")
    async with asyncio.timeout(PATIENCE):  # the server takes a moment to see who is gone
        while (await listed(server)) != ["watch"]:
            pass
    assert ear.of(ev.ParticipantConnected) == []


async def test_events_is_hot_isolates_observers_and_completes(party: Party) -> None:
    room = await party.room()
    got: list[Any] = []
    loop = asyncio.get_running_loop()
    reported: list[Any] = []
    loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))

    def broken(_: Any) -> None:
        raise TypeError("broken")

    room.events.subscribe(broken)
    subscription = room.events.subscribe(got.append, on_completed=lambda: got.append("end"))
    await room.connect(party.sfu.url, token(party.sfu, "ann"))
    await room.disconnect()
    assert got[-1] == ev.Disconnected(DisconnectReason.CLIENT_INITIATED)
    assert reported
    assert all(isinstance(error, TypeError) for error in reported)
    await room.aclose()
    assert got[-1] == "end"
    subscription.dispose()
    late: list[str] = []
    room.events.subscribe(got.append, on_completed=lambda: late.append("end"))
    assert late == ["end"]


async def test_a_refused_token_is_unauthorized_and_not_in_the_error(
    sfu: RunningSfu, party: Party
) -> None:
    room = await party.room()
    bad = token(sfu, "ann", secret="wrong" * 8)
    error = await raises(UTDErrorCode.UNAUTHORIZED, room.connect(sfu.url, bad))
    chain: BaseException | None = error
    while chain is not None:
        assert bad not in str(chain) + repr(chain)
        chain = chain.__cause__ or chain.__context__


async def test_a_full_room_is_a_server_refusal(sfu: RunningSfu, party: Party) -> None:
    server = await party.server()
    await server.room.create_room(api.CreateRoomRequest(name="small", max_participants=1))
    await party.join("ann", "small")
    room = await party.room()
    await raises(UTDErrorCode.SERVER, room.connect(sfu.url, token(sfu, "bob", "small")))


async def test_what_livekit_refuses_is_a_typed_error(
    party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    from livekit.rtc.participant import PublishDataError, PublishTrackError, UnpublishTrackError

    ann, _ = await party.join("ann")
    track = await ann.publish(Tone())
    assert ann.room is not None

    def refuse(command: str, error: Exception) -> None:
        async def refused(*_: object, **__: object) -> None:
            raise error

        assert ann.room is not None
        monkeypatch.setattr(ann.room.local_participant, command, refused)

    refuse("publish_data", PublishDataError("no"))
    await raises(UTDErrorCode.SERVER, ann.send_data(b"x"))
    refuse("publish_track", PublishTrackError("track publication timed out"))
    await raises(UTDErrorCode.TIMEOUT, ann.publish(Tone()))
    refuse("unpublish_track", UnpublishTrackError("no such track"))
    await ann.unpublish(track.sid)  # gone either way


COMMANDS = [
    *("connect", "disconnect", "aclose", "reconnect", "publish", "unpublish", "set_muted"),
    *("set_microphone", "send_data", "hear", "unhear", "route", "set_gain", "unroute"),
]


@pytest.mark.parametrize("name", COMMANDS)
async def test_a_room_is_commanded_on_its_own_loop_only(name: str) -> None:
    room = UTDRoom()
    await room.disconnect()

    async def elsewhere() -> None:
        method = getattr(room, name)
        needed = [p for p in inspect.signature(method).parameters.values() if p.default is p.empty]
        await method(*(None for _ in needed))

    with pytest.raises(UTDStreamException) as raised:
        await asyncio.to_thread(asyncio.run, elsewhere())
    assert raised.value.reason is ConflictReason.FOREIGN_LOOP
    await room.aclose()


CHANGED = ev.ParticipantMetadataChanged


def matching(metadata: str) -> Callable[[ev.ParticipantMetadataChanged], bool]:
    return lambda event: event.metadata == metadata


@pytest.mark.parametrize("sfu_kind", ["embedded"])  # it is in nobody's hands but the token's
async def test_who_is_entitled_to_video_effects_is_in_the_metadata(party: Party) -> None:
    room, ear = await party.join("ann")
    assert not room.video_effects_entitled
    assert room.room is not None
    for metadata in ("{", "[]", '{"videoEffects": 1}', '{"videoEffects": true}'):
        await room.room.local_participant.set_metadata(metadata)
        await ear.wait(CHANGED, matching(metadata))
        assert room.video_effects_entitled is ("true" in metadata)
    await room.disconnect()
    assert not room.video_effects_entitled
