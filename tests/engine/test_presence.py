"""Who is connected decides what a seat is worth: grace, rejoin, kick, old tokens, polling."""

from __future__ import annotations

import asyncio
import json

from attrs import evolve

from tests.engine.conftest import World
from tests.engine.fakes import settle
from utd_rx.engine.media import MediaParticipant, MediaRoom
from utd_rx.engine.presence import CHECK_SECONDS, Tracks, ask_once, poll_presence


async def test_a_seat_taken_before_joining_is_granted_on_joining(world: World) -> None:
    sara = await world.host()
    minted = await world.mint("mona")
    await world.seats("1/take", minted["user_token"])
    await world.media.connect(world.engine.core, minted["token"])
    assert world.may_publish("mona")
    await world.clock.advance(60.0)
    assert (await world.occupants(sara))[1] == "mona"


async def test_the_seat_of_somebody_who_never_joins_is_freed_after_20_s(world: World) -> None:
    sara = await world.host()
    await world.seats("1/take", await world.bearer("mona"))
    await world.clock.advance(19.9)
    assert (await world.occupants(sara))[1] == "mona"
    await world.clock.advance(0.2)
    assert (await world.occupants(sara))[1] is None
    found = json.loads(world.media.rooms[world.livekit()].metadata)["_seats"]
    assert found["seats"][1]["identity"] is None


async def test_who_returns_within_the_grace_keeps_the_seat(world: World) -> None:
    sara = await world.host()
    minted = await world.mint("mona")
    await world.media.connect(world.engine.core, minted["token"])
    await world.seats("1/take", minted["user_token"])
    await world.media.disconnect(world.engine.core, world.livekit(), "mona", grace=2.0)
    await world.media.connect(world.engine.core, minted["token"])
    assert world.may_publish("mona"), "the token is from before the seat"
    await world.clock.advance(60.0)
    assert (await world.occupants(sara))[1] == "mona"


async def test_who_does_not_return_loses_it(world: World) -> None:
    sara = await world.host()
    mona, _ = await world.connect("mona")
    await world.seats("1/take", mona)
    await world.media.disconnect(world.engine.core, world.livekit(), "mona", grace=2.0)
    assert (await world.occupants(sara))[1] == "mona"
    await world.clock.advance(2.0)
    assert (await world.occupants(sara))[1] is None


async def test_a_removed_participant_loses_it_at_once(world: World) -> None:
    sara = await world.host()
    mona, _ = await world.connect("mona")
    await world.seats("1/take", mona)
    await world.media.disconnect(world.engine.core, world.livekit(), "mona", grace=0.0)
    assert (await world.occupants(sara))[1] is None


async def test_a_token_minted_on_a_seat_is_corrected_after_losing_it(world: World) -> None:
    sara = await world.host()
    mona = await world.bearer("mona")
    await world.seats("1/take", mona)
    minted = await world.mint("mona")
    await world.seats("1/kick", sara)
    await world.media.connect(world.engine.core, minted["token"])
    assert not world.may_publish("mona")


async def test_after_a_kick_the_old_token_is_thrown_out_and_a_new_one_is_not(world: World) -> None:
    sara = await world.host()
    minted = await world.mint("mona")
    await world.media.connect(world.engine.core, minted["token"])
    await world.seats("1/take", minted["user_token"])
    path = "/api/v1/rooms/friday/participants/mona"
    assert (await world.call("DELETE", path, bearer=sara)).status == 200
    assert "mona" not in world.media.people[world.livekit()]
    assert (await world.occupants(sara))[1] is None
    assert (await world.seats("1/take", minted["user_token"])).refusal == (403, "forbidden")

    await world.media.connect(world.engine.core, minted["token"])
    assert "mona" not in world.media.people[world.livekit()]
    await world.connect("mona")
    assert "mona" in world.media.people[world.livekit()]


async def test_a_late_report_about_an_old_session_leaves_the_new_one_alone(world: World) -> None:
    sara = await world.host()
    minted = await world.mint("mona")
    old = await world.media.connect(world.engine.core, minted["token"])
    await world.call("DELETE", "/api/v1/rooms/friday/participants/mona", bearer=sara)
    await world.connect("mona")
    await world.engine.core.participant_joined("friday", old)
    assert "mona" in world.media.people[world.livekit()]


async def test_who_joined_with_livekits_own_key_keeps_its_grants(world: World) -> None:
    await world.host()
    bot = MediaParticipant("recorder", "PA_bot", metadata="not ours")
    world.media.people[world.livekit()]["recorder"] = bot
    await world.engine.core.participant_joined("friday", bot)
    assert world.media.people[world.livekit()]["recorder"] == bot
    assert world.media.grants == []


async def test_other_projects_rooms_are_ignored(world: World) -> None:
    minted = await world.mint("mona")
    await world.media.connect(world.engine.core, minted["token"])
    for name in ("somewhere", "p1_friday"):
        world.media.rooms[name] = MediaRoom(name, "RM_x")
        world.media.people[name] = world.media.people[world.livekit()]
    await ask_once(world.engine.core, {})
    assert set(world.engine.core.rooms.all()) == {"friday"}


async def test_a_room_ends_with_the_media_servers(world: World) -> None:
    sara = await world.host()
    room = world.media.rooms.pop(world.livekit())
    await world.engine.core.room_finished("friday", "RM_of_an_earlier_one")
    assert (await world.grid(sara))["seat_count"] == 4
    await world.engine.core.room_finished("friday", room.sid)
    reply = await world.call("GET", "/api/v1/rooms/friday/seats", bearer=sara)
    assert reply.refusal == (404, "notFound")


async def test_a_good_token_opens_a_forgotten_room_again(world: World) -> None:
    minted = await world.mint("sara", role="host", seat_count=4)
    await world.engine.core.room_finished("friday", None)
    await world.media.connect(world.engine.core, minted["token"])
    reply = await world.seats("setup", minted["user_token"], {"seat_count": 2})
    assert reply.status == 200, "still the owner"


async def test_an_old_hosts_token_does_not_take_over_the_next_room(world: World) -> None:
    minted = await world.mint("alice", role="host", seat_count=4)
    await world.media.connect(world.engine.core, minted["token"])
    await world.media.disconnect(world.engine.core, world.livekit(), "alice", grace=2.0)
    await world.engine.core.room_finished("friday", None)
    await world.media.close_room(world.livekit())
    bob, _ = await world.connect("bob", role="host", seat_count=4)
    await world.media.connect(world.engine.core, minted["token"])
    alice = minted["user_token"]
    path = "/api/v1/rooms/friday/participants/bob"
    assert (await world.call("DELETE", path, bearer=alice)).refusal == (403, "forbidden")
    path = "/api/v1/rooms/friday/participants/alice"
    assert (await world.call("GET", path, bearer=bob)).body["role"] == "audience"
    found = world.media.people[world.livekit()]["alice"]
    assert json.loads(found.metadata)["role"] == "audience"


async def test_asking_finds_who_came_and_went(world: World) -> None:
    sara = await world.host()
    core, people = world.engine.core, world.media.people
    tracks: Tracks = {}
    mona, who = await world.connect("mona")
    await world.seats("1/take", mona)
    people[world.livekit()].clear()
    await ask_once(core, tracks)
    assert core.rooms.all()["friday"].sessions == {}
    await world.clock.advance(20.0)
    assert (await world.occupants(sara))[1] is None
    people[world.livekit()]["mona"] = who = MediaParticipant(
        "mona", "PA_new", metadata=who.metadata
    )
    await ask_once(core, tracks)
    assert core.rooms.all()["friday"].sessions == {"mona": "PA_new"}
    world.media.rooms.clear()
    await ask_once(core, tracks)
    assert core.rooms.all() == {}


async def test_asking_finds_new_tracks_of_the_muted_and_mutes_each_once(world: World) -> None:
    sara = await world.host()
    core, media, name = world.engine.core, world.media, world.livekit()
    tracks: Tracks = {}
    mona, _ = await world.connect("mona")
    await world.seats("1/take", mona)
    await world.seats("1/mute", sara)
    media.publish(name, "mona")
    await ask_once(core, tracks)
    [track] = media.people[name]["mona"].tracks
    assert track.is_muted
    # Whoever unmutes again, as LiveKit lets them, is left alone until the next track.
    await media.mute(name, "mona", track.sid, is_muted=False)
    await ask_once(core, tracks)
    assert [known.is_muted for known in media.people[name]["mona"].tracks] == [False]
    # What they publish next, as after a full reconnect, is not muted for the old mute either.
    media.people[name]["mona"] = evolve(media.people[name]["mona"], tracks=())
    media.publish(name, "mona")
    await ask_once(core, tracks)
    assert [known.is_muted for known in media.people[name]["mona"].tracks] == [False]
    media.people[name].clear()
    await ask_once(core, tracks)
    assert tracks == {}


async def test_a_room_made_anew_gets_its_metadata_back(world: World) -> None:
    await world.host()
    name = world.livekit()
    del world.media.rooms[name]
    await world.media.open_room(name, "")
    await world.engine.core.room_started("friday", world.media.rooms[name].sid)
    assert "_seats" in world.media.rooms[name].metadata


async def test_a_command_the_media_server_did_not_take_changes_nothing(world: World) -> None:
    sara = await world.host()
    mona, _ = await world.connect("mona")
    before = await world.grid(sara)
    world.media.is_down = True
    assert (await world.seats("1/take", mona)).refusal == (503, "server")
    assert await world.grid(sara) == before
    world.media.is_down = False
    assert (await world.seats("1/take", mona)).status == 200


async def test_facts_survive_an_outage_and_the_media_server_is_brought_up_to_date(
    world: World,
) -> None:
    sara = await world.host()
    mona, _ = await world.connect("mona")
    await world.seats("1/take", mona)
    world.media.is_down = True
    await world.engine.core.participant_left(
        "friday", "mona", world.engine.core.rooms.all()["friday"].sessions["mona"], 0.0
    )
    assert (await world.occupants(sara))[1] is None
    for _ in range(5):
        await world.clock.advance(5.0)
    assert '"mona"' in world.media.rooms[world.livekit()].metadata
    world.media.is_down = False
    await world.clock.advance(5.0)
    await settle()
    assert '"mona"' not in world.media.rooms[world.livekit()].metadata


async def test_a_room_opened_while_we_ask_is_not_the_one_that_ended(world: World) -> None:
    await world.host()
    core, media, name = world.engine.core, world.media, world.livekit()
    await media.close_room(name)
    list_rooms = media.list_rooms

    async def slow() -> tuple[MediaRoom, ...]:
        found = await list_rooms()
        await world.connect("bob", role="host", seat_count=2)
        return found

    media.list_rooms = slow  # type: ignore[method-assign]
    await ask_once(core, {})
    assert "bob" in core.rooms.all()["friday"].members


async def test_what_no_report_told_is_found_out_in_time_and_at_once_when_reports_were_lost(
    world: World,
) -> None:
    await world.host()
    core, doubt = world.engine.core, asyncio.Event()
    asking = asyncio.create_task(poll_presence(core, CHECK_SECONDS, doubt))
    await settle()
    for is_doubted in (False, True):
        await world.connect("mona")
        assert "mona" in core.rooms.all()["friday"].sessions
        world.media.people[world.livekit()].pop("mona")  # and nobody is told
        if is_doubted:
            doubt.set()
        else:
            await world.clock.advance(59.9)
            assert "mona" in core.rooms.all()["friday"].sessions
            await world.clock.advance(0.1)
        await settle()
        assert "mona" not in core.rooms.all()["friday"].sessions
    asking.cancel()
    await asyncio.wait({asking})
