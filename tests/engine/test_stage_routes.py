"""The stage over HTTP: replies, pushes and metadata as in the fixtures, grants at the SFU."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from attrs import frozen

from tests.engine.conftest import Reply, World
from tests.engine.fakes import Sent
from tests.fixtures import wire_fixture
from utd_rx.engine import EngineOptions
from utd_rx.engine.media import MediaParticipant
from utd_rx.engine.presence import ask_once
from utd_rx.engine.rules.roles import LISTEN, STAR
from utd_rx.errors import UTDStreamException

REPLIES, PUSHES = wire_fixture("stage"), wire_fixture("pushes")
ROOM = "/api/v1/rooms/live"


@frozen
class Show:
    """A live stream on a fake media server, and its people's bearers."""

    world: World

    async def join(self, identity: str, **fields: Any) -> tuple[str, MediaParticipant]:
        name = identity.capitalize()
        return await self.world.connect(identity, "live", type="live_stream", name=name, **fields)

    async def host(self) -> str:
        """The host, connected, who publishes."""
        sara, _ = await self.join("sara", role="host")
        await self.publish("sara")
        return sara

    async def admin(self, host: str) -> str:
        adam, _ = await self.join("adam")
        path = f"{ROOM}/participants/adam/role"
        assert (await self.world.call("PUT", path, {"role": "admin"}, bearer=host)).status == 200
        return adam

    async def publish(self, identity: str) -> None:
        """Have a track, of which the engine hears."""
        self.world.media.publish(self.livekit, identity)
        await self.world.engine.core.track_published("live", identity)

    async def call(
        self, path: str, bearer: str | None, target: str | None = None, how: str = "POST"
    ) -> Reply:
        """Call an endpoint, as a backend without a bearer."""
        headers = self.world.server if bearer is None else None
        body = None if target is None else {"target_identity": target}
        return await self.world.call(how, f"{ROOM}{path}", body, bearer=bearer, headers=headers)

    async def look(self, bearer: str | None) -> dict[str, Any]:
        return (await self.call("/stage", bearer, how="GET")).body

    @property
    def livekit(self) -> str:
        return self.world.livekit("live")

    @property
    def metadata(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.world.media.rooms[self.livekit].metadata)
        return found

    @property
    def members(self) -> list[str]:
        return [member["identity"] for member in self.metadata["_stage"]["members"]]

    def pushed(self, type_: str) -> list[Sent]:
        """The pushes of a type; those the fixtures have must have their shape."""
        found = [sent for sent in self.world.media.sent if sent.message["type"] == type_]
        for sent in found:
            if type_ in PUSHES:
                assert list(sent.message) == list(PUSHES[type_])
        return found

    def told(self) -> list[str]:
        """The types of what was pushed since it was asked before."""
        found = [str(sent.message["type"]) for sent in self.world.media.sent]
        self.world.media.sent.clear()
        return found


@pytest.fixture
def show(world: World) -> Show:
    return Show(world)


async def test_from_the_raised_hand_to_the_stage_and_off_it(show: Show) -> None:
    sara = await show.host()
    adam = await show.admin(sara)
    mona, _ = await show.join("mona")
    show.told()
    asked = await show.call("/stage/request", mona)
    assert (asked.status, list(asked.body)) == (200, list(REPLIES["request"]))
    [told] = show.pushed("_stage_request")
    assert (told.to, told.message) == (("sara", "adam"), {"type": "_stage_request", **asked.body})

    await show.world.clock.advance(41.5)
    seen = await show.look(sara)
    assert list(seen) == list(REPLIES["moderators_stage"])
    assert seen["requests"] == [{**asked.body, "age": 41.5}]
    for bearer in (adam, None, mona):
        assert await show.look(bearer) == seen
    assert "_stage_request" not in json.dumps(show.metadata)
    omar, _ = await show.join("omar")
    assert (await show.look(omar))["requests"] == []

    show.told()
    reply = await show.call("/stage/add", adam, "mona")
    assert (reply.status, reply.body) == (200, await show.look(adam))
    assert show.members == ["sara", "mona"]
    assert show.world.media.people[show.livekit]["mona"].grant == STAR
    [update], [closed] = show.pushed("_stage_update"), show.pushed("_stage_request_closed")
    shown = {key: reply.body[key] for key in ("members", "rev", "live")}
    assert (update.to, update.message) == (None, {"type": "_stage_update", **shown})
    assert show.metadata["_stage"] == shown
    assert (closed.to, closed.message["identity"]) == (("sara", "adam", "mona"), "mona")

    reply = await show.call("/stage/remove", sara, "mona")
    assert show.world.media.people[show.livekit]["mona"].grant == LISTEN
    assert reply.body["rev"] == shown["rev"] + 1
    assert [member["identity"] for member in reply.body["members"]] == ["sara"]


async def test_metadata_is_new_before_the_push_and_the_grant_before_both(show: Show) -> None:
    sara = await show.host()
    await show.join("mona")
    show.world.media.log.clear()
    await show.call("/stage/add", sara, "mona")
    assert show.world.media.log == ["set_grant", "set_room_metadata", "send"]


async def test_a_hand_asked_again_keeps_its_place_and_goes_down_by_its_owner(show: Show) -> None:
    sara = await show.host()
    mona, _ = await show.join("mona")
    first = await show.call("/stage/request", mona)
    await show.world.clock.advance(7.0)
    again = await show.call("/stage/request", mona)
    assert again.body == first.body
    assert len(show.pushed("_stage_request")) == 2
    assert [row["age"] for row in (await show.look(sara))["requests"]] == [7.0]
    gone = await show.call("/stage/request", mona, how="DELETE")
    created = {key: first.body[key] for key in ("identity", "created_at")}
    assert gone.body == created
    gone = await show.call("/stage/request", mona, how="DELETE")
    assert (gone.status, gone.body) == (200, {"identity": "mona"})
    assert [sent.to for sent in show.pushed("_stage_request_closed")] == [("sara", "mona")]
    assert (await show.call("/stage/request/dismiss", sara, "mona")).refusal == (404, "notFound")


async def test_live_is_from_the_hosts_first_track_to_the_end(show: Show) -> None:
    sara, _ = await show.join("sara", role="host")
    await show.join("mona")
    assert show.metadata["_stage"]["live"] is False
    await show.publish("sara")
    assert show.metadata["_stage"]["live"] is True
    await show.call("/stage/add", sara, "mona")
    omar, _ = await show.join("omar")
    await show.call("/stage/request", omar)
    show.told()
    reply = await show.call("/live/end", sara)
    assert (reply.body["live"], reply.body["requests"]) == (False, [])
    [ended] = show.pushed("_live_ended")
    assert (ended.message, ended.to) == (PUSHES["_live_ended"], None)
    assert show.told() == ["_stage_update", "_live_ended"]
    assert show.members == ["sara"]
    assert not show.world.may_publish("mona", "live")
    assert (await show.call("/live/end", None)).status == 200
    assert show.told() == [], "it is over already"
    await show.publish("sara")
    assert show.metadata["_stage"]["live"] is True


async def test_a_late_report_of_a_track_does_not_begin_it_anew(show: Show) -> None:
    sara, _ = await show.join("sara", role="host")
    await show.world.engine.core.track_published("live", "sara")
    assert show.metadata["_stage"]["live"] is False, "the track is gone again"
    await show.call("/live/end", sara)
    await show.publish("sara")
    assert show.metadata["_stage"]["live"] is True


async def test_a_broadcast_whose_host_vanished_ends_after_a_minute(show: Show) -> None:
    await show.host()
    await show.join("mona")
    await show.call("/stage/add", None, "mona")
    await show.world.media.disconnect(show.world.engine.core, show.livekit, "sara")
    await show.world.clock.advance(20.0)
    assert (show.members, show.metadata["_stage"]["live"]) == (["mona"], True)
    await show.world.clock.advance(39.9)
    assert show.pushed("_live_ended") == []
    await show.world.clock.advance(0.1)
    assert len(show.pushed("_live_ended")) == 1
    assert (show.members, show.metadata["_stage"]["live"]) == ([], False)
    assert not show.world.may_publish("mona", "live")


async def test_a_host_who_comes_back_is_still_live(show: Show) -> None:
    minted = await show.world.mint("sara", "live", type="live_stream", role="host")
    await show.world.media.connect(show.world.engine.core, minted["token"])
    await show.publish("sara")
    await show.world.media.disconnect(show.world.engine.core, show.livekit, "sara", grace=2.0)
    await show.world.clock.advance(59.0)
    await show.world.media.connect(show.world.engine.core, minted["token"])
    await show.world.clock.advance(600.0)
    assert (show.members, show.metadata["_stage"]["live"]) == (["sara"], True)
    assert show.pushed("_live_ended") == []


class TestPatience:
    @pytest.fixture
    def engine_options(self) -> EngineOptions:
        return EngineOptions(host_grace=5.0)

    async def test_the_option_says_how_long(self, show: Show) -> None:
        await show.host()
        await show.join("mona")
        await show.world.media.disconnect(show.world.engine.core, show.livekit, "sara")
        await show.world.clock.advance(4.9)
        assert show.pushed("_live_ended") == []
        await show.world.clock.advance(0.1)
        assert len(show.pushed("_live_ended")) == 1


@pytest.mark.parametrize("seconds", [0.0, 0.9, 3_601.0, float("nan")])
def test_a_wait_out_of_range_is_refused(seconds: float) -> None:
    with pytest.raises(UTDStreamException, match="host_grace must be 1 to 3600 seconds"):
        EngineOptions(host_grace=seconds)


async def test_who_reconnects_on_the_old_token_is_granted_again(show: Show) -> None:
    sara = await show.host()
    minted = await show.world.mint("mona", "live", type="live_stream")
    await show.world.media.connect(show.world.engine.core, minted["token"])
    await show.call("/stage/add", sara, "mona")
    show.told()
    await show.world.media.disconnect(show.world.engine.core, show.livekit, "mona", grace=2.0)
    await show.world.media.connect(show.world.engine.core, minted["token"])
    assert show.world.may_publish("mona", "live")
    assert show.told() == [], "nobody saw them go"


async def test_a_promotion_asks_the_media_server_who_is_there(show: Show) -> None:
    sara = await show.host()
    minted = await show.world.mint("mona", "live", type="live_stream")
    reply = await show.call("/stage/add", sara, "mona")
    assert reply.refusal == (404, "notFound")
    core = show.world.engine.core
    await show.world.media.connect(core, minted["token"], is_reported=False)
    assert (await show.call("/stage/add", sara, "mona")).status == 200
    assert show.members == ["sara", "mona"]


@pytest.mark.parametrize("how", ["kick", "ban"])
async def test_who_is_thrown_out_is_off_the_stage(show: Show, how: str) -> None:
    sara = await show.host()
    await show.join("mona")
    await show.call("/stage/add", sara, "mona")
    if how == "kick":
        await show.call("/participants/mona", sara, how="DELETE")
    else:
        ban = {"identity": "mona", "room_name": "live"}
        assert (await ban_while_time_passes(show, ban, sara)).status == 201
    assert show.members == ["sara"]


async def ban_while_time_passes(show: Show, ban: dict[str, str], bearer: str) -> Reply:
    call = asyncio.create_task(show.world.call("POST", "/api/v1/rooms/ban", ban, bearer=bearer))
    await show.world.clock.somebody_sleeps.wait()
    await show.world.clock.advance(0.2)
    return await call


async def test_forbidding_to_publish_takes_the_place_and_holds(show: Show) -> None:
    sara = await show.host()
    await show.join("mona")
    await show.call("/stage/add", sara, "mona")
    await show.call("/participants/mona/forbid-stream", None, how="PUT")
    assert (show.members, show.world.may_publish("mona", "live")) == (["sara"], False)
    assert (await show.call("/stage/add", sara, "mona")).refusal == (403, "forbidden")


async def test_a_silent_media_server_changes_nothing_and_hears_it_later(show: Show) -> None:
    sara = await show.host()
    await show.join("mona")
    before = await show.look(sara)
    show.world.media.is_down = True
    assert (await show.call("/stage/add", sara, "mona")).status == 503
    assert await show.look(sara) == before
    show.world.media.is_down = False
    show.told()
    await show.world.clock.advance(0.5)
    assert show.told() == ["_stage_update"]
    assert not show.world.may_publish("mona", "live")
    assert (await show.call("/stage/add", sara, "mona")).status == 200


async def test_polling_finds_out_that_it_is_live(show: Show) -> None:
    await show.join("sara", role="host")
    show.world.media.publish(show.livekit, "sara")
    await ask_once(show.world.engine.core, {})
    assert show.metadata["_stage"]["live"] is True


async def test_an_audio_room_has_no_stage_whatever_the_body(world: World) -> None:
    sara = await world.host()
    for how, path in (
        ("GET", "stage"),
        ("POST", "stage/add"),
        ("POST", "stage/remove"),
        ("POST", "stage/leave"),
        ("POST", "stage/request"),
        ("DELETE", "stage/request"),
        ("POST", "stage/request/dismiss"),
        ("POST", "live/end"),
    ):
        reply = await world.call(how, f"/api/v1/rooms/friday/{path}", bearer=sara)
        assert reply.refusal == (409, "conflict")
    assert "_stage" not in json.loads(world.media.rooms[world.livekit()].metadata)


@pytest.mark.parametrize("body", [{}, {"target_identity": 7}, {"target_identity": "\n"}])
async def test_a_target_is_required(show: Show, body: dict[str, object]) -> None:
    sara = await show.host()
    for path in ("add", "remove", "request/dismiss"):
        reply = await show.world.call("POST", f"{ROOM}/stage/{path}", body, bearer=sara)
        assert reply.refusal == (422, "validation")
