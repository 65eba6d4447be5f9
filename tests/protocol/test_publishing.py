"""The microphone follows intent and grant, one operation at a time, whatever comes late."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.sessions.histories import ITEMS, values_of
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.events import (
    LocalTrackRepublished,
    LocalTrackUnpublished,
    LocalVideoInterrupted,
    LocalVideoResumed,
    TrackMuted,
)
from utd_rx.models.participant import TrackKind, TrackPublication, TrackSource
from utd_rx.protocol import publishing as rules
from utd_rx.protocol.facts import Effect
from utd_rx.protocol.facts.media import (
    CancelTrack,
    CloseTrack,
    MuteTrack,
    OpenTrack,
    PublishingWanted,
    PublishingWithdrawn,
    TrackClosed,
    TrackFailed,
    TrackMuteChanged,
    TrackOpened,
)
from utd_rx.protocol.publishing import Publishing

FAILED = UTDStreamException("no", code=UTDErrorCode.TIMEOUT)


def track(sid: str = "TR_1", *, is_muted: bool = False) -> TrackPublication:
    return TrackPublication(
        sid, "microphone", TrackKind.AUDIO, TrackSource.MICROPHONE, is_muted=is_muted
    )


class Driver:
    """Runs the rules the way the session does."""

    def __init__(self) -> None:
        self.now = Publishing()
        self.effects: list[Effect] = []

    def fact(self, fact: object) -> None:
        self._commit(rules.step(self.now, fact, TrackSource.MICROPHONE), fact)

    def grant(self, is_granted: bool) -> None:
        self._commit(rules.granted(self.now, is_granted), None)

    def disconnect(self) -> None:
        self._commit(rules.disconnected(self.now), None)

    def lose(self) -> None:
        self._commit(rules.suspended(self.now, 70.0), None)

    def withdraw(self, stated: int) -> None:
        self.fact(PublishingWithdrawn(TrackSource.MICROPHONE, stated))

    def _commit(self, after: Publishing, fact: object) -> None:
        self.now, effects = rules.follow_up(self.now, after, fact, TrackSource.MICROPHONE)
        self.effects += effects

    def take(self) -> list[Effect]:
        effects, self.effects = self.effects, []
        return effects


def published() -> Driver:
    driver = Driver()
    driver.grant(True)
    driver.fact(PublishingWanted(TrackSource.MICROPHONE, True))
    driver.fact(TrackOpened(TrackSource.MICROPHONE, 0, track()))
    driver.take()
    return driver


def test_an_intent_without_a_grant_does_nothing() -> None:
    driver = Driver()
    driver.fact(PublishingWanted(TrackSource.MICROPHONE, True))
    assert driver.take() == []


def test_a_grant_while_intended_publishes_once() -> None:
    driver = Driver()
    driver.grant(True)
    driver.fact(PublishingWanted(TrackSource.MICROPHONE, True))
    driver.fact(PublishingWanted(TrackSource.MICROPHONE, True))
    assert driver.take() == [OpenTrack(TrackSource.MICROPHONE, 0)]
    driver.fact(TrackOpened(TrackSource.MICROPHONE, 0, track()))
    assert driver.now.is_on
    assert driver.take() == []


def test_switching_off_mutes_and_on_again_unmutes() -> None:
    driver = published()
    driver.fact(PublishingWanted(TrackSource.MICROPHONE, False))
    assert driver.take() == [MuteTrack(TrackSource.MICROPHONE, 0, "TR_1", muted=True)]
    driver.fact(TrackMuteChanged(TrackSource.MICROPHONE, 0, True))
    assert not driver.now.is_on
    driver.fact(PublishingWanted(TrackSource.MICROPHONE, True))
    assert driver.take() == [MuteTrack(TrackSource.MICROPHONE, 0, "TR_1", muted=False)]


def test_what_is_to_be_closed_is_taken_down_and_not_only_muted() -> None:
    driver = published()
    driver.fact(PublishingWanted(TrackSource.MICROPHONE, False, closes=True))
    assert driver.take() == [CloseTrack(TrackSource.MICROPHONE, 0, "TR_1")]
    driver.fact(TrackClosed(TrackSource.MICROPHONE, 0))
    driver.fact(PublishingWanted(TrackSource.MICROPHONE, True))
    assert driver.take() == [OpenTrack(TrackSource.MICROPHONE, 0)]
    driver.fact(TrackOpened(TrackSource.MICROPHONE, 0, track("TR_2")))
    driver.fact(PublishingWanted(TrackSource.MICROPHONE, False))
    assert driver.take() == [MuteTrack(TrackSource.MICROPHONE, 0, "TR_2", muted=True)]
    driver.fact(TrackMuteChanged(TrackSource.MICROPHONE, 0, True))
    driver.fact(PublishingWanted(TrackSource.MICROPHONE, False, closes=True))
    assert driver.take() == [CloseTrack(TrackSource.MICROPHONE, 0, "TR_2")]


@pytest.mark.parametrize("is_later", [False, True])
def test_who_gives_up_what_was_off_closes_it_unless_a_later_word_keeps_it(is_later: bool) -> None:
    driver = published()
    stated = driver.now.stated
    if is_later:
        driver.fact(PublishingWanted(TrackSource.MICROPHONE, True))
    driver.fact(PublishingWithdrawn(TrackSource.MICROPHONE, stated, closes=True))
    taken = [] if is_later else [CloseTrack(TrackSource.MICROPHONE, 0, "TR_1")]
    assert (driver.take(), driver.now.is_wanted) == (taken, is_later)


def test_of_quick_toggles_the_last_one_wins() -> None:
    driver = Driver()
    driver.grant(True)
    for enabled in (True, False, True, False):
        driver.fact(PublishingWanted(TrackSource.MICROPHONE, enabled))
    opening, giving_up = (
        OpenTrack(TrackSource.MICROPHONE, 0),
        CancelTrack(TrackSource.MICROPHONE, 0),
    )
    assert driver.take() == [opening, giving_up]
    driver.fact(TrackOpened(TrackSource.MICROPHONE, 0, track()))  # it was open already
    assert driver.take() == [MuteTrack(TrackSource.MICROPHONE, 0, "TR_1", muted=True)]


@pytest.mark.parametrize("is_wanted", [False, True])
def test_what_is_switched_off_while_it_opens_is_given_up_and_then_opened_if_it_is_wanted(
    is_wanted: bool,
) -> None:
    driver = Driver()
    driver.grant(True)
    for enabled in (True, False, is_wanted):
        driver.fact(PublishingWanted(TrackSource.MICROPHONE, enabled))
    opening = OpenTrack(TrackSource.MICROPHONE, 0)
    assert driver.take() == [opening, CancelTrack(TrackSource.MICROPHONE, 0)]
    driver.fact(TrackClosed(TrackSource.MICROPHONE, 0))
    assert driver.take() == [opening] * is_wanted
    assert driver.now.is_settled is not is_wanted


def test_losing_the_grant_unpublishes_at_once_and_ends_the_intent() -> None:
    driver = published()
    driver.grant(False)
    assert driver.take() == [CloseTrack(TrackSource.MICROPHONE, 1, "TR_1")]
    driver.fact(TrackClosed(TrackSource.MICROPHONE, 1))
    driver.grant(True)
    assert driver.take() == []


def test_losing_the_grant_while_publishing_cancels_and_takes_a_late_track_down() -> None:
    driver = Driver()
    driver.grant(True)
    driver.fact(PublishingWanted(TrackSource.MICROPHONE, True))
    driver.take()
    driver.grant(False)
    assert driver.take() == [CancelTrack(TrackSource.MICROPHONE, 0)]
    driver.fact(TrackOpened(TrackSource.MICROPHONE, 0, track("TR_late")))
    assert driver.take() == [CloseTrack(TrackSource.MICROPHONE, 0, "TR_late")]
    assert driver.now.track is None
    assert driver.now.late == 1


@pytest.mark.parametrize("was_on", [True, False])
@pytest.mark.parametrize(
    ("words", "given_up", "is_on"),
    [
        ([], [], None),
        ([True], [], True),
        ([True], [1], None),
        ([True, True], [1], True),
        ([True, True], [1, 2], None),
        ([False], [], False),
        ([False, True], [], True),
        ([False, True], [2], False),
        ([True, False], [1], False),
    ],
)
def test_behind_an_outage_it_is_what_was_wanted_last_by_whom_did_not_give_up(
    was_on: bool, words: list[bool], given_up: list[int], is_on: bool | None
) -> None:
    driver = published()
    if not was_on:
        driver.fact(PublishingWanted(TrackSource.MICROPHONE, False))
        driver.fact(TrackMuteChanged(TrackSource.MICROPHONE, 0, True))
    driver.lose()
    before = driver.now.stated
    for enabled in words:
        if enabled:
            rules.require_granted(driver.now)
        driver.fact(PublishingWanted(TrackSource.MICROPHONE, enabled))
        assert driver.now.is_settled is not enabled
    for number in given_up:
        driver.withdraw(before + number)
    driver.take()
    driver.lose()
    driver.grant(True)
    assert any(isinstance(effect, OpenTrack) for effect in driver.take()) is (
        was_on if is_on is None else is_on
    )


def test_what_was_not_granted_before_an_outage_is_refused_in_it() -> None:
    driver = Driver()
    driver.lose()
    with pytest.raises(UTDStreamException) as refused:
        rules.require_granted(driver.now)
    assert refused.value.code is UTDErrorCode.FORBIDDEN


def test_who_gives_up_a_word_after_an_off_is_not_heard_later() -> None:
    driver = published()
    for enabled in (False, True):
        driver.fact(PublishingWanted(TrackSource.MICROPHONE, enabled))
    driver.withdraw(driver.now.stated)
    driver.take()
    driver.fact(TrackMuteChanged(TrackSource.MICROPHONE, 0, True))
    assert not driver.now.is_on
    assert driver.take() == []


def test_a_failure_ends_the_intent_and_is_told() -> None:
    driver = Driver()
    driver.grant(True)
    driver.fact(PublishingWanted(TrackSource.MICROPHONE, True))
    driver.fact(TrackFailed(TrackSource.MICROPHONE, 0, FAILED))
    assert (driver.now.failure, driver.now.is_wanted) == (FAILED, False)
    driver.take()
    driver.fact(PublishingWanted(TrackSource.MICROPHONE, True))
    assert driver.take() == [OpenTrack(TrackSource.MICROPHONE, 0)]
    assert driver.now.failure is None


def test_a_track_that_cannot_be_taken_down_is_not_tried_for_ever() -> None:
    driver = published()
    driver.grant(False)
    driver.take()
    driver.fact(TrackFailed(TrackSource.MICROPHONE, 1, FAILED))
    assert driver.take() == []
    assert driver.now.track is None


def test_a_mute_by_the_server_becomes_the_intent() -> None:
    driver = published()
    driver.fact(TrackMuted("me", track(is_muted=True)))
    assert driver.take() == []
    assert not driver.now.is_wanted


def test_a_mute_told_before_the_publication_has_answered_holds() -> None:
    driver = Driver()
    driver.grant(True)
    driver.fact(PublishingWanted(TrackSource.MICROPHONE, True))
    for number in range(rules.MAX_EARLY - 1):
        driver.fact(TrackMuted("other", track(f"TR_other{number}", is_muted=True)))
    driver.fact(TrackMuted("me", track(is_muted=True)))
    driver.take()
    driver.fact(TrackOpened(TrackSource.MICROPHONE, 0, track()))
    assert driver.now.track == track(is_muted=True)
    assert not driver.now.is_wanted
    assert driver.now.early == ()
    assert driver.take() == []


def test_a_full_reconnect_keeps_the_publication_under_its_new_sid() -> None:
    driver = published()
    driver.fact(LocalTrackRepublished(track("TR_2"), "TR_1"))
    assert driver.now.track == track("TR_2")
    driver.fact(LocalTrackUnpublished(track("TR_1")))
    assert driver.now.is_on


class PublishingMachine(RuleBasedStateMachine):
    """A room port that answers late, fails and loses; the rules must end where they should.

    The model: it is wanted when it `was_on` and nobody said off since, or when a word of
    `waiting`, which are the numbers of those that are not so yet, was not given up.
    """

    def __init__(self) -> None:
        super().__init__()
        self.driver = Driver()
        self.is_granted = False
        self.is_lost = False
        self.was_on = False
        self.waiting: list[int] = []
        self.outstanding: list[Effect] = []
        self.live: set[str] = set()
        self.sids = 0

    @property
    def is_wanted(self) -> bool:
        return self.was_on or bool(self.waiting)

    def end_the_intent(self) -> None:
        self.was_on, self.waiting = False, []

    def absorb(self) -> None:
        for effect in self.driver.take():
            if isinstance(effect, CancelTrack):  # in the place of what it ends, if that goes on
                self.outstanding = [
                    effect if isinstance(e, OpenTrack) and e.epoch == effect.epoch else e
                    for e in self.outstanding
                ]
            else:
                self.outstanding.append(effect)
        if self.driver.now.is_on and self.driver.now.is_settled and self.is_wanted:
            self.was_on, self.waiting = True, []

    @rule(enabled=st.booleans())
    def toggle(self, enabled: bool) -> None:
        self.driver.fact(PublishingWanted(TrackSource.MICROPHONE, enabled))
        if enabled:
            self.waiting.append(self.driver.now.stated)
        else:
            self.end_the_intent()
        self.absorb()

    @precondition(lambda self: self.waiting)
    @rule()
    def give_up(self) -> None:
        """Whoever asked first waits as long as the others, so they are the first to give up."""
        self.driver.withdraw(self.waiting.pop(0))
        self.absorb()

    @precondition(lambda self: self.is_granted or self.is_lost)
    @rule()
    def lose(self) -> None:
        self.is_lost, self.is_granted = True, False
        self.live.clear()
        self.driver.lose()
        self.absorb()

    @rule(is_granted=st.booleans())
    def grant(self, is_granted: bool) -> None:
        if self.is_granted and not is_granted:
            self.end_the_intent()
        self.is_granted, self.is_lost = is_granted, self.is_lost and not is_granted
        self.driver.grant(is_granted)
        self.absorb()

    @precondition(lambda self: self.outstanding)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        effect = self.outstanding.pop(data.draw(st.integers(0, len(self.outstanding) - 1)))
        match effect:
            case OpenTrack(TrackSource.MICROPHONE, epoch=epoch):
                self.sids += 1
                self.live.add(f"TR_{self.sids}")
                self.driver.fact(
                    TrackOpened(TrackSource.MICROPHONE, epoch, track(f"TR_{self.sids}"))
                )
            case MuteTrack(TrackSource.MICROPHONE, epoch=epoch, muted=muted):
                self.driver.fact(TrackMuteChanged(TrackSource.MICROPHONE, epoch, muted))
            case CloseTrack(TrackSource.MICROPHONE, epoch=epoch, track_sid=sid):
                self.live.discard(sid)
                self.driver.fact(TrackClosed(TrackSource.MICROPHONE, epoch))
            case CancelTrack(TrackSource.MICROPHONE, epoch=epoch):
                self.driver.fact(TrackClosed(TrackSource.MICROPHONE, epoch))
        self.absorb()

    @precondition(lambda self: any(isinstance(e, OpenTrack) for e in self.outstanding))
    @rule()
    def fail_to_publish(self) -> None:
        effect = next(e for e in self.outstanding if isinstance(e, OpenTrack))
        self.outstanding.remove(effect)
        before = self.driver.now
        self.driver.fact(TrackFailed(TrackSource.MICROPHONE, effect.epoch, FAILED))
        if effect.epoch == before.epoch:
            self.end_the_intent()
        self.absorb()

    @invariant()
    def at_most_one_publication_of_ours_is_known(self) -> None:
        now = self.driver.now
        assert now.track is None or now.track.sid in self.live or now.operation is not None

    @invariant()
    def nothing_stays_published_without_a_grant_once_settled(self) -> None:
        if not self.outstanding and not self.is_granted:
            assert not self.live

    @invariant()
    def once_settled_the_microphone_is_what_is_wanted_and_granted(self) -> None:
        if not self.outstanding:
            assert self.driver.now.is_settled is not (self.is_lost and self.is_wanted)
            assert self.driver.now.is_on == (self.is_granted and self.is_wanted)


TestPublishingMachine = PublishingMachine.TestCase


@pytest.mark.parametrize("kind", ITEMS.values(), ids=lambda kind: kind.__name__)
def test_what_is_about_somebody_else_is_left_alone(kind: type) -> None:
    @settings(max_examples=20)
    @given(values_of(kind), values_of(Publishing), st.sampled_from(list(rules.SOURCES)))
    def left_alone(fact: object, publishing: Publishing, source: TrackSource) -> None:
        assert rules.concerns(fact) or rules.step(publishing, fact, source) is publishing

    left_alone()


GONE = UTDStreamException("unplugged", code=UTDErrorCode.NOT_FOUND)


def test_a_device_may_be_lost_before_its_publication_has_answered() -> None:
    driver = Driver()
    driver.grant(True)
    driver.fact(PublishingWanted(TrackSource.MICROPHONE, True))
    driver.fact(LocalVideoInterrupted("TR_1", GONE))
    assert driver.now.trouble is None
    driver.fact(TrackOpened(TrackSource.MICROPHONE, 0, track()))
    assert driver.now.trouble is GONE


def test_a_loss_goes_with_its_track_through_a_reconnect_and_to_no_other() -> None:
    driver = published()
    driver.fact(LocalVideoInterrupted("TR_other", GONE))
    assert driver.now.trouble is None
    driver.fact(LocalVideoInterrupted("TR_1", GONE))
    driver.fact(LocalTrackRepublished(track("TR_2"), "TR_1"))
    assert driver.now.trouble is GONE
    driver.fact(LocalVideoResumed("TR_1"))
    assert driver.now.trouble is GONE
    driver.fact(LocalVideoResumed("TR_2"))
    assert driver.now.trouble is None


def test_a_loss_is_no_trouble_while_it_is_off_and_a_failure_is_worse() -> None:
    driver = published()
    driver.fact(LocalVideoInterrupted("TR_1", GONE))
    driver.fact(PublishingWanted(TrackSource.MICROPHONE, False))
    driver.fact(TrackMuteChanged(TrackSource.MICROPHONE, 0, True))
    assert driver.now.trouble is None
    driver.fact(PublishingWanted(TrackSource.MICROPHONE, True))
    driver.fact(TrackMuteChanged(TrackSource.MICROPHONE, 0, False))
    assert driver.now.trouble is GONE
    driver.fact(PublishingWanted(TrackSource.MICROPHONE, False))
    driver.fact(TrackFailed(TrackSource.MICROPHONE, 0, FAILED))
    assert driver.now.trouble is FAILED
