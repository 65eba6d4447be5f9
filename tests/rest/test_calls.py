"""Each command about a call says what the engine expects, and reads what it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import pytest
from attrs import frozen

from tests.rest.conftest import BEARER
from tests.rest.engines import ScriptedEngine, reply
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.call import UTDCall, UTDCallEndReason, UTDCallStatus
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.rest import UTDApi, UTDApiClient
from utd_rx.rest.bearer import Bearer

VIDEO = UTDStreamType.VIDEO_CALL
ID = "call_0123456789abcdef01234567"
WIRE = {
    "call_id": ID,
    "status": "active",
    "type": "video_call",
    "token": "livekit",
    "url": "wss://sfu",
    "caller_identity": "ana",
    "callee_identity": "علي",
    "metadata": {"why": ["lunch", {"at": 12}]},
    "answered_by": "phone",
}
CALL = UTDCall(
    ID,
    UTDCallStatus.ACTIVE,
    VIDEO,
    room_name=ID,
    token="livekit",
    url="wss://sfu",
    caller_identity="ana",
    callee_identity="علي",
    metadata=FrozenMap({"why": ("lunch", FrozenMap({"at": 12}))}),
    answered_by="phone",
)


@frozen
class Asked:
    """A call of the API, and what the engine sees of it."""

    call: Callable[[UTDApi], Awaitable[UTDCall]]
    method: str
    path: str
    body: dict[str, object] | None


COMMANDS = [
    Asked(lambda api: api.accept_call(ID), "POST", f"/{ID}/accept", {}),
    Asked(lambda api: api.rejoin_call(ID), "POST", f"/{ID}/join", {}),
    Asked(lambda api: api.ringing_call(ID), "POST", f"/{ID}/ringing", {}),
    Asked(lambda api: api.reject_call(ID), "POST", f"/{ID}/reject", {}),
    Asked(lambda api: api.busy_call(ID), "POST", f"/{ID}/busy", {}),
    Asked(lambda api: api.end_call(ID), "POST", f"/{ID}/end", {}),
    Asked(lambda api: api.get_call(ID), "GET", f"/{ID}", None),
    Asked(
        lambda api: api.start_call(
            "علي", VIDEO, caller_name="Me", callee_name="Ali", metadata={"why": ["lunch"]}
        ),
        "POST",
        "",
        {
            "callee_identity": "علي",
            "type": "video_call",
            "caller_name": "Me",
            "callee_name": "Ali",
            "metadata": {"why": ["lunch"]},
        },
    ),
    Asked(
        lambda api: api.start_call("bob", UTDStreamType.AUDIO_CALL),
        "POST",
        "",
        {"callee_identity": "bob", "type": "audio_call"},
    ),
]


@pytest.mark.parametrize("asked", COMMANDS, ids=lambda asked: asked.path or "start")
async def test_a_command_says_what_the_engine_expects(
    engine: ScriptedEngine, api: UTDApi, asked: Asked
) -> None:
    engine.will(reply(WIRE))
    call = await asked.call(api)
    assert call == CALL
    hash(call)
    [seen] = engine.seen
    expected = (asked.method, f"/api/v1/calls{asked.path}", asked.body)
    assert (seen.method, seen.raw_path, seen.body) == expected
    assert seen.headers["Authorization"] == f"Bearer {BEARER}"


async def test_who_acts_is_named_where_it_is_known(
    engine: ScriptedEngine, client: UTDApiClient
) -> None:
    minted = {"user_token": BEARER}
    engine.will(reply(minted), *[reply(WIRE)] * len(COMMANDS))
    bearer = Bearer(partial(UTDApi(client).mint_session, identity="ana"))
    await bearer.mint()
    for asked in COMMANDS:
        await asked.call(UTDApi(client, bearer=bearer))
    for asked, seen in zip(COMMANDS, engine.seen[1:], strict=True):
        key = "identity" if asked.path else "caller_identity"
        named = None if asked.body is None else {**asked.body, key: "ana"}
        assert seen.body == named


@pytest.mark.parametrize("wire", [{}, {"call_id": ID}, {"call_id": ID, "status": "?"}, {"data": 1}])
async def test_a_reply_that_is_no_call_is_malformed(
    engine: ScriptedEngine, api: UTDApi, wire: object
) -> None:
    engine.will(reply(wire))
    with pytest.raises(UTDStreamException) as caught:
        await api.get_call(ID)
    assert caught.value.code is UTDErrorCode.MALFORMED_RESPONSE


@pytest.mark.parametrize("asked", COMMANDS[:7], ids=lambda asked: asked.path)
@pytest.mark.parametrize("told", ["call_other", "../x", "x" * 129])
async def test_a_reply_about_another_call_is_malformed(
    engine: ScriptedEngine, api: UTDApi, asked: Asked, told: str
) -> None:
    engine.will(reply({**WIRE, "call_id": told}))
    with pytest.raises(UTDStreamException) as caught:
        await asked.call(api)
    assert caught.value.code is UTDErrorCode.MALFORMED_RESPONSE
    assert len(engine.seen) == 1


@pytest.mark.parametrize(
    ("asked", "status"),
    list(zip(COMMANDS[2:6], ["ringing", "rejected", "busy", "ended"], strict=True)),
)
@pytest.mark.parametrize("says", [False, True])
async def test_another_engine_may_answer_without_the_call(
    engine: ScriptedEngine, api: UTDApi, asked: Asked, status: str, says: bool
) -> None:
    engine.will(reply({"status": status} if says else {}))
    call = await asked.call(api)
    assert (call.call_id, call.status.value) == (ID, status)


@pytest.mark.parametrize(
    ("wire", "ended"),
    [({"call_id": ID}, [f"/api/v1/calls/{ID}/end"]), ({**WIRE, "call_id": "../x"}, []), ({}, [])],
)
async def test_a_dial_that_is_answered_with_no_call_is_ended_where_it_has_a_name(
    engine: ScriptedEngine, api: UTDApi, wire: object, ended: list[str]
) -> None:
    engine.will(reply(wire))
    with pytest.raises(UTDStreamException) as caught:
        await api.start_call("bob", VIDEO)
    assert caught.value.code is UTDErrorCode.MALFORMED_RESPONSE
    assert [seen.raw_path for seen in engine.seen[1:]] == ended


@pytest.mark.parametrize(
    "command",
    [
        lambda api: api.accept_call("a/b"),
        lambda api: api.end_call(""),
        lambda api: api.get_call(7),
        lambda api: api.start_call("", VIDEO),
        lambda api: api.start_call("bob", UTDStreamType.AUDIO_ROOM),
    ],
)
async def test_what_cannot_be_is_refused_here(
    engine: ScriptedEngine, api: UTDApi, command: Callable[[UTDApi], Awaitable[object]]
) -> None:
    with pytest.raises(UTDStreamException) as caught:
        await command(api)
    assert (caught.value.code, caught.value.status_code) == (UTDErrorCode.VALIDATION, None)
    assert engine.seen == []


async def test_an_id_that_cannot_be_is_called_a_call_s(engine: ScriptedEngine, api: UTDApi) -> None:
    for command in (api.accept_call("../x"), api.get_call("../x")):
        with pytest.raises(UTDStreamException, match="call id must be"):
            await command


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"message": "x", "reason": "callee_busy"}, ConflictReason.BUSY),
        ({"message": "x", "reason": "caller_busy"}, ConflictReason.ALREADY),
        ({"message": "Callee is already on a call"}, ConflictReason.BUSY),
        ({"error": "You are already on a call"}, ConflictReason.ALREADY),
        ({"message": "wrong state", "reason": ["?"]}, ConflictReason.REFUSED),
    ],
)
async def test_who_is_on_a_call_is_told_apart(
    engine: ScriptedEngine, api: UTDApi, body: object, reason: ConflictReason
) -> None:
    engine.will(reply(body, 409))
    with pytest.raises(UTDStreamException) as caught:
        await api.start_call("bob", VIDEO)
    assert (caught.value.code, caught.value.reason) == (UTDErrorCode.CONFLICT, reason)


async def test_why_a_call_is_over_is_read_tolerantly(engine: ScriptedEngine, api: UTDApi) -> None:
    over = {"call_id": ID, "status": "ended", "type": "voice", "duration_seconds": 3}
    engine.will(
        reply({**over, "end_reason": "peer_lost"}),
        reply({**over, "end_reason": "lost"}),
        reply({**over, "status": "ringing", "end_reason": "peer_lost"}),
    )
    reasons = [(await api.get_call(ID)).end_reason for _ in range(3)]
    assert reasons == [UTDCallEndReason.PEER_LOST, UTDCallEndReason.UNKNOWN, None]
