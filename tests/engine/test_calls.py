"""`/api/v1/calls` over HTTP: what is asked, what is answered, what comes in the room."""

from __future__ import annotations

import json
from typing import Any, Final

import jwt
import pytest
from attrs import frozen

from tests.engine.conftest import Reply, World
from tests.engine.fakes import WALL, settle
from utd_rx.engine import EngineOptions
from utd_rx.errors import UTDStreamException

CALLS: Final = "/api/v1/calls"


@frozen
class User:
    """Somebody with a bearer of one device."""

    world: World
    bearer: str

    async def call(self, method: str, path: str, body: object = None) -> Reply:
        return await self.world.call(method, f"{CALLS}{path}", body, bearer=self.bearer)

    async def dial(self, callee: str, **fields: object) -> Reply:
        return await self.call("POST", "", {"callee_identity": callee, **fields})

    async def post(self, call_id: str, deed: str, **fields: object) -> Reply:
        return await self.call("POST", f"/{call_id}/{deed}", fields or None)

    async def status(self, call_id: str) -> str:
        return str((await self.call("GET", f"/{call_id}")).body["status"])


async def user(world: World, identity: str, device: str | None = "1") -> User:
    body = {"identity": identity, "device_id": device}
    reply = await world.call("POST", "/api/v1/auth/session", body, headers=world.app)
    return User(world, reply.body["user_token"])


async def two(world: World) -> tuple[User, User, str]:
    """Sara, who calls Mona, and the call."""
    sara, mona = await user(world, "sara"), await user(world, "mona")
    reply = await sara.dial("mona")
    assert reply.status == 201
    return sara, mona, reply.body["call_id"]


def claims(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


async def test_a_call_from_the_dial_to_the_end(world: World) -> None:
    sara, mona = await user(world, "sara"), await user(world, "mona", device=None)
    fields = {"caller_name": "Sara", "callee_name": "Mona", "metadata": {"topic": "tea"}}
    reply = await sara.dial("mona", os="linux", type="voice", **fields)
    token, url = reply.body.pop("token"), reply.body.pop("url")
    call_id = reply.body["call_id"]
    assert reply.status == 201
    assert len(call_id) == len("call_") + 24
    assert reply.body == {
        "call_id": call_id,
        "status": "initiating",
        "type": "audio_call",
        "room_name": call_id,
        "caller_identity": "sara",
        "callee_identity": "mona",
        "created_at": reply.body["created_at"],
        **fields,
    }
    assert url == world.engine.livekit_url
    minted = claims(token)
    assert (minted["sub"], minted["name"]) == ("sara", "Sara")
    assert minted["video"]["room"] == world.livekit(call_id)
    assert minted["video"]["canPublishSources"] == ["microphone"]
    metadata = json.loads(minted["metadata"])
    assert (metadata["type"], metadata["_device"]["os"]) == ("audio_call", "linux")
    room = world.media.rooms[world.livekit(call_id)]
    assert room.max_participants == 2
    assert json.loads(room.metadata)["_call"] == reply.body

    assert (await mona.post(call_id, "ringing")).body["status"] == "ringing"
    reply = await mona.post(call_id, "accept")
    assert (reply.status, reply.body["status"]) == (200, "active")
    assert reply.body["answered_by"].startswith("token:")
    assert claims(reply.body["token"])["name"] == "Mona"
    await settle()
    assert _told(world, call_id)["status"] == "active"
    await world.clock.advance(12.0)
    reply = await mona.post(call_id, "end")
    assert (reply.body["status"], reply.body["end_reason"]) == ("ended", "callee_hangup")
    assert reply.body["duration_seconds"] == 12
    assert not {"token", "url"} & set(reply.body)
    await settle()
    assert world.media.rooms == {}
    again = await sara.post(call_id, "end")
    assert (again.status, again.body) == (200, reply.body)


def _told(world: World, call_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(world.media.rooms[world.livekit(call_id)].metadata)["_call"]
    return found


@pytest.mark.parametrize("spelling", ["video_call", "video"])
async def test_a_video_call_publishes_a_camera_too(world: World, spelling: str) -> None:
    reply = await (await user(world, "sara")).dial("mona", type=spelling)
    assert reply.body["type"] == "video_call"
    sources = claims(reply.body["token"])["video"]["canPublishSources"]
    assert sources == ["microphone", "camera", "screen_share"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"callee_identity": None}, 422),
        ({"callee_identity": 7}, 422),
        ({"callee_identity": "a\nb"}, 422),
        ({"callee_identity": "x" * 129}, 422),
        ({"callee_identity": "sara"}, 422),
        ({"identity": "omar"}, 403),
        ({"caller_identity": "omar"}, 403),
        ({"caller_identity": 7}, 422),
        ({"type": "audio_room"}, 422),
        ({"type": ["video"]}, 422),
        ({"caller_name": "n" * 257}, 422),
        ({"callee_name": "\x00"}, 422),
        ({"os": "o" * 51}, 422),
        ({"metadata": "text"}, 422),
        ({"metadata": {"n": float("nan")}}, 422),
        ({"metadata": {"x": "y" * 4096}}, 413),
        ({"metadata": {"x": json.loads("[" * 40 + "]" * 40)}}, 422),
    ],
)
async def test_a_bad_field_makes_no_call(
    world: World, change: dict[str, object], status: int
) -> None:
    sara = await user(world, "sara")
    reply = await sara.call("POST", "", {"callee_identity": "mona", **change})
    assert reply.status == status
    assert isinstance(reply.body["message"], str)
    assert world.media.rooms == {}
    assert (await sara.dial("mona", metadata={"x": "y" * 4000})).status == 201


async def test_which_of_the_two_is_busy(world: World) -> None:
    sara, mona, _ = await two(world)
    omar = await user(world, "omar")
    reply = await omar.dial("mona")
    assert reply.status == 409
    assert reply.body == {
        "message": "Callee is already on a call",
        "code": "conflict",
        "reason": "callee_busy",
    }
    for busy in (sara, mona):
        reply = await busy.dial("omar")
        assert (reply.status, reply.body["reason"]) == (409, "caller_busy")
        assert reply.body["message"] == "You are already on a call"
    assert len(world.media.rooms) == 1, "nobody's refused dial left one"


async def test_both_dial(world: World) -> None:
    sara, mona, call_id = await two(world)
    reply = await mona.dial("sara", type="video")
    assert (reply.status, reply.body["call_id"], reply.body["status"]) == (200, call_id, "active")
    assert claims(reply.body["token"])["sub"] == "mona"
    assert reply.body["type"] == "audio_call"
    assert await sara.status(call_id) == "active"


async def test_a_dial_whose_answer_was_lost_is_answered_again(world: World) -> None:
    sara, _, call_id = await two(world)
    again = await sara.dial("mona")
    assert (again.status, again.body["call_id"]) == (200, call_id)
    await world.media.connect(world.engine.core, again.body["token"])
    assert (await sara.dial("mona")).status == 409


@pytest.mark.parametrize("call_id", ["call_" + "0" * 24, "x", "call_" + "9" * 4000, "%00"])
async def test_what_is_no_call_is_404(world: World, call_id: str) -> None:
    sara = await user(world, "sara")
    assert (await sara.call("GET", f"/{call_id}")).refusal == (404, "notFound")
    for deed in ("ringing", "accept", "reject", "busy", "end", "join"):
        assert (await sara.post(call_id, deed)).refusal == (404, "notFound")


async def test_a_body_names_nobody_else(world: World) -> None:
    _, mona, call_id = await two(world)
    assert (await mona.post(call_id, "accept", identity="sara")).status == 403
    assert (await mona.post(call_id, "accept", identity="mona")).status == 200


async def test_two_devices_of_one_callee(world: World) -> None:
    _, mona, call_id = await two(world)
    other = await user(world, "mona", "2")
    assert (await mona.post(call_id, "accept")).status == 200
    for deed in ("accept", "reject", "busy", "ringing", "join"):
        assert (await other.post(call_id, deed)).refusal == (409, "conflict")
    assert await other.status(call_id) == "active"
    first = claims((await mona.post(call_id, "accept")).body["token"])
    again = claims((await mona.post(call_id, "join")).body["token"])
    assert json.loads(again["metadata"])["_mint"] > json.loads(first["metadata"])["_mint"]


async def test_a_party_may_be_asked_for_in_the_room(world: World) -> None:
    sara, mona, call_id = await two(world)
    reply = await mona.post(call_id, "accept")
    who = await world.media.connect(world.engine.core, reply.body["token"])
    path = f"/api/v1/rooms/{call_id}/participants"
    for asking in (sara, mona):
        reply = await world.call("GET", f"{path}/mona", bearer=asking.bearer)
        assert (reply.body["identity"], reply.body["metadata"]) == ("mona", who.metadata)
    assert (await world.call("GET", f"{path}/sara", bearer=sara.bearer)).status == 404
    eve = await user(world, "eve")
    assert (await world.call("GET", f"{path}/mona", bearer=eve.bearer)).status == 403
    lost = f"/api/v1/rooms/call_{'0' * 24}/participants/sara"
    assert (await world.call("GET", lost, bearer=sara.bearer)).status == 404


async def test_a_calls_room_is_no_room(world: World) -> None:
    """Looking at it does not make it one, whoever is in it."""
    sara, _, call_id = await two(world)
    token = (await sara.post(call_id, "join")).body["token"]
    await world.media.connect(world.engine.core, token)
    for path in ("", "/seats", "/participants/by-role"):
        reply = await world.call("GET", f"/api/v1/rooms/{call_id}{path}", headers=world.server)
        assert reply.status == 404
    assert call_id not in world.engine.core.rooms.all()


async def test_a_caller_or_callee_who_is_banned(world: World) -> None:
    sara, mona, call_id = await two(world)
    ban = {"identity": "mona"}
    reply = await world.call("POST", "/api/v1/rooms/ban", ban, headers=world.server)
    assert reply.status == 201
    assert await sara.status(call_id) == "ended"
    assert (await mona.dial("sara")).refusal == (403, "banned")
    assert (await sara.dial("mona")).refusal == (403, "forbidden"), "it is not she who is banned"
    await settle()
    assert world.media.rooms == {}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["c", "b", "a"]),
        ("?status=ended", ["b", "a"]),
        ("?status=initiating", ["c"]),
        ("?type=video", ["b"]),
        ("?type=audio_call", ["c", "a"]),
        ("?identity=b", ["b"]),
        ("?start_date={1}", ["c", "b"]),
        ("?end_date={1}", ["b", "a"]),
        ("?per_page=1&page=2", ["b"]),
        ("?identity=nobody", []),
    ],
)
async def test_the_backend_lists_calls(world: World, query: str, expected: list[str]) -> None:
    dates = []
    for name, type_ in (("a", "voice"), ("b", "video"), ("c", "voice")):
        caller = await user(world, "caller")
        reply = await caller.dial(name, type=type_)
        dates.append(reply.body["created_at"])
        if name != "c":
            await caller.post(reply.body["call_id"], "end")
        await world.clock.advance(5.0)
    reply = await world.call("GET", f"{CALLS}{query.format(*dates)}", headers=world.server)
    assert [row["callee_identity"] for row in reply.body["data"]] == expected
    assert not any("token" in row for row in reply.body["data"])


@pytest.mark.parametrize(
    "query",
    ["status=x", "type=audio_room", "start_date=x", "end_date=9999-12-31T23:00-12:00", "page=0"],
)
async def test_a_bad_question_is_422(world: World, query: str) -> None:
    reply = await world.call("GET", f"{CALLS}?{query}", headers=world.server)
    assert reply.refusal == (422, "validation")


async def test_a_day_counts_whole_as_an_end(world: World) -> None:
    await two(world)
    day = "2027-01-15"  # of `WALL`
    assert WALL == 1_800_000_000.0
    for query, count in ((f"end_date={day}", 1), ("end_date=2027-01-14", 0)):
        reply = await world.call("GET", f"{CALLS}?{query}", headers=world.server)
        assert reply.body["pagination"]["total"] == count


async def test_over_calls_are_forgotten_after_an_hour(world: World) -> None:
    sara, _, call_id = await two(world)
    await sara.post(call_id, "end")
    await world.clock.advance(3599.0)
    assert await sara.status(call_id) == "ended"
    await world.clock.advance(1.0)
    assert (await sara.call("GET", f"/{call_id}")).status == 404


class TestLimits:
    @pytest.fixture
    def engine_options(self) -> EngineOptions:
        return EngineOptions(ring_timeout=20.0, max_call_seconds=90.0)

    async def test_the_options_say_how_long(self, world: World) -> None:
        sara, mona, call_id = await two(world)
        await world.clock.advance(20.0)
        assert await mona.status(call_id) == "missed"
        reply = await sara.dial("mona")
        tokens = [reply.body["token"]]
        call_id = reply.body["call_id"]
        tokens.append((await mona.post(call_id, "accept")).body["token"])
        for token in tokens:
            await world.media.connect(world.engine.core, token)
        await world.clock.advance(89.0)
        assert await mona.status(call_id) == "active"
        await world.clock.advance(1.0)
        reply = await mona.call("GET", f"/{call_id}")
        assert (reply.body["end_reason"], reply.body["duration_seconds"]) == ("max_duration", 90)


@pytest.mark.parametrize(
    "options",
    [
        {"ring_timeout": 9.0},
        {"ring_timeout": 121.0},
        {"ring_timeout": float("nan")},
        {"max_call_seconds": 59.0},
        {"max_call_seconds": 14_401.0},
    ],
)
def test_options_out_of_range(options: dict[str, float]) -> None:
    with pytest.raises(UTDStreamException, match="seconds"):
        EngineOptions(**options)  # type: ignore[arg-type]
