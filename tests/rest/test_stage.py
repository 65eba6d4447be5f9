"""Each command about the stage says what the engine expects, and no odd reply empties it."""

from __future__ import annotations

import pytest

from tests.fixtures import wire_fixture
from tests.rest.commands import Command, named
from tests.rest.engines import ScriptedEngine, reply
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.stage import Stage, StageRequest, UTDStageMember
from utd_rx.ports.engine import StageReply
from utd_rx.rest import UTDApi

STAGE = wire_fixture("stage")
SHOWN = Stage(
    (UTDStageMember("sara", "Sara", "host"), UTDStageMember("علي", None, "audience")), 7, True
)
HANDS = (
    StageRequest("李雷", "Li Lei", "2026-05-04T10:00:05.000Z"),
    StageRequest("mona", None, "2026-05-04T10:00:06.000Z"),
)
FOR_MODERATORS = {"answer": STAGE["moderators_stage"], "result": StageReply(SHOWN, HANDS)}
FOR_VIEWERS = {"answer": STAGE["stage"], "result": StageReply(SHOWN)}
TARGET = {"target_identity": "علي"}

COMMANDS = [
    Command(lambda api: api.get_stage("r"), "GET", "r/stage", **FOR_MODERATORS),
    Command(lambda api: api.get_stage("r"), "GET", "r/stage", **FOR_VIEWERS),
    Command(lambda api: api.add_to_stage("r", "علي"), "POST", "r/stage/add", TARGET),
    Command(
        lambda api: api.add_to_stage("r", "علي"), "POST", "r/stage/add", TARGET, **FOR_MODERATORS
    ),
    Command(lambda api: api.remove_from_stage("r", "علي"), "POST", "r/stage/remove", TARGET),
    Command(lambda api: api.leave_stage("r"), "POST", "r/stage/leave", {}, **FOR_VIEWERS),
    Command(
        lambda api: api.request_stage("r"), "POST", "r/stage/request", {}, answer=STAGE["request"]
    ),
    Command(lambda api: api.cancel_stage_request("r"), "DELETE", "r/stage/request"),
    Command(
        lambda api: api.dismiss_stage_request("r", "علي"),
        "POST",
        "r/stage/request/dismiss",
        TARGET,
        **FOR_MODERATORS,
    ),
    Command(lambda api: api.end_live("r"), "POST", "r/live/end", {}, **FOR_VIEWERS),
]


@pytest.mark.parametrize("command", COMMANDS, ids=named)
async def test_a_command_says_what_the_engine_expects(
    engine: ScriptedEngine, api: UTDApi, command: Command
) -> None:
    await command.check(engine, api)


@pytest.mark.parametrize("wire", [{}, {"ok": True}, {"data": []}, {"members": {}}])
async def test_a_reply_that_is_no_stage_does_not_empty_it(
    engine: ScriptedEngine, api: UTDApi, wire: object
) -> None:
    engine.will(reply(wire))
    with pytest.raises(UTDStreamException) as caught:
        await api.get_stage("r")
    assert caught.value.code is UTDErrorCode.MALFORMED_RESPONSE
    assert await api.leave_stage("r") is None, "a change was carried out all the same"
