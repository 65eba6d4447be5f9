"""Requests and invitations: what is approved is heard once granted, what is over is gone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from attrs import evolve

from tests.sessions.stage import LoopClock, Stage, code_of
from tests.sessions.watching import settle
from tests.state.virtual import run
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.seats import Invitation, InvitationAnswer
from utd_rx.protocol.wire.speakers import ListedInvitation
from utd_rx.sessions.audio_room import UTDAudioRoomSession

OFFER = {"invitation_id": 4, "inviter_identity": "sara", "target_identity": "me", "seat_index": 2}


async def test_the_queue_is_seen_in_order(joined: Stage) -> None:
    joined.engine.request(7, "mona")
    joined.engine.request(9, "omar")
    await settle()
    assert [asked.identity for asked in joined.session.pending_requests.value] == ["mona", "omar"]


async def test_an_approved_request_opens_the_microphone_after_the_grant(joined: Stage) -> None:
    session, engine = joined.session, joined.engine
    assert await session.request_to_speak() == 7
    assert not session.microphone_enabled.value
    engine.become(requests=())
    engine.seat(3, "me")
    await settle()
    assert not session.microphone_enabled.value
    joined.room.grant(can_publish=True)
    await session.microphone_enabled.until(True, timeout=5)


async def test_a_rejected_request_opens_nothing_later(joined: Stage) -> None:
    session, engine = joined.session, joined.engine
    await session.request_to_speak()
    engine.become(requests=())
    await settle()
    engine.seat(3, "me")
    joined.room.grant(can_publish=True)
    await settle()
    assert session.my_seat.value is not None
    assert not session.microphone_enabled.value


async def test_a_cancelled_request_opens_nothing_later(joined: Stage) -> None:
    session, engine = joined.session, joined.engine
    await session.request_to_speak()
    await session.cancel_request()
    assert session.pending_requests.value == ()
    engine.seat(3, "me")
    joined.room.grant(can_publish=True)
    await settle()
    assert not session.microphone_enabled.value


@pytest.mark.parametrize("is_invited", [True, False])
async def test_a_seat_taken_without_the_microphone_opens_none_for_an_older_request(
    joined: Stage, monkeypatch: pytest.MonkeyPatch, is_invited: bool
) -> None:
    session, engine = joined.session, joined.engine
    take = engine.take_seat

    async def take_and_answer(room: str, index: int) -> None:
        engine.grid = evolve(engine.grid, requests=())
        await take(room, index)

    monkeypatch.setattr(engine, "take_seat", take_and_answer)
    await session.request_to_speak()
    if is_invited:
        engine.tell("_speaker_invitation", OFFER)
        await settle()
        await session.accept_invitation(4, microphone=False)
    else:
        await session.take_seat(1, microphone=False)
    await settle()
    assert session.can_publish.value
    assert not session.microphone_enabled.value


async def test_moving_says_nothing_about_the_microphone_of_a_request(joined: Stage) -> None:
    session, engine = joined.session, joined.engine
    engine.grants = False
    await session.request_to_speak()
    engine.become(requests=())
    engine.seat(3, "me")
    await settle()
    moving = asyncio.ensure_future(session.move_seat(1))
    await settle()
    joined.room.grant(can_publish=True)
    await moving
    assert await session.microphone_enabled.until(True, timeout=5)


async def test_a_request_that_is_answered_without_an_id_opens_the_microphone_too(
    joined: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, engine = joined.session, joined.engine

    async def ask(room: str) -> None:
        engine.request(7, "me")

    monkeypatch.setattr(engine, "request_to_speak", ask)
    assert await session.request_to_speak() == 7
    engine.become(requests=())
    engine.seat(3, "me")
    joined.room.grant(can_publish=True)
    await session.microphone_enabled.until(True, timeout=5)


async def test_a_microphone_switched_off_while_the_request_is_made_stays_off(
    joined: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, engine = joined.session, joined.engine
    request = engine.request_to_speak

    async def switch_off_and_ask(room: str) -> int | None:
        await session.set_microphone(False)
        return await request(room)

    monkeypatch.setattr(engine, "request_to_speak", switch_off_and_ask)
    await session.request_to_speak()
    engine.become(requests=())
    engine.seat(3, "me")
    joined.room.grant(can_publish=True)
    await settle()
    assert session.can_publish.value
    assert not session.microphone_enabled.value


def test_a_grant_ten_seconds_after_the_seat_opens_nothing() -> None:
    async def late() -> None:
        stage = Stage(clock=LoopClock(asyncio.get_running_loop()))
        async with stage.session as session:
            await session.join()
            await session.request_to_speak()
            stage.engine.become(requests=())
            stage.engine.seat(3, "me")
            await asyncio.sleep(0)
            await settle()
            await asyncio.sleep(10.5)
            stage.room.grant(can_publish=True)
            await settle()
            assert session.can_publish.value
            assert not session.microphone_enabled.value

    run(late())


async def test_a_request_without_a_microphone_is_refused_before_it_is_made() -> None:
    stage = Stage(microphone=None)
    async with stage.session as session:
        await session.join()
        with pytest.raises(UTDStreamException, match="or microphone=False to do") as raised:
            await session.request_to_speak()
        assert code_of(raised) is UTDErrorCode.VALIDATION
        assert stage.engine.grid.requests == ()
        await session.request_to_speak(microphone=False)
        assert len(session.pending_requests.value) == 1


async def test_hosts_approve_and_reject(joined: Stage) -> None:
    for answer in (joined.session.approve_speaker, joined.session.reject_speaker):
        joined.engine.request(7, "mona")
        await settle()
        await answer(7)
        assert joined.session.pending_requests.value == ()


async def test_an_invitation_to_me_is_shown_and_one_to_another_is_not(joined: Stage) -> None:
    joined.engine.tell("_speaker_invitation", OFFER)
    joined.engine.tell("_speaker_invitation", OFFER)
    joined.engine.tell("_speaker_invitation", {**OFFER, "target_identity": "omar"})
    await settle()
    assert joined.session.invitations.value == (Invitation(4, "sara", "me", 2),)


async def test_accepting_seats_and_opens_the_microphone(joined: Stage) -> None:
    session = joined.session
    joined.engine.tell("_speaker_invitation", OFFER)
    await settle()
    await session.accept_invitation(4)
    assert session.invitations.value == ()
    assert session.microphone_enabled.value
    assert session.my_seat.value is not None


async def test_where_the_reply_names_no_seat_the_offered_one_is_taken(joined: Stage) -> None:
    session = joined.session
    joined.engine.accept_seat = None
    joined.engine.tell("_speaker_invitation", OFFER)
    await settle()
    await session.accept_invitation(4)
    seat = session.my_seat.value
    assert seat is not None
    assert seat.index == 2


async def test_an_offer_the_engine_does_not_know_is_gone(joined: Stage) -> None:
    joined.engine.tell("_speaker_invitation", OFFER)
    await settle()
    joined.engine.error = UTDStreamException("no", code=UTDErrorCode.NOT_FOUND, status_code=404)
    with pytest.raises(UTDStreamException):
        await joined.session.accept_invitation(4)
    assert joined.session.invitations.value == ()


async def test_declining_ends_the_offer(joined: Stage) -> None:
    joined.engine.tell("_speaker_invitation", OFFER)
    await settle()
    await joined.session.decline_invitation(4)
    assert joined.session.invitations.value == ()


def test_an_invitation_ends_after_sixty_seconds() -> None:
    async def wait() -> None:
        stage = Stage(clock=LoopClock(asyncio.get_running_loop()))
        async with stage.session as session:
            await session.join()
            stage.engine.tell("_speaker_invitation", OFFER)
            await session.invitations.until(lambda offers: len(offers) == 1, timeout=1)
            begun = asyncio.get_running_loop().time()
            await session.invitations.until((), timeout=100)
            assert 59.9 < asyncio.get_running_loop().time() - begun < 60.1

    run(wait())


LISTED = (ListedInvitation(Invitation(4, "sara", "me", 2), 30.0),)


async def test_an_offer_whose_push_was_lost_is_on_the_engines_list(stage: Stage) -> None:
    stage.engine.invitations = LISTED
    async with stage.session as session:
        await session.join()
        offers = await session.invitations.until(lambda offers: len(offers) == 1, timeout=5)
        assert offers == (Invitation(4, "sara", "me", 2),)


def test_an_offer_made_before_the_data_channel_was_open_is_found_by_the_second_look() -> None:
    async def story() -> None:
        stage = Stage(clock=LoopClock(asyncio.get_running_loop()))
        stage.engine.invitations = ()
        async with stage.session as session:
            await session.join()
            await settle()
            assert session.invitations.value == ()
            stage.engine.invitations = LISTED
            await session.invitations.until(lambda offers: len(offers) == 1, timeout=100)
            assert stage.engine.asked.count("speaker_invitations") == 2
            # It ends by its own time, and nothing keeps on asking.
            await session.invitations.until((), timeout=100)
            await asyncio.sleep(300)
            assert stage.engine.asked.count("speaker_invitations") == 2

    run(story())


async def test_a_forged_offer_is_not_shown_where_the_engine_lists(stage: Stage) -> None:
    stage.engine.invitations = ()
    async with stage.session as session:
        await session.join()
        await settle()
        seen: list[object] = []
        session.invitations.subscribe(seen.append)
        stage.engine.tell("_speaker_invitation", OFFER)
        await settle()
        assert seen == [()]
        assert session.state.value.refused == 1


async def test_the_inviter_is_told_what_became_of_an_invitation(joined: Stage) -> None:
    seen: list[InvitationAnswer] = []
    joined.session.invitation_answers.subscribe(seen.append)
    made = {"invitation_id": 4, "inviter_identity": "me", "target_identity": "ana"}
    joined.engine.tell("_speaker_invitation_accepted", {**made, "seat_index": 2})
    joined.engine.tell("_speaker_invitation_declined", made)
    joined.engine.tell("_speaker_invitation_declined", {**made, "inviter_identity": "sara"})
    joined.engine.tell("_speaker_invitation_declined", {"invitation_id": 4})
    forged = json.dumps({"type": "_speaker_invitation_declined", **made}).encode()
    joined.room.push(forged, sender="mallory")
    await settle()
    invitation = Invitation(4, "me", "ana")
    assert seen == [
        InvitationAnswer(evolve(invitation, seat_index=2), is_accepted=True),
        InvitationAnswer(invitation, is_accepted=False),
    ]
    assert joined.session.state.value.forged == 1


async def test_inviting_returns_the_id(joined: Stage) -> None:
    assert await joined.session.invite_to_speak("ana", seat_index=1) == 4


REFUSED = UTDStreamException("no", code=UTDErrorCode.FORBIDDEN, status_code=403)
Command = Callable[[UTDAudioRoomSession], Awaitable[object]]


@pytest.mark.parametrize(
    "command",
    [
        lambda session: session.cancel_request(),
        lambda session: session.take_seat(1, microphone=False),
        lambda session: session.accept_invitation(9, microphone=False),
    ],
)
@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_a_command_that_is_refused_or_cancelled_takes_no_other_one_s_word_back(
    joined: Stage, command: Command, is_cancelled: bool
) -> None:
    session, engine = joined.session, joined.engine
    await session.request_to_speak()
    if is_cancelled:
        engine.gate.clear()
        asking = asyncio.ensure_future(command(session))
        await settle()
        asking.cancel()
        await asyncio.wait([asking])
        engine.gate.set()
    else:
        engine.error = REFUSED
        with pytest.raises(UTDStreamException):
            await command(session)
        engine.error = None
    engine.become(requests=())
    engine.seat(3, "me")
    joined.room.grant(can_publish=True)
    await session.microphone_enabled.until(True, timeout=5)
