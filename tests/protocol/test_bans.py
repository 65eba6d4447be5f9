"""Three signals of a ban, one notice; none of them can be forged alone."""

from __future__ import annotations

import pytest

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.ban import UTDBanNotice
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.events import Disconnected, RoomSnapshot
from utd_rx.models.participant import LocalParticipant
from utd_rx.protocol import bans as rules
from utd_rx.protocol.bans import HINT_SECONDS, Bans
from utd_rx.protocol.facts.connection import JoinFailed, JoinSucceeded
from utd_rx.protocol.facts.people import AskBan, BanAnswered, BanHinted

RICH = UTDBanNotice("friday", "spam", "2026-05-05T10:00:00Z")
HINT = BanHinted("me", RICH)
REMOVED = Disconnected(DisconnectReason.PARTICIPANT_REMOVED)
REFUSED = JoinFailed(1, UTDStreamException("User is banned", code=UTDErrorCode.BANNED))


def run(*facts: object, pace: float = 0.2) -> tuple[Bans, list[object]]:
    bans = Bans()
    asked: list[object] = []
    for i, fact in enumerate(facts):
        bans, more = rules.step(bans, fact, i * pace, identity="me", epoch=1)
        asked += list(more)
    return bans, asked


@pytest.mark.parametrize(
    ("code", "status", "is_banned"),
    [
        (UTDErrorCode.BANNED, 403, True),
        (UTDErrorCode.FORBIDDEN, 403, False),
        (UTDErrorCode.NOT_FOUND, 404, False),
        (UTDErrorCode.SERVER, 503, None),
        (UTDErrorCode.NETWORK, None, None),
    ],
)
def test_only_what_the_engine_itself_refuses_is_a_word_about_the_ban(
    code: UTDErrorCode, status: int | None, is_banned: bool | None
) -> None:
    refusal = UTDStreamException("no", code=code, status_code=status)
    assert rules.is_banned_by(refusal) is is_banned
    assert rules.is_banned_by(None) is False


def test_push_and_removal_are_a_notice_with_its_reason() -> None:
    for hint in (HINT, BanHinted(None, RICH)):
        assert run(hint, REMOVED)[0].notice is None
        assert run(hint, REMOVED, BanAnswered(1, True)) == (Bans(notice=RICH), [AskBan(1)])
        # The engine cannot be reached: push and removal together are believed.
        assert run(hint, REMOVED, BanAnswered(1, None))[0].notice == RICH


def test_a_forged_push_makes_no_ban_of_a_kick() -> None:
    assert run(HINT, REMOVED, BanAnswered(1, False))[0] == Bans(hinted_at=0.0, disproved=1)
    assert run(REMOVED, BanAnswered(1, None))[0].notice is None


def test_a_push_that_no_removal_follows_is_counted() -> None:
    assert run(HINT, HINT, object(), pace=HINT_SECONDS)[0].disproved == 2
    assert rules.next_deadline(run(HINT)[0]) == HINT_SECONDS
    assert rules.next_deadline(run(HINT, REMOVED)[0]) is None


def test_a_push_alone_or_about_another_is_nothing() -> None:
    assert run(HINT)[0].notice is None
    bans, asked = run(BanHinted("ana", RICH), REMOVED)
    assert (bans.notice, asked) == (None, [AskBan(1)])


def test_an_old_push_does_not_explain_a_removal() -> None:
    assert run(HINT, REMOVED, pace=HINT_SECONDS + 1)[1] == [AskBan(1)]


def test_a_removal_alone_is_asked_about() -> None:
    assert run(REMOVED, BanAnswered(1, True))[0].notice == UTDBanNotice()
    assert run(REMOVED, BanAnswered(1, False))[0].notice is None
    assert run(REMOVED, BanAnswered(0, True))[0].notice is None


def test_the_mint_says_it_too_and_the_first_notice_stays() -> None:
    assert run(REFUSED)[0].notice == UTDBanNotice()
    assert run(HINT, REMOVED, REFUSED, BanAnswered(1, True))[0].notice == RICH
    assert run(HINT, REMOVED, BanAnswered(1, True), REFUSED)[0].notice == RICH
    other = JoinFailed(1, UTDStreamException("no", code=UTDErrorCode.FORBIDDEN))
    assert run(other)[0].notice is None
    assert run(JoinFailed(0, REFUSED.error))[0].notice is None


def test_another_end_of_the_connection_is_no_ban() -> None:
    assert run(HINT, Disconnected(DisconnectReason.ROOM_CLOSED))[0].notice is None


def test_a_join_that_succeeds_ends_the_notice() -> None:
    joined = JoinSucceeded(1, RoomSnapshot("r", LocalParticipant("me")))
    assert run(HINT, REMOVED, joined)[0] == Bans()
