"""Moderation returns when the room shows it; what the others do to this client is told once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.sessions.stage import Stage, code_of
from tests.sessions.watching import settle
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.ban import UTDBan, UTDBanNotice
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.events import (
    DataReceived,
    ParticipantConnected,
    ParticipantDisconnected,
    ParticipantMetadataChanged,
    RoomEvent,
    RoomMetadataChanged,
    TrackMuted,
)
from utd_rx.models.participant import RemoteParticipant, TrackPublication, TrackSource
from utd_rx.models.role import UTDRole
from utd_rx.protocol.bans import MAX_PAGES, PER_PAGE
from utd_rx.sessions.audio_room import UTDAudioRoomSession

BANNED = UTDStreamException("User is banned", code=UTDErrorCode.BANNED, status_code=403)
MIC = TrackPublication("TR_ana", source=TrackSource.MICROPHONE)
Command = Callable[[UTDAudioRoomSession], Awaitable[object]]


@pytest.fixture
async def ana(joined: Stage) -> Stage:
    who = RemoteParticipant("ana", "PA_ana", metadata='{"role":"audience"}', tracks=(MIC,))
    joined.room.emit(ParticipantConnected(who))
    await settle()
    return joined


SHOWN: list[tuple[Command, RoomEvent]] = [
    (
        lambda s: s.mute("ana"),
        TrackMuted("ana", TrackPublication("TR_ana", source=TrackSource.MICROPHONE, is_muted=True)),
    ),
    (lambda s: s.kick("ana"), ParticipantDisconnected("ana")),
    (lambda s: s.ban("ana", duration=60, reason="spam"), ParticipantDisconnected("ana")),
    (
        lambda s: s.set_role("ana", UTDRole.ADMIN),
        ParticipantMetadataChanged("ana", '{"role":"admin"}'),
    ),
    (lambda s: s.lock_chat(True), RoomMetadataChanged('{"_comment_lock":{"locked":true}}')),
]


@pytest.mark.parametrize(("command", "event"), SHOWN)
async def test_a_command_returns_when_the_room_shows_it(
    ana: Stage, command: Command, event: RoomEvent
) -> None:
    running = asyncio.ensure_future(command(ana.session))
    await settle()
    assert not running.done()
    ana.room.emit(event)
    await running


@pytest.mark.parametrize("command", [command for command, _ in SHOWN])
async def test_leaving_ends_the_wait(ana: Stage, command: Command) -> None:
    running = asyncio.ensure_future(command(ana.session))
    await settle()
    await ana.session.leave()
    with pytest.raises(UTDStreamException) as raised:
        await running
    assert code_of(raised) is UTDErrorCode.CONFLICT


@pytest.mark.parametrize("command", [command for command, _ in SHOWN])
async def test_a_command_belongs_to_the_join_in_which_it_was_asked(
    ana: Stage, command: Command
) -> None:
    """Left and joined again while the engine thinks: the new join must not be waited in."""
    ana.engine.gate.clear()
    running = asyncio.ensure_future(command(ana.session))
    await settle()
    await ana.session.leave()
    await ana.session.join()
    ana.engine.gate.set()
    with pytest.raises(UTDStreamException) as raised:
        await running
    assert code_of(raised) is UTDErrorCode.CONFLICT


@pytest.mark.parametrize("command", [command for command, _ in SHOWN])
async def test_a_refusal_reaches_the_caller(ana: Stage, command: Command) -> None:
    ana.engine.error = UTDStreamException("no", code=UTDErrorCode.FORBIDDEN, status_code=403)
    with pytest.raises(UTDStreamException) as raised:
        await command(ana.session)
    assert raised.value is ana.engine.error


async def test_a_kicked_user_who_is_back_at_once_was_kicked(ana: Stage) -> None:
    kicking = asyncio.ensure_future(ana.session.kick("ana"))
    await settle()
    ana.room.emit(
        ParticipantDisconnected("ana"), ParticipantConnected(RemoteParticipant("ana", "PA_new"))
    )
    await kicking
    assert [who.sid for who in ana.session.remote_participants.value] == ["PA_new"]


async def test_bans_of_this_room_are_listed_over_all_pages(joined: Stage) -> None:
    joined.engine.banned = tuple(UTDBan(f"u{n}", room_name="room") for n in range(150))
    joined.engine.banned += (UTDBan("x", room_name="elsewhere"), UTDBan("y"))
    listed = await joined.session.bans()
    assert len(listed) == 151
    await joined.session.unban("u7")
    assert len(await joined.session.bans()) == 150


async def test_a_list_of_bans_without_end_is_cut(joined: Stage) -> None:
    bans = tuple(UTDBan(f"u{n}", room_name="room") for n in range(MAX_PAGES * PER_PAGE + 1))
    joined.engine.banned = bans
    assert await joined.session.bans() == bans[:-1]


async def test_roles_follow_metadata_and_a_forged_promotion_moves_nobody(ana: Stage) -> None:
    ana.engine.roles = {"ana": UTDRole.AUDIENCE}
    ana.engine.tell("_role_change", {"identity": "ana", "role": "host"})
    await settle()
    assert dict(ana.session.roles.value) == {"ana": UTDRole.AUDIENCE}
    assert [call for call in ana.engine.asked if "role" in call] == ["get_role ana"]
    ana.engine.roles = {"ana": UTDRole.ADMIN}
    ana.engine.tell("_role_change", {"identity": "ana", "role": "admin"})
    await settle()
    assert dict(ana.session.roles.value) == {"ana": UTDRole.ADMIN}


async def test_a_ban_is_told_once_with_its_reason(joined: Stage) -> None:
    seen: list[UTDBanNotice | None] = []
    joined.session.banned.subscribe(seen.append)
    joined.engine.tell("_banned", {"identity": "me", "reason": "spam", "room_name": "room"})
    await settle()
    assert seen == [None]
    joined.engine.read_error = BANNED
    joined.room.lose(DisconnectReason.PARTICIPANT_REMOVED)
    await settle()
    joined.engine.mint_error = BANNED
    with pytest.raises(UTDStreamException):
        await joined.session.join()
    assert seen == [None, UTDBanNotice("room", "spam")]


@pytest.mark.parametrize("is_banned", [True, False])
async def test_a_removal_without_a_push_is_asked_about(joined: Stage, is_banned: bool) -> None:
    kicked = UTDStreamException("not a member", code=UTDErrorCode.FORBIDDEN, status_code=403)
    joined.engine.read_error = BANNED if is_banned else kicked
    joined.room.lose(DisconnectReason.PARTICIPANT_REMOVED)
    await settle()
    assert (joined.session.banned.value is not None) is is_banned


async def test_a_mint_that_says_banned_is_a_notice_until_a_join_succeeds(stage: Stage) -> None:
    stage.engine.mint_error = BANNED
    with pytest.raises(UTDStreamException) as raised:
        await stage.session.join()
    assert raised.value.is_banned
    assert stage.session.banned.value == UTDBanNotice()
    stage.engine.mint_error = None
    await stage.session.join()
    assert stage.session.banned.value is None


async def test_engine_messages_of_participants_are_refused_and_counted(ana: Stage) -> None:
    seen: list[DataReceived] = []
    ana.session.data.subscribe(seen.append)
    for type_ in ("_banned", "_comment_lock", "_role_change", "_speaker_invitation"):
        ana.room.push(b'{"type": "%s", "identity": "me"}' % type_.encode(), sender="ana")
    await settle()
    assert ana.session.state.value.forged == 4
    assert seen == []
