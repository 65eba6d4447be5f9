"""Offers end when nobody could accept them; only what was asked for opens the microphone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from utd_rx.models.events import ParticipantDisconnected
from utd_rx.models.seats import Invitation, SpeakRequest, UTDSeat, UTDSeatGrid
from utd_rx.protocol import speakers as rules
from utd_rx.protocol.facts import (
    DeadlinePassed,
    InvitationAnswered,
    InvitationHinted,
    MicrophoneWanted,
    SpeakRequested,
)
from utd_rx.protocol.speakers import GRANT_TIMEOUT, MAX_OFFERS, Speakers

FREE = UTDSeatGrid((UTDSeat(0),))
MINE = UTDSeatGrid((UTDSeat(0, "me"),))
PENDING = UTDSeatGrid((UTDSeat(0),), requests=(SpeakRequest(7, "me"),))


def offer(number: int, target: str = "me", inviter: str = "sara") -> InvitationHinted:
    return InvitationHinted(Invitation(number, inviter, target))


def after(*told: tuple[object, UTDSeatGrid], pace: float = 1.0) -> Speakers:
    speakers = Speakers()
    for i, (fact, grid) in enumerate(told):
        speakers = rules.step(speakers, fact, i * pace, identity="me", grid=grid)
    return speakers


def test_a_flood_of_offers_is_bounded_and_the_first_ones_stay() -> None:
    shown = after(*((offer(n), FREE) for n in range(99)), pace=0.0).invitations
    assert [invitation.id for invitation in shown] == list(range(MAX_OFFERS))


def test_offers_end_with_their_inviter_with_the_seat_and_with_the_answer() -> None:
    offered = (offer(4), FREE)
    ends = (ParticipantDisconnected("sara"), FREE), (object(), MINE), (InvitationAnswered(4), FREE)
    for end in ends:
        assert after(offered, end).offers == ()
    for other in (ParticipantDisconnected("omar"), FREE), (InvitationAnswered(5), FREE):
        assert len(after(offered, other).offers) == 1


def test_seat_and_request_gone_in_one_grid_is_an_approval() -> None:
    seated = after((SpeakRequested(7), FREE), (object(), MINE))
    assert seated.opens_by == 1.0 + GRANT_TIMEOUT
    assert rules.opens(seated, False) == (seated, False)
    opened, opens = rules.opens(seated, True)
    assert (opens, opened.opens_by) == (True, None)


def test_a_request_that_was_seen_and_is_gone_waits_for_nothing() -> None:
    assert after((SpeakRequested(7), PENDING), (object(), FREE)).request_id is None
    # Not seen yet: the grid of before is still on its way.
    assert after((SpeakRequested(7), FREE), (object(), FREE)).request_id == 7


def test_standing_up_switching_off_and_time_end_the_wait_for_the_grant() -> None:
    seated = ((SpeakRequested(7), PENDING), (object(), MINE))
    assert after(*seated, (object(), FREE)).opens_by is None
    assert after(*seated, (MicrophoneWanted(False), MINE)).opens_by is None
    assert after(*seated, (DeadlinePassed(), MINE), pace=20.0).opens_by is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    *(offer(n, who) for n in range(3) for who in ("me", "omar")),
                    InvitationAnswered(1),
                    SpeakRequested(7),
                    SpeakRequested(None),
                    MicrophoneWanted(False),
                    DeadlinePassed(),
                    ParticipantDisconnected("sara"),
                ]
            ),
            st.sampled_from([FREE, MINE, PENDING]),
            st.floats(0, 30),
            st.booleans(),
        )
    )
)
def test_whatever_happens_nothing_is_overdue_and_only_a_seat_opens(
    history: list[tuple[object, UTDSeatGrid, float, bool]],
) -> None:
    speakers, now = Speakers(), 0.0
    for fact, grid, pause, is_granted in history:
        now += pause
        speakers = rules.step(speakers, fact, now, identity="me", grid=grid)
        due = rules.next_deadline(speakers)
        assert due is None or due > now
        assert all(offer.invitation.target == "me" for offer in speakers.offers)
        assert speakers.opens_by is None or grid is MINE
        speakers, opens = rules.opens(speakers, is_granted)
        assert not opens or (is_granted and grid is MINE)
