"""Each command of a host or admin says what the engine expects."""

from __future__ import annotations

import pytest

from tests.fixtures import wire_fixture
from tests.rest.commands import Command, named
from tests.rest.engines import ScriptedEngine, reply
from utd_rx.models.role import UTDRole
from utd_rx.rest import UTDApi

MODERATION = wire_fixture("moderation")

COMMANDS = [
    Command(lambda api: api.kick_participant("r", "b"), "DELETE", "r/participants/b"),
    Command(
        lambda api: api.mute_participant("r", "b", video=True, muted=False),
        "PUT",
        "r/participants/b/mute",
        {"audio": True, "video": True, "muted": False},
    ),
    Command(
        lambda api: api.set_role("r", "b", "admin"),
        "PUT",
        "r/participants/b/role",
        {"role": "admin"},
        answer=MODERATION["role"],
    ),
    Command(
        lambda api: api.get_role("r", "b"),
        "GET",
        "r/participants/b",
        answer={"identity": "b", "role": "admin"},
        result=UTDRole.ADMIN,
    ),
    Command(
        lambda api: api.get_role("r", "b"),
        "GET",
        "r/participants/b",
        answer={"identity": "b", "role": "wizard"},
    ),
    Command(
        lambda api: api.participant_metadata("r", "b"),
        "GET",
        "r/participants/b",
        answer={"identity": "b", "metadata": '{"role": "admin"}'},
        result='{"role": "admin"}',
    ),
    Command(
        lambda api: api.participant_metadata("r", "b"),
        "GET",
        "r/participants/b",
        answer={"identity": "b"},
        result="",
    ),
    Command(
        lambda api: api.lock_chat("r", True),
        "PUT",
        "r/comments/lock",
        {"locked": True},
        answer=MODERATION["comments_lock"],
    ),
    Command(
        lambda api: api.ban("b", room="r", reason="spam", duration=60),
        "POST",
        "ban",
        {"identity": "b", "room_name": "r", "reason": "spam", "duration": 60},
        answer={"id": 1},
    ),
    Command(lambda api: api.ban("b"), "POST", "ban", {"identity": "b"}),
    Command(
        lambda api: api.unban("b", room="r"),
        "DELETE",
        "ban",
        {"identity": "b", "room_name": "r"},
    ),
]


@pytest.mark.parametrize("command", COMMANDS, ids=named)
async def test_a_command_says_what_the_engine_expects(
    engine: ScriptedEngine, api: UTDApi, command: Command
) -> None:
    await command.check(engine, api)


async def test_bans_come_page_by_page(engine: ScriptedEngine, api: UTDApi) -> None:
    engine.will(reply(wire_fixture("bans")))
    one_room, project = await api.bans(page=2, per_page=50)
    assert (one_room.identity, one_room.room_name, one_room.is_permanent) == (
        "mallory",
        "friday-room",
        False,
    )
    assert (project.identity, project.room_name, project.is_permanent) == ("трол", None, True)
    assert engine.seen[0].query == {"page": "2", "per_page": "50"}
