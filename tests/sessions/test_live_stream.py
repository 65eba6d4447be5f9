"""The stage as a session has it: who is on it, whose hand is up, and what commands promise."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.sessions.live_stage import LiveStage, metadata_of
from tests.sessions.stage import LoopClock, code_of
from tests.sessions.watching import settle
from tests.state.virtual import run
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.events import ParticipantMetadataChanged
from utd_rx.models.role import UTDRole
from utd_rx.models.stage import UTDStageMember
from utd_rx.protocol.stage import LOOK_AGAIN_SECONDS
from utd_rx.sessions.live_stream import UTDLiveStreamSession

DOWN = UTDStreamException("down", code=UTDErrorCode.SERVER, status_code=503)


@pytest.fixture
async def viewer() -> AsyncIterator[LiveStage]:
    stage = LiveStage()
    await stage.session.join()
    yield stage
    await stage.session.aclose()


@pytest.fixture
async def host() -> AsyncIterator[LiveStage]:
    stage = LiveStage(is_host=True)
    stage.come("ana")
    stage.come("ben")
    await stage.session.join()
    await settle()
    yield stage
    await stage.session.aclose()


async def test_the_stage_is_there_with_the_join_and_follows(viewer: LiveStage) -> None:
    assert viewer.session.stage.value == (UTDStageMember("sara", "Sara", "host"),)
    viewer.engine.promote("ana")
    await settle()
    assert viewer.stage == ["sara", "ana"]
    assert "get_stage" not in viewer.engine.asked, "metadata said it all"


async def test_an_engine_that_writes_no_metadata_is_asked() -> None:
    stage = LiveStage(writes=False)
    stage.engine.promote("ana")
    await stage.session.join()
    await settle()
    assert (stage.stage, stage.engine.asked) == (["sara", "ana"], ["get_stage"])
    stage.engine.demote("ana")
    await settle()
    assert (stage.stage, stage.engine.asked) == (["sara"], ["get_stage"] * 2)
    await stage.session.aclose()


async def test_a_refresh_asks_and_returns_what_is_shown_then(viewer: LiveStage) -> None:
    viewer.engine.is_silent = True
    viewer.engine.promote("ana")
    members = await viewer.session.refresh_stage()
    assert [member.identity for member in members] == viewer.stage == ["sara", "ana"]


async def test_who_is_promoted_publishes_without_reconnecting_and_ends_at_once(
    viewer: LiveStage,
) -> None:
    session, engine = viewer.session, viewer.engine
    with pytest.raises(UTDStreamException) as raised:
        await session.set_microphone(True)
    assert code_of(raised) is UTDErrorCode.FORBIDDEN
    engine.promote("me")
    await session.can_publish.until(True)
    assert viewer.published == [], "nothing is switched on for them"
    await session.set_microphone(True)
    await session.set_camera(True)
    assert viewer.published == ["microphone", "camera"]
    engine.demote("me")
    await session.can_publish.until(False)
    await settle()
    assert (viewer.room.tracks, viewer.room.tokens) == ((), ["token1"])


@pytest.mark.parametrize("replies", [True, False])
async def test_inviting_and_removing_return_when_the_stage_shows_it(
    host: LiveStage, replies: bool
) -> None:
    host.engine.replies = replies
    shown: list[list[str]] = []
    host.session.stage.subscribe(lambda _: shown.append(host.stage))
    await host.session.invite_to_stage("ana")
    assert host.stage == ["me", "ana"]
    await host.session.remove_from_stage("ana")
    await host.session.remove_from_stage("ana")
    assert host.stage == ["me"]
    assert shown == [["me"], ["me", "ana"], ["me"]]


def test_a_change_of_which_nothing_is_told_is_asked_for() -> None:
    async def promote() -> None:
        stage = LiveStage(is_host=True, clock=LoopClock(asyncio.get_running_loop()))
        stage.come("ana")
        await stage.session.join()
        await settle()
        stage.engine.is_silent = True
        stage.engine.replies = False
        asked = stage.engine.asked.count("get_stage")
        await stage.session.invite_to_stage("ana")
        assert stage.stage == ["me", "ana"]
        assert stage.engine.asked.count("get_stage") > asked
        await stage.session.aclose()

    run(promote())


async def test_leaving_the_stage_takes_the_own_tracks_down(viewer: LiveStage) -> None:
    viewer.engine.grants = False  # as an engine that leaves the permission in place
    viewer.room.grant(can_publish=True)
    viewer.engine.promote("me")
    await settle()
    await viewer.session.set_microphone(True)
    await viewer.session.set_screen_share(True)
    await viewer.session.leave_stage()
    assert (viewer.stage, viewer.room.tracks) == (["sara"], ())


async def test_the_host_does_not_leave_the_stage_and_keeps_what_is_on(host: LiveStage) -> None:
    await host.session.go_live()
    with pytest.raises(UTDStreamException) as raised:
        await host.session.leave_stage()
    assert code_of(raised) is UTDErrorCode.CONFLICT
    assert host.published == ["microphone", "camera"]


# --- raised hands -------------------------------------------------------------------------------


async def test_hands_are_shown_to_the_host_in_order_and_once(host: LiveStage) -> None:
    for who in ("ben", "ana", "ben"):
        host.engine.raise_hand(who)
    await settle()
    assert host.hands == ["ben", "ana"]
    await host.session.dismiss_stage_request("ben")
    assert host.hands == ["ana"]
    await host.session.invite_to_stage("ana")
    await settle()
    assert host.hands == []


async def test_a_host_who_joins_late_sees_the_hands_that_are_up() -> None:
    stage = LiveStage(is_host=True)
    stage.engine.raise_hand("ana")
    await stage.session.join()
    await settle()
    assert stage.hands == ["ana"]
    await stage.session.aclose()


async def test_hands_that_were_raised_behind_the_join_are_looked_for() -> None:
    stage = LiveStage(is_host=True)
    await stage.session.join()
    await settle()
    stage.engine.is_silent = True
    stage.engine.raise_hand("ana")
    stage.clock.advance(LOOK_AGAIN_SECONDS)
    await settle()
    assert stage.hands == ["ana"]
    await stage.session.aclose()


async def test_who_becomes_an_admin_sees_the_hands_and_no_more_when_it_is_over(
    viewer: LiveStage,
) -> None:
    viewer.engine.raise_hand("ana")
    await settle()
    assert (viewer.hands, viewer.engine.asked) == ([], []), "a viewer does not even ask"
    viewer.room.emit(ParticipantMetadataChanged("me", metadata_of(UTDRole.ADMIN)))
    await viewer.session.stage_requests.until(bool)
    assert viewer.hands == ["ana"]
    with pytest.raises(UTDStreamException) as raised:
        await viewer.session.set_microphone(True)
    assert code_of(raised) is UTDErrorCode.FORBIDDEN, "moderating is not publishing"
    viewer.room.emit(ParticipantMetadataChanged("me", metadata_of(UTDRole.AUDIENCE)))
    await viewer.session.stage_requests.until(lambda hands: not hands)


async def test_an_own_hand_goes_up_and_down(viewer: LiveStage) -> None:
    session = viewer.session
    await session.request_stage()
    await session.request_stage()
    assert session.hand_raised.value
    await session.cancel_stage_request()
    await session.cancel_stage_request()
    assert not session.hand_raised.value
    await session.request_stage()
    viewer.engine.lower_hand("me")
    await session.hand_raised.until(False)
    await session.request_stage()
    viewer.engine.promote("me")
    await session.hand_raised.until(False)
    await session.request_stage()  # who is on the stage has what a hand asks for
    assert not session.hand_raised.value


async def test_of_hands_up_and_down_at_once_the_last_word_counts(
    viewer: LiveStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, asked = viewer.engine.request_stage, asyncio.Event()

    async def late(room: str) -> None:
        await asked.wait()  # as on a connection that is slower than the other
        await request(room)

    monkeypatch.setattr(viewer.engine, "request_stage", late)
    up = asyncio.ensure_future(viewer.session.request_stage())
    down = asyncio.ensure_future(viewer.session.cancel_stage_request())
    await settle()
    asked.set()
    await asyncio.gather(up, down)
    await settle()
    assert (viewer.engine.there.hands, viewer.session.hand_raised.value) == ((), False)


async def test_a_forged_dismissal_takes_no_hand_down(viewer: LiveStage) -> None:
    await viewer.session.request_stage()
    viewer.engine.tell("_stage_request_closed", {"identity": "me"})
    await settle()
    assert viewer.engine.asked == ["request_stage", "get_stage"]
    assert (viewer.session.hand_raised.value, viewer.session.state.value.refused) == (True, 1)
    viewer.engine.tell("_stage_request_closed", {"identity": "me"}, sender="sara")
    await settle()
    assert (viewer.session.hand_raised.value, viewer.session.state.value.refused) == (True, 2)


async def test_the_hand_of_a_session_that_left_is_down(viewer: LiveStage) -> None:
    await viewer.session.request_stage()
    await viewer.session.leave()
    assert not viewer.session.hand_raised.value


# --- what goes wrong ----------------------------------------------------------------------------

COMMANDS: list[Callable[[UTDLiveStreamSession], Awaitable[object]]] = [
    lambda session: session.invite_to_stage("ana"),
    lambda session: session.remove_from_stage("ana"),
    lambda session: session.leave_stage(),
    lambda session: session.request_stage(),
    lambda session: session.cancel_stage_request(),
    lambda session: session.dismiss_stage_request("ana"),
]


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_refused_command_changes_nothing_and_says_why(
    viewer: LiveStage, command: Callable[[UTDLiveStreamSession], Awaitable[object]]
) -> None:
    viewer.engine.error = DOWN
    before = viewer.session.state.value
    with pytest.raises(UTDStreamException) as raised:
        await command(viewer.session)
    assert raised.value is DOWN
    assert viewer.session.state.value == before


@pytest.mark.parametrize(
    "command",
    [
        *COMMANDS,
        lambda session: session.go_live(),
        lambda session: session.stop_live(),
        lambda session: session.refresh_stage(),
    ],
)
async def test_commands_need_a_room_that_is_joined(
    command: Callable[[UTDLiveStreamSession], Awaitable[object]],
) -> None:
    stage = LiveStage(is_host=True)
    with pytest.raises(UTDStreamException) as raised:
        await command(stage.session)
    assert raised.value.reason is ConflictReason.NOT_JOINED
    await stage.session.aclose()
    with pytest.raises(UTDStreamException) as raised:
        await command(stage.session)
    assert raised.value.reason is ConflictReason.CLOSED
    assert stage.engine.asked == []


async def test_a_viewer_counts_among_the_viewers(viewer: LiveStage) -> None:
    counts: list[int] = []
    viewer.session.viewer_count.subscribe(counts.append)
    viewer.come("ana")
    await settle()
    viewer.engine.promote("ana")
    await settle()
    viewer.engine.promote("me")
    await settle()
    assert counts == [1, 2, 1, 0]


async def test_messages_of_the_stage_are_no_data_of_the_app(viewer: LiveStage) -> None:
    seen: list[bytes] = []
    viewer.session.data.subscribe(lambda message: seen.append(message.payload))
    for type_ in ("_stage_update", "_stage_request", "_stage_request_closed", "_live_ended"):
        viewer.engine.tell(type_, {"identity": "ana"}, sender="eve")
    viewer.room.push(json.dumps({"type": "poll"}).encode(), sender="eve")
    await settle()
    assert seen == [b'{"type": "poll"}']
