"""Who is on the stage and whose hand is up, as the engine says it and nobody else."""

from __future__ import annotations

import pytest
from attrs import evolve

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.events import ParticipantDisconnected
from utd_rx.models.stage import Stage, StageRequest, UTDStageMember
from utd_rx.protocol import stage as rules
from utd_rx.protocol.facts.stage import (
    FetchStage,
    HandChanged,
    HandHinted,
    LiveEndHinted,
    StageFetched,
    StageHinted,
    StageNotFetched,
    StageReceived,
)
from utd_rx.protocol.stage import LOOK_AGAIN_SECONDS, StageCopy

ANA, BEN = StageRequest("ana"), StageRequest("ben")
FAILED = UTDStreamException("no", code=UTDErrorCode.NETWORK)


def on(*identities: str, rev: int | None = None, live: bool | None = None) -> Stage:
    return Stage(tuple(UTDStageMember(who) for who in identities), rev, live)


def after(*facts: object, copy: StageCopy = StageCopy(), now: float = 0.0) -> StageCopy:  # noqa: B008 - frozen
    for fact in facts:
        copy = rules.step(copy, fact, now, identity="me", epoch=1)
    return copy


def asked(copy: StageCopy) -> tuple[StageCopy, FetchStage | None]:
    copy, effects = rules.follow_up(copy)
    [question] = effects or [None]
    assert question is None or isinstance(question, FetchStage)
    return copy, question


def answer(copy: StageCopy, stage: Stage, *hands: StageRequest, tells: bool = True) -> StageFetched:
    return StageFetched(stage, hands if tells else None, copy.generation, copy.answers)


def moderator(*facts: object) -> StageCopy:
    """Somebody who sees the hands and has been told once."""
    copy, _ = asked(rules.moderating(after(StageReceived(on("sara", rev=1))), True, 0.0))
    return after(answer(copy, on("sara", rev=1)), *facts, copy=copy)


def test_metadata_is_news_and_a_push_only_asks() -> None:
    copy = after(StageReceived(on("sara", rev=1)))
    assert (copy.stage, copy.is_known, copy.generation) == (on("sara", rev=1), True, 1)
    hinted, question = asked(after(StageHinted(on("sara", "ana", rev=2)), copy=copy))
    assert hinted.stage is copy.stage
    assert question == FetchStage(1, 0)
    assert asked(after(StageHinted(copy.stage), copy=copy))[1] is None


def test_an_older_revision_never_replaces_a_newer_one() -> None:
    copy = after(StageReceived(on("b", rev=2)), StageReceived(on("a", rev=1)))
    assert (copy.stage, copy.late) == (on("b", rev=2), 1)
    copy = after(answer(copy, on("a", rev=1)), StageHinted(on("a", rev=1)), copy=copy)
    assert (copy.stage, copy.late, copy.is_stale) == (on("b", rev=2), 2, False)


def test_an_answer_counts_only_in_the_generation_it_was_asked_in() -> None:
    copy = after(StageReceived(on("b")))
    copy = after(StageFetched(on("a"), (), generation=0, answers=0), copy=copy)
    assert (copy.stage, copy.late) == (on("b"), 1)


def test_of_two_answers_that_overlap_the_first_counts_and_a_different_one_asks_again() -> None:
    copy = after(StageReceived(on()))
    first, second = answer(copy, on("ana")), answer(copy, on())
    copy = after(first, second, copy=copy)
    assert (copy.stage, copy.is_stale) == (on("ana"), True)
    copy = moderator()
    first, second = answer(copy, copy.stage, ANA), answer(copy, copy.stage, BEN)
    copy = after(first, second, copy=copy)
    assert (copy.requests, copy.is_stale) == ((ANA,), True)


def test_who_moderates_is_asked_about_hands_and_others_are_not() -> None:
    hint = HandHinted("ana", is_up=True)
    copy, question = asked(after(hint, copy=moderator()))
    assert question is not None
    copy = after(answer(copy, copy.stage, ANA), copy=copy)
    assert (copy.requests, copy.disproved) == ((ANA,), 0)
    assert asked(after(hint, copy=copy))[1] is None, "known already"
    viewer = after(StageReceived(on("sara")))
    assert asked(after(hint, copy=viewer))[1] is None
    told = after(answer(viewer, on("sara"), ANA), copy=viewer)
    assert told.requests == (), "another's hand is not for a viewer to see"


def test_a_forger_costs_one_question_at_a_time_and_is_counted() -> None:
    forged = [HandHinted(f"nobody{n}", is_up=True) for n in range(9)]
    copy, question = asked(after(*forged, copy=moderator()))
    assert question is not None
    copy, more = asked(after(*forged, copy=copy))
    assert more is None
    copy, again = asked(after(answer(copy, copy.stage), copy=copy))
    assert again is not None, "hints that came meanwhile ask once more"
    copy = after(answer(copy, copy.stage), copy=copy)
    assert (copy.requests, copy.disproved, asked(copy)[1]) == ((), 2, None)


def test_a_hand_goes_down_by_coming_on_the_stage_and_with_the_broadcast() -> None:
    copy = after(HandChanged(True, 1), copy=moderator(StageReceived(on("sara", rev=2, live=True))))
    copy, _ = asked(copy)
    copy = after(answer(copy, copy.stage, ANA, BEN, StageRequest("me")), copy=copy)
    assert (len(copy.requests), copy.is_hand_up) == (3, True)
    copy = after(StageReceived(on("sara", "ana", rev=3, live=True)), copy=copy)
    assert ([one.identity for one in copy.requests], copy.is_hand_up) == (["ben", "me"], True)
    promoted = after(StageReceived(on("sara", "me", rev=4, live=True)), copy=copy)
    assert (promoted.requests, promoted.is_hand_up) == ((BEN,), False)
    over = after(StageReceived(on("sara", rev=4, live=False)), copy=copy)
    assert (over.requests, over.is_hand_up) == ((), False)


def test_an_answer_from_before_an_own_hand_does_not_take_it_down() -> None:
    copy, _ = asked(rules.stale(after(StageReceived(on("sara", rev=1)))))
    old = answer(copy, copy.stage)
    copy = after(HandChanged(True, 1), old, copy=copy)
    assert copy.is_hand_up
    copy, question = asked(copy)
    assert question is not None
    assert not after(answer(copy, copy.stage), copy=copy).is_hand_up


def test_a_hand_of_the_join_before_is_asked_about() -> None:
    """The engine keeps it over an absence; the answer to it may even come in the next join."""
    late = after(StageReceived(on("sara")), HandChanged(True, 0))
    assert not late.is_hand_up
    back = rules.forgotten(after(StageReceived(on("sara")), HandChanged(True, 1)))
    back = rules.joined(after(StageReceived(on("sara")), copy=back), 0.0, is_resynced=False)
    for copy in (late, back):
        copy, question = asked(copy)
        assert question is not None
        assert after(answer(copy, on("sara"), StageRequest("me")), copy=copy).is_hand_up


@pytest.mark.parametrize("stage", [on("sara", "me", live=True), on("sara", live=False)])
def test_a_stage_that_takes_a_hand_down_may_be_older_than_the_hand(stage: Stage) -> None:
    copy = after(StageReceived(on("sara", live=True)), HandChanged(True, 1), StageReceived(stage))
    assert not copy.is_hand_up
    copy = after(StageReceived(on("sara", live=True)), copy=copy)
    copy, question = asked(copy)
    assert question is not None
    assert after(answer(copy, copy.stage, StageRequest("me")), copy=copy).is_hand_up


def test_a_hand_that_goes_up_on_a_stage_of_before_is_asked_about() -> None:
    copy = after(StageReceived(on("sara", "me")), HandChanged(True, 1))
    assert (copy.is_hand_up, asked(copy)[1] is not None) == (False, True)


def test_an_own_hand_is_down_when_the_engine_says_so_or_says_nothing_of_hands() -> None:
    up = after(StageReceived(on("sara")), HandChanged(True, 1))
    forged, question = asked(after(HandHinted("me", is_up=False), copy=up))
    assert question is not None
    assert forged.is_hand_up, "a message alone takes no hand down"
    kept = after(answer(forged, on("sara"), StageRequest("me")), copy=forged)
    assert (kept.is_hand_up, kept.disproved) == (True, 1)
    assert not after(answer(forged, on("sara")), copy=forged).is_hand_up
    assert not after(answer(forged, on("sara"), tells=False), copy=forged).is_hand_up
    silent = after(answer(up, on("sara"), tells=False), copy=up)
    assert silent.is_hand_up, "nothing said that it is down"


@pytest.mark.parametrize(("rev", "asks"), [(2, False), (3, True), (None, False)])
def test_who_knows_of_hands_asks_when_revisions_were_skipped(rev: int | None, asks: bool) -> None:
    """As by an engine that was started anew, which knows of none."""
    up = after(StageReceived(on("sara", rev=1)), HandChanged(True, 1))
    for copy in (up, moderator()):
        told = after(StageReceived(on("sara", "ana", rev=rev)), copy=copy)
        assert (asked(told)[1] is not None) is asks
    viewer = after(StageReceived(on("sara", rev=1)), StageReceived(on("sara", "ana", rev=9)))
    assert asked(viewer)[1] is None


def test_whose_hand_is_up_and_leaves_makes_the_moderator_ask() -> None:
    copy = moderator()
    copy = after(answer(copy, copy.stage, ANA), copy=copy)
    assert asked(after(ParticipantDisconnected("ana"), copy=copy))[1] is not None
    assert asked(after(ParticipantDisconnected("ben"), copy=copy))[1] is None


def test_who_comes_to_moderate_asks_and_once_more_a_little_later() -> None:
    copy = rules.moderating(after(StageReceived(on("sara", rev=1))), True, 10.0)
    copy, question = asked(copy)
    assert question is not None
    assert rules.next_deadline(copy) == 10.0 + LOOK_AGAIN_SECONDS
    copy = after(answer(copy, copy.stage, ANA), copy=copy)
    copy, again = asked(after(None, copy=copy, now=10.0 + LOOK_AGAIN_SECONDS))
    assert again is not None
    assert rules.next_deadline(copy) is None
    gone = rules.moderating(after(answer(copy, copy.stage, ANA), copy=copy), False, 20.0)
    assert (gone.requests, gone.moderates) == ((), False)


def test_a_join_asks_what_metadata_does_not_say() -> None:
    known, unknown = after(StageReceived(on("sara"))), StageCopy()
    for copy, is_resynced, asks in (
        (known, False, False),
        (known, True, True),
        (unknown, False, True),
        (evolve(known, is_hand_up=True), False, True),
        (moderator(), False, True),
    ):
        joined = rules.joined(copy, 0.0, is_resynced=is_resynced)
        assert (asked(joined)[1] is not None) is asks


@pytest.mark.parametrize(("live", "asks"), [(True, True), (None, True), (False, False)])
def test_a_message_that_the_broadcast_is_over_asks_unless_it_is_known(
    live: bool | None, asks: bool
) -> None:
    copy = after(StageReceived(on("sara", rev=1, live=live)))
    copy, question = asked(after(LiveEndHinted(), copy=copy))
    assert (question is not None) is asks
    assert copy.stage.is_live is live


def test_a_failed_question_is_told_and_not_repeated_at_once() -> None:
    copy, _ = asked(rules.stale(StageCopy()))
    copy = after(StageNotFetched(FAILED), copy=copy)
    assert (copy.failure, asked(copy)[1]) == (FAILED, None)


def test_what_is_forgotten_begins_a_generation_once() -> None:
    copy = moderator(HandChanged(True, 1))
    blank = rules.forgotten(copy)
    assert (blank.is_known, blank.is_hand_up, blank.moderates, blank.requests) == (
        False, False, False, (),
    )  # fmt: skip
    assert blank.generation == copy.generation + 1
    assert rules.forgotten(blank).generation == blank.generation
