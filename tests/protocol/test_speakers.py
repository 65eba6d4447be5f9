"""Offers end when nobody could accept them; only what was asked for opens the microphone."""

from __future__ import annotations

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from utd_rx.models.events import (
    ParticipantConnected,
    ParticipantDisconnected,
    Reconnected,
    RoomSnapshot,
)
from utd_rx.models.participant import LocalParticipant, RemoteParticipant, TrackSource
from utd_rx.models.seats import Invitation, SpeakRequest, UTDSeat, UTDSeatGrid
from utd_rx.protocol import speakers as rules
from utd_rx.protocol.facts.connection import DeadlinePassed, JoinSucceeded
from utd_rx.protocol.facts.media import PublishingWanted
from utd_rx.protocol.facts.seats import (
    FetchInvitations,
    InvitationAnswered,
    InvitationHinted,
    InvitationsListed,
    InvitationsNotListed,
    SpeakingForgone,
    SpeakRequested,
)
from utd_rx.protocol.speakers import (
    GRANT_TIMEOUT,
    INVITATION_SECONDS,
    LOOK_AGAIN_SECONDS,
    MAX_ANSWERED,
    MAX_OFFERS,
    Speakers,
)
from utd_rx.protocol.wire.speakers import ListedInvitation

FREE = UTDSeatGrid((UTDSeat(0),))
MINE = UTDSeatGrid((UTDSeat(0, "me"),))
REJOINED = Reconnected(RoomSnapshot("r", LocalParticipant("me")))
PENDING = UTDSeatGrid((UTDSeat(0),), requests=(SpeakRequest(7, "me"),))


def offer(number: int, target: str = "me", inviter: str = "sara") -> InvitationHinted:
    return InvitationHinted(Invitation(number, inviter, target))


def after(*told: tuple[object, UTDSeatGrid], pace: float = 1.0) -> Speakers:
    speakers = Speakers()
    for i, (fact, grid) in enumerate(told):
        speakers = rules.step(speakers, fact, i * pace, identity="me", grid=grid, epoch=1)
    return speakers


def test_a_flood_of_offers_is_bounded_and_the_first_ones_stay() -> None:
    shown = after(*((offer(n), FREE) for n in range(99)), pace=0.0).invitations
    assert [invitation.id for invitation in shown] == list(range(MAX_OFFERS))


def test_of_answered_offers_the_last_are_remembered() -> None:
    told = after(*((InvitationAnswered(n), FREE) for n in range(99)), pace=0.0)
    assert told.answered == tuple(range(99 - MAX_ANSWERED, 99))


def test_offers_end_with_their_inviter_with_the_seat_and_with_the_answer() -> None:
    offered = (offer(4), FREE)
    ends = (ParticipantDisconnected("sara"), FREE), (object(), MINE), (InvitationAnswered(4), FREE)
    for end in ends:
        assert after(offered, end).offers == ()
    for other in (ParticipantDisconnected("omar"), FREE), (InvitationAnswered(5), FREE):
        assert len(after(offered, other).offers) == 1


def listed(*numbers: int, target: str = "me", expires_in: float | None = 40.0) -> InvitationsListed:
    return InvitationsListed(
        1,
        tuple(ListedInvitation(Invitation(n, "sara", target), expires_in) for n in numbers),
    )


def asked(speakers: Speakers, now: float = 0.0) -> Speakers:
    """Return the state whose question is under way."""
    speakers, questions = rules.follow_up(speakers, now, 1)
    assert questions == (FetchInvitations(1),)
    return speakers


def told(speakers: Speakers, fact: object, now: float = 0.0) -> Speakers:
    return rules.step(speakers, fact, now, identity="me", grid=FREE, epoch=1)


def test_the_engine_is_asked_at_the_join_and_once_more_when_pushes_surely_arrive() -> None:
    joined = JoinSucceeded(1, RoomSnapshot("r", LocalParticipant("me")))
    for fact in (joined, Reconnected(joined.snapshot)):
        speakers = asked(told(Speakers(), fact))
        assert rules.follow_up(speakers, 0.0, 1)[1] == (), "one question at a time"
        speakers = told(speakers, listed(4))
        assert [one.id for one in speakers.invitations] == [4]
        assert rules.next_deadline(speakers) == LOOK_AGAIN_SECONDS
        speakers = asked(told(speakers, DeadlinePassed(), LOOK_AGAIN_SECONDS), LOOK_AGAIN_SECONDS)
        # What was offered before the data channel was open.
        assert [one.id for one in told(speakers, listed(4, 5)).invitations] == [4, 5]


def test_where_the_engine_lists_a_hint_asks_and_shows_nothing() -> None:
    speakers = told(asked(told(Speakers(), REJOINED)), listed())
    speakers = told(speakers, offer(9))
    assert speakers.offers == ()
    forged = told(asked(speakers), listed())
    assert (forged.offers, forged.disproved) == ((), 1)
    true = told(asked(speakers), listed(9))
    assert ([one.id for one in true.invitations], true.disproved) == ([9], 0)
    assert rules.follow_up(told(true, offer(9)), 0.0, 1)[1] == (), "it is known"


def test_a_hint_while_the_question_is_under_way_asks_again() -> None:
    speakers = told(asked(told(Speakers(), REJOINED)), offer(9))
    speakers = asked(told(speakers, listed()))
    assert [one.id for one in told(speakers, listed(9)).invitations] == [9]


def test_without_a_list_hints_are_shown_and_nothing_is_asked_again() -> None:
    absent = InvitationsNotListed(1, is_absent=True)
    speakers = told(asked(told(Speakers(), REJOINED)), absent)
    assert rules.next_deadline(speakers) is None
    speakers = told(speakers, offer(9))
    assert [one.id for one in speakers.invitations] == [9]
    assert rules.follow_up(speakers, 0.0, 1)[1] == ()


def test_an_engine_that_did_not_answer_is_asked_again_while_that_may_help() -> None:
    failed = InvitationsNotListed(1, is_absent=False)
    known = told(asked(told(Speakers(), REJOINED)), listed(4))
    later = told(asked(told(known, offer(9))), failed, 2.0)
    assert later.look_at == 2.0 + LOOK_AGAIN_SECONDS
    assert [one.id for one in later.invitations] == [4]
    never = told(asked(told(Speakers(), REJOINED)), failed)
    never = told(asked(told(never, DeadlinePassed(), LOOK_AGAIN_SECONDS)), failed)
    assert rules.next_deadline(never) is None


def test_a_list_counts_from_its_question_and_ends_what_it_lacks() -> None:
    speakers = told(asked(told(Speakers(), REJOINED), 5.0), listed(4, expires_in=40.0), 9.0)
    assert [one.expires_at for one in speakers.offers] == [45.0]
    assert told(speakers, DeadlinePassed(), 45.0).offers == ()
    unsaid = told(asked(told(Speakers(), REJOINED), 5.0), listed(4, expires_in=None), 9.0)
    assert [one.expires_at for one in unsaid.offers] == [5.0 + INVITATION_SECONDS]
    again = asked(told(speakers, REJOINED, 10.0), 10.0)
    assert told(again, listed(), 10.0).offers == ()


def test_an_answered_offer_does_not_come_back_with_an_older_list() -> None:
    speakers = told(asked(told(Speakers(), REJOINED)), InvitationAnswered(4))
    assert [one.id for one in told(speakers, listed(4, 5)).invitations] == [5]
    assert told(speakers, offer(4)).offers == ()


def test_a_late_answer_or_one_about_another_is_nothing() -> None:
    speakers = asked(told(Speakers(), REJOINED))
    assert told(speakers, evolve(listed(4), epoch=0)) == speakers
    assert told(speakers, InvitationsNotListed(0, is_absent=True)) == speakers
    assert told(speakers, listed(4, target="omar")).offers == ()


def test_an_inviter_who_comes_back_in_time_has_the_engine_asked() -> None:
    speakers = told(asked(told(Speakers(), REJOINED)), listed(4))
    speakers = told(speakers, ParticipantDisconnected("sara"))
    assert speakers.offers == ()
    other = told(speakers, ParticipantConnected(RemoteParticipant("omar")))
    assert rules.follow_up(other, 0.0, 1)[1] == ()
    back = asked(told(speakers, ParticipantConnected(RemoteParticipant("sara"))))
    assert [one.id for one in told(back, listed(4)).invitations] == [4]


def test_an_offer_of_an_inviter_who_is_away_is_not_listed_until_they_are_back() -> None:
    was_asked = asked(told(Speakers(), REJOINED))
    for speakers in (told(was_asked, listed(4)), was_asked):
        away = told(speakers, ParticipantDisconnected("sara"))
        assert away.offers == ()
        # The engine keeps it for as long as sara may come back.
        away = told(away, listed(4))
        assert away.offers == ()
        elsewhere = told(away, REJOINED)
        assert told(asked(elsewhere), listed(4)).offers == ()
        snapshot = RoomSnapshot("r", LocalParticipant("me"), remotes=(RemoteParticipant("sara"),))
        for back in (ParticipantConnected(RemoteParticipant("sara")), Reconnected(snapshot)):
            assert len(told(asked(told(away, back)), listed(4)).offers) == 1


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
    assert after(*seated, (PublishingWanted(TrackSource.MICROPHONE, False), MINE)).opens_by is None
    assert after(*seated, (DeadlinePassed(), MINE), pace=20.0).opens_by is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    *(offer(n, who) for n in range(3) for who in ("me", "omar")),
                    InvitationAnswered(1),
                    SpeakRequested(7),
                    SpeakingForgone(),
                    SpeakingForgone(7),
                    PublishingWanted(TrackSource.MICROPHONE, False),
                    DeadlinePassed(),
                    ParticipantDisconnected("sara"),
                    ParticipantConnected(RemoteParticipant("sara")),
                    REJOINED,
                    listed(1, 2),
                    listed(0, target="omar"),
                    InvitationsNotListed(1, is_absent=False),
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
        speakers = rules.step(speakers, fact, now, identity="me", grid=grid, epoch=1)
        due = rules.next_deadline(speakers)
        assert due is None or due > now
        assert all(offer.invitation.target == "me" for offer in speakers.offers)
        assert speakers.opens_by is None or grid is MINE
        speakers, questions = rules.follow_up(speakers, now, 1)
        assert not questions or speakers.is_asked
        assert not speakers.is_stale or speakers.is_asked
        speakers, opens = rules.opens(speakers, is_granted)
        assert not opens or (is_granted and grid is MINE)
