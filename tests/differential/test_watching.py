"""The comparison takes what is told in one step or in two, and nothing else, for the same."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Final

import pytest
from reactivex.subject import BehaviorSubject, Subject

from tests.differential.playing import differences
from tests.differential.plays import LIVE_STREAM
from tests.differential.scripts import Script, Step
from tests.differential.sides import ENOUGH, imagined
from tests.differential.watching import STREAMS, Moment, Watch
from utd_rx.models.ban import UTDBanNotice
from utd_rx.models.connection import UTDConnectionState
from utd_rx.models.stage import UTDStageMember

AT_FIRST: Final = {
    "connection_state": UTDConnectionState.CONNECTED,
    "roles": {},
    "remote_participants": (),
    "chat_history": (),
    "stage": (),
    "stage_requests": (),
    "viewer_count": 0,
    "failure": None,
    "microphone_failure": None,
    "banned": None,
}
HANA, BEN = (UTDStageMember(who, who.title(), "host") for who in ("hana", "ben"))
OLD, NEW = (BEN,), (HANA, BEN)
BAN: Final = UTDBanNotice()


class Seen:
    """A watch, and what it sees of Ben."""

    def __init__(self) -> None:
        self.watch = Watch(LIVE_STREAM.kind, lambda: None)
        names = {stream for stream, _ in STREAMS[LIVE_STREAM.kind].values()}
        streams = {name: BehaviorSubject(AT_FIRST.get(name, False)) for name in names}
        self.session = SimpleNamespace(**streams, data=Subject())
        self.watch.follow("ben", None, self.session)
        self.watch.take(None)

    def step(self, verb: str, what: Callable[[], object] = lambda: None) -> Moment:
        """What came of a step of Ben's."""
        self.watch.begin("ben", verb)
        what()
        return self.watch.take(None)

    def is_told(self, stream: str, *values: object) -> Callable[[], None]:
        def tell() -> None:
            for value in values:
                getattr(self.session, stream).on_next(value)

        return tell

    def stage(self, verb: str, *stages: object) -> Moment:
        return self.step(verb, self.is_told("stage", *stages))


def stage(verb: str, *stages: object) -> Moment:
    return Seen().stage(verb, *stages)


def test_at_a_join_the_stage_is_told_in_one_step_or_in_two() -> None:
    assert stage("join", OLD, NEW) == stage("join", NEW)
    assert stage("join", NEW, ()) == stage("join")


@pytest.mark.parametrize("others", [(OLD,), (NEW, OLD), ()])
def test_where_it_leads_is_compared(others: tuple[object, ...]) -> None:
    assert stage("join", OLD, NEW) != stage("join", *others)


@pytest.mark.parametrize("verb", ["invite_to_stage", "leave", "refresh_stage"])
def test_at_any_other_step_each_value_is_compared(verb: str) -> None:
    """Also after a join."""
    one, other = Seen(), Seen()
    for seen in (one, other):
        seen.stage("join", ())
    assert one.stage(verb, OLD, NEW) != other.stage(verb, NEW)


def test_to_who_was_there_each_value_is_told() -> None:
    def told(*stages: object) -> Moment:
        seen = Seen()
        seen.watch.begin("cleo", "join")
        seen.is_told("stage", *stages)()
        return seen.watch.take(None)

    assert told(OLD, NEW) != told(NEW)


def test_a_host_who_comes_back_is_told_it_in_two_steps_and_that_is_one() -> None:
    absent = Step("anna", "leave"), Step("anna", "join")
    script = Script(LIVE_STREAM, ((Step("anna", "invite_to_stage", ("ben",)),), absent))
    told = imagined(script)[-1].told["anna", "stage"]
    assert told == ((("anna", "Anna", "host"), ("ben", "Ben", "audience")),)


def after_a_kick(*, at_the_ban: bool, at_the_door: bool, kick: bool = True) -> list[Moment]:
    """Ben is kicked, then banned, hears of that at one of these, and is refused."""
    seen = Seen()
    if kick:
        seen.watch.kicked("ben")
    told = seen.is_told("banned", BAN)
    nothing = seen.is_told("banned")
    return [
        seen.step("kick"),
        seen.step("ban", told if at_the_ban else nothing),
        seen.step("join", told if at_the_door else nothing),
        seen.step("say"),
    ]


def test_who_was_kicked_hears_of_a_ban_at_once_or_at_the_door() -> None:
    door = after_a_kick(at_the_ban=False, at_the_door=True)
    assert after_a_kick(at_the_ban=True, at_the_door=False) == door
    assert [moment.told for moment in door] == [{}, {}, {("ben", "banned"): ("banned",)}, {}]


def test_a_question_about_a_kick_that_comes_after_the_ban_is_no_difference() -> None:
    away = Step("anna", "kick", ("ben",)), Step("anna", "ban", ("ben",)), Step("ben", "join")
    script = Script(LIVE_STREAM, (away,))
    late = imagined(script, late={"ben": 0.6 * ENOUGH})
    assert list(differences(script, imagined(script), late)) == []


def test_that_they_hear_of_it_is_compared() -> None:
    heard = after_a_kick(at_the_ban=True, at_the_door=False)
    assert after_a_kick(at_the_ban=False, at_the_door=False) != heard


def test_who_was_not_kicked_hears_of_it_at_once() -> None:
    late = after_a_kick(at_the_ban=False, at_the_door=True, kick=False)
    assert after_a_kick(at_the_ban=True, at_the_door=False, kick=False) != late


def test_a_ban_that_was_lifted_before_they_came_was_none() -> None:
    seen, other = Seen(), Seen()
    for one in (seen, other):
        one.watch.kicked("ben")
    seen.step("ban", seen.is_told("banned", BAN))
    seen.step("unban")
    assert seen.step("join", seen.is_told("banned", None)) == other.step("join")
