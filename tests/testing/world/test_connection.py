"""A `WorldRoom` loses its connection and comes back as LiveKit's client does (docs/livekit.md)."""

from __future__ import annotations

import asyncio

import pytest

from tests.testing.world.party import ROOM, Guest, Party, advance, now, virtual
from utd_rx.engine.rules.roles import Grant
from utd_rx.errors import ConflictReason, UTDErrorCode
from utd_rx.models import events as ev
from utd_rx.models.connection import DisconnectReason
from utd_rx.testing import FakeWorld
from utd_rx.testing.contracts import refusal
from utd_rx.testing.world.devices import VirtualMicrophone

ANSWER, NOTICE, GIVE_UP, RESUME, SILENCE = 10.0, 15.0, 22.0, 3.0, 20.0


async def two(party: Party) -> tuple[Guest, Guest, str]:
    """Two in a room, of whom ben publishes; with the sid of that."""
    anna, ben = await party.join("anna"), await party.join("ben")
    track = await ben.room.publish(VirtualMicrophone())
    await advance(0)
    for guest in (anna, ben):
        guest.forget()
    return anna, ben, track.sid


# -- joining ------------------------------------------------------------------------------------


@virtual
async def test_a_join_takes_the_way_there_and_back(party: Party) -> None:
    ben = party.guest("ben")
    party.network.delay("ben", 0.2)
    await ben.room.connect("", party.token("ben"))
    assert now() == pytest.approx(0.4)


@virtual
async def test_a_join_that_cannot_get_through_is_given_up_and_leaves_nobody_behind(
    party: Party,
) -> None:
    ben = party.guest("ben")
    party.network.partition("ben")
    refused = await refusal(ben.room.connect("", party.token("ben")))
    assert (refused.code, now()) == (UTDErrorCode.TIMEOUT, 15.0)
    party.network.heal()
    await advance(60)
    assert party.reports == []
    await ben.room.connect("", party.token("ben"))


@pytest.mark.parametrize("after", [0.1, 0.3])
@virtual
async def test_a_join_that_is_cancelled_leaves_nobody_behind(party: Party, after: float) -> None:
    ben = party.guest("ben")
    party.network.delay("ben", 0.2)
    joining = asyncio.create_task(ben.room.connect("", party.token("ben")))
    await advance(after)
    joining.cancel()
    await advance(30)
    assert joining.cancelled()
    assert await party.sfu.list_participants(ROOM) == ()
    await ben.room.connect("", party.token("ben"))


@pytest.mark.parametrize("after", [0.1, 0.3])
@virtual
async def test_who_leaves_while_joining_has_left(party: Party, after: float) -> None:
    ben = party.guest("ben")
    party.network.delay("ben", 0.2)
    joining = asyncio.create_task(ben.room.connect("", party.token("ben")))
    await advance(after)
    again = await refusal(ben.room.connect("", party.token("ben")))
    assert again.reason is ConflictReason.ALREADY
    await ben.room.disconnect()
    assert (await refusal(joining)).reason is ConflictReason.LEFT
    await advance(0.2)
    assert await party.sfu.list_participants(ROOM) == ()
    assert ben.names() == []
    await ben.room.aclose()
    closed = await refusal(ben.room.connect("", party.token("ben")))
    assert closed.reason is ConflictReason.CLOSED


# -- outages ------------------------------------------------------------------------------------


@virtual
async def test_a_resume_keeps_everything_and_its_snapshot_tells_what_happened(
    party: Party,
) -> None:
    anna, ben, sid = await two(party)
    party.network.interrupt("anna")
    await party.join("cleo")
    await party.sfu.set_room_metadata(ROOM, "new")
    await ben.room.set_muted(sid, True)
    await advance(RESUME - 0.1)
    assert anna.names() == ["Reconnecting"]
    await advance(0.2)
    assert anna.names() == ["Reconnecting", "Reconnected"]
    [back] = anna.of(ev.Reconnected)
    assert back.snapshot.metadata == "new"
    found = {who.identity: who for who in back.snapshot.remotes}
    assert found.keys() == {"ben", "cleo"}
    assert [(track.sid, track.is_muted, track.is_subscribed) for track in found["ben"].tracks] == [
        (sid, True, True)
    ]
    assert ben.names() == ["ParticipantConnected", "RoomMetadataChanged", "TrackMuted"]


@virtual
async def test_what_was_commanded_in_an_outage_the_server_learns_after_it(party: Party) -> None:
    anna, ben, sid = await two(party)
    other = await ben.room.publish(VirtualMicrophone())
    anna.forget()
    party.network.interrupt("ben")
    await ben.room.set_muted(sid, True)
    await ben.room.unpublish(other.sid)
    publishing = asyncio.create_task(ben.room.publish(VirtualMicrophone()))
    await advance(RESUME - 0.1)
    assert anna.names() == []
    assert [track.track.sid for track in ben.of(ev.LocalTrackUnpublished)] == [other.sid]
    await advance(0.2)
    assert "TrackMuted" in anna.names()
    assert [event.track.sid for event in anna.of(ev.TrackUnpublished)] == [other.sid]
    assert [event.track for event in anna.of(ev.TrackPublished)] == [await publishing]


@virtual
async def test_who_starts_over_leaves_and_comes_for_others_and_has_new_tracks(
    party: Party,
) -> None:
    anna, ben, sid = await two(party)
    await party.sfu.set_metadata(ROOM, "ben", "newer than the token")
    await advance(0)
    anna.forget()
    party.network.interrupt("ben", full=True)
    await advance(0.2)
    assert ben.names()[1:4] == ["Reconnecting", "LocalTrackRepublished", "Reconnected"]
    [republished] = ben.of(ev.LocalTrackRepublished)
    assert republished.previous_sid == sid != republished.track.sid
    local = ben.of(ev.Reconnected)[0].snapshot.local
    assert (local.metadata, local.tracks) == ("", (republished.track,))
    assert anna.names() == [
        "TrackUnsubscribed", "TrackUnpublished", "ParticipantDisconnected",
        "ParticipantConnected", "TrackPublished", "TrackSubscribed",
    ]  # fmt: skip
    assert anna.of(ev.ParticipantDisconnected)[0].reason is DisconnectReason.CLIENT_INITIATED
    await ben.room.unpublish(sid)  # the old name means the new track
    assert anna.names()[-1] == "TrackUnpublished"


@virtual
async def test_nobody_notices_an_outage_that_is_over_soon(party: Party) -> None:
    anna, ben, _ = await two(party)
    party.network.partition("ben")
    await anna.room.send_data(b"1")
    await party.sfu.set_room_metadata(ROOM, "new")
    await anna.room.send_data(b"2")
    await advance(NOTICE - 1)
    assert ben.names() == []
    party.network.heal("ben")
    await advance(60)
    assert sorted(ben.names()) == ["DataReceived", "DataReceived", "RoomMetadataChanged"]
    assert anna.names() == ["RoomMetadataChanged"]


@virtual
async def test_a_long_outage_is_noticed_on_both_sides_and_given_up(party: Party) -> None:
    anna, ben, _ = await two(party)
    party.network.partition("ben")
    await advance(NOTICE + 0.1)
    assert ben.names() == ["Reconnecting"]
    assert anna.names() == []
    await advance(SILENCE - NOTICE)
    assert anna.of(ev.ParticipantDisconnected)[0].reason is DisconnectReason.CONNECTION_TIMEOUT
    await advance(NOTICE + GIVE_UP - SILENCE)
    assert ben.end is DisconnectReason.UNKNOWN
    party.network.heal("ben")
    await advance(60)
    assert anna.of(ev.ParticipantConnected) == []
    assert (await ben.room.reconnect()).local.identity == "ben"
    await advance(0)
    assert anna.names()[-1] == "ParticipantConnected"


@pytest.mark.parametrize(
    ("seconds", "kinds"), [(17.0, []), (25.0, ["ParticipantDisconnected", "ParticipantConnected"])]
)
@virtual
async def test_after_an_outage_one_resumes_or_starts_over_where_one_was_given_up(
    party: Party, seconds: float, kinds: list[str]
) -> None:
    anna, ben, _ = await two(party)
    party.network.partition("ben")
    await advance(seconds)
    party.network.heal("ben")
    await advance(RESUME + 0.1)
    told = [name for name in ben.names() if name.startswith("Reconn")]
    assert told == ["Reconnecting", "Reconnected"]
    assert [name for name in anna.names() if name.startswith("Participant")] == kinds
    assert (await party.sfu.list_participants(ROOM))[-1].identity == "ben"


@virtual
async def test_what_was_taken_in_an_outage_ends_when_it_is_over(party: Party) -> None:
    _, ben, sid = await two(party)
    party.network.interrupt("ben")
    await party.sfu.set_grant(ROOM, "ben", Grant())
    await advance(RESUME + 0.1)
    assert ben.names() == ["Reconnecting", "Reconnected", "LocalTrackUnpublished"]
    [back] = ben.of(ev.Reconnected)
    assert not back.snapshot.local.permission.can_publish
    assert [track.sid for track in back.snapshot.local.tracks] == [sid]


@virtual
async def test_who_was_replaced_in_an_outage_does_not_come_back(party: Party) -> None:
    _, ben, _ = await two(party)
    party.network.partition("ben")
    party.network.link("ben").cut()
    newer = await party.join("ben")
    assert newer.end is None
    assert ben.names() == []  # its process is gone


@virtual
async def test_who_slept_through_a_newer_join_ends(party: Party) -> None:
    _, ben, _ = await two(party)
    party.network.interrupt("ben")
    elsewhere = party.guest("ben on the phone")
    await elsewhere.room.connect("", party.token("ben"))
    await advance(RESUME + 0.1)
    assert ben.end is DisconnectReason.DUPLICATE_IDENTITY
    assert elsewhere.end is None


@virtual
async def test_a_process_that_is_gone_says_nothing_and_is_missed_later(party: Party) -> None:
    anna, ben, _ = await two(party)
    microphone = VirtualMicrophone()
    await ben.room.publish(microphone)
    party.network.link("ben").cut()
    await advance(SILENCE - 1)
    assert not microphone.is_open
    assert anna.of(ev.ParticipantDisconnected) == []
    await advance(2)
    assert anna.of(ev.ParticipantDisconnected)[0].reason is DisconnectReason.CONNECTION_TIMEOUT
    assert ben.end is None
    assert party.reports[-1].reason is DisconnectReason.CONNECTION_TIMEOUT


@virtual
async def test_who_leaves_in_an_outage_has_left_and_is_missed_later(party: Party) -> None:
    anna, ben, _ = await two(party)
    party.network.partition("ben")
    await ben.room.disconnect()
    assert ben.end is DisconnectReason.CLIENT_INITIATED
    await advance(SILENCE + 1)
    assert anna.of(ev.ParticipantDisconnected)[0].reason is DisconnectReason.CONNECTION_TIMEOUT


# -- commands on a bad line ---------------------------------------------------------------------


@virtual
async def test_a_publication_that_gets_no_answer_ends_and_is_not_there_later(party: Party) -> None:
    anna, ben, _ = await two(party)
    microphone = VirtualMicrophone()
    party.network.partition("ben")
    refused = await refusal(ben.room.publish(microphone))
    assert (refused.code, now()) == (UTDErrorCode.TIMEOUT, ANSWER)
    assert not microphone.is_open
    party.network.heal("ben")
    await advance(1)
    assert len(anna.of(ev.TrackPublished)) == len(anna.of(ev.TrackUnpublished))
    assert ben.of(ev.LocalTrackPublished) == []


@pytest.mark.parametrize("after", [0.1, 0.3, 0.4])
@virtual
async def test_a_publication_that_is_cancelled_is_taken_back(party: Party, after: float) -> None:
    anna, ben, _ = await two(party)
    party.network.delay("ben", 0.2)
    microphone = VirtualMicrophone()
    publishing = asyncio.create_task(ben.room.publish(microphone))
    await asyncio.wait([publishing], timeout=after)
    publishing.cancel()
    await advance(2)
    assert not microphone.is_open
    there = await party.sfu.get_participant(ROOM, "ben")
    assert there is not None
    assert len(there.tracks) == (1 if publishing.cancelled() else 2)
    assert (
        len(anna.of(ev.TrackPublished)) - len(anna.of(ev.TrackUnpublished)) == len(there.tracks) - 1
    )


def test_a_world_that_ends_while_somebody_publishes_ends_in_silence() -> None:
    with FakeWorld() as world:
        anna, ben = world.call("anna", "ben")  # both publish, once connected
    assert not anna.connected.value
    assert not ben.connected.value


@virtual
async def test_a_permission_that_is_taken_on_the_way_refuses_the_publication(party: Party) -> None:
    _, ben, _ = await two(party)
    party.network.delay("ben", 0.2)
    publishing = asyncio.create_task(ben.room.publish(VirtualMicrophone()))
    await advance(0.1)
    await party.sfu.set_grant(ROOM, "ben", Grant())
    assert (await refusal(publishing)).code is UTDErrorCode.FORBIDDEN


@virtual
async def test_data_keeps_its_order_over_a_bad_line_unless_it_is_reordered(party: Party) -> None:
    anna, ben, _ = await two(party)

    async def received() -> list[bytes]:
        anna.forget()
        for number in range(10):
            await ben.room.send_data(b"%d" % number)
        await advance(1)
        return [event.payload for event in anna.of(ev.DataReceived)]

    numbers = [b"%d" % number for number in range(10)]
    party.network.delay("ben", 0.1, jitter=0.3)
    assert await received() == numbers
    party.network.reorder("anna")
    assert sorted(await received()) == numbers
    party.network.drop("anna")
    assert await received() == []
    party.network.heal()
    assert await received() == numbers
