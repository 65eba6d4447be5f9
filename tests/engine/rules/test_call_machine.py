"""All calls of an engine under whatever three users with two devices each do, on a virtual clock.

Beside the book there is a media server whose reports come late, twice and out of order, and which
removes whom the book does not want. What the book forgets is bounded by small numbers here, so
that the bounds are met.
"""

from __future__ import annotations

from typing import Final

import pytest
from attrs import frozen
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from utd_rx.engine.rules import call_book, calls
from utd_rx.engine.rules.call_book import KEPT_SECONDS, CallBook, CallLimits, Changed, Dial
from utd_rx.engine.rules.calls import AWAY_SECONDS, Call, Deed
from utd_rx.engine.rules.refusal import Refusal
from utd_rx.models.call import UTDCall, UTDCallStatus
from utd_rx.models.stream_type import UTDStreamType

PEOPLE: Final = ("ada", "bob", "cyd")
KEPT: Final = 3
KEPT_OF_CALLER: Final = 2
RANK: Final = {UTDCallStatus.INITIATING: 0, UTDCallStatus.RINGING: 1, UTDCallStatus.ACTIVE: 2}

people = st.sampled_from(PEOPLE)
devices = st.sampled_from(("1", "2"))
deeds = st.sampled_from((Deed.RINGING, Deed.ACCEPT, Deed.REJECT, Deed.BUSY, Deed.END))


@frozen
class Token:
    """What somebody may join a call's room with."""

    call: str
    identity: str
    serial: int


@frozen
class Report:
    """What the media server saw."""

    is_join: bool
    token: Token
    sid: str


class CallMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.book = CallBook(CallLimits(ring=45.0, longest=120.0))
        self.dialled = 0
        self.sids = 0
        self.tokens: list[Token] = []
        self.there: dict[tuple[str, str], tuple[str, Token]] = {}
        self.reports: list[Report] = []
        self.ends: dict[str, UTDCall] = {}
        self.before: dict[str, UTDCallStatus] = {}
        self.news: list[tuple[str, str, UTDCallStatus]] = []

    # -- commands

    @rule(caller=people, callee=people, device=devices, is_video=st.booleans())
    def dial(self, caller: str, callee: str, device: str, is_video: bool) -> None:
        self.dialled += 1
        id_ = f"call_{self.dialled}"
        type_ = UTDStreamType.VIDEO_CALL if is_video else UTDStreamType.AUDIO_CALL
        told = UTDCall(
            id_, UTDCallStatus.INITIATING, type_, caller_identity=caller, callee_identity=callee
        )
        was_on = {who: self.book.call_of(who) for who in (caller, callee)}
        try:
            changed = self.book.dial(Dial(told, caller, callee, device), self.now)
        except Refusal as refusal:
            assert refusal.status == (422 if caller == callee else 409)
            assert caller == callee or any(was_on.values())
            return
        if changed.call.id == id_:
            assert not any(was_on.values())
        else:
            assert was_on[caller] is was_on[callee]
            assert was_on[caller] is not None
        self._keep(changed, caller)

    @rule(pair=st.permutations(PEOPLE), is_ended=st.booleans())
    def talk(self, pair: list[str], is_ended: bool) -> None:
        """A call that goes as calls mostly do, so that what comes after it is met, too."""
        caller, callee = pair[:2]
        if self.book.call_of(caller) or self.book.call_of(callee):
            return
        self.dial(caller, callee, "1", is_video=False)
        id_ = f"call_{self.dialled}"
        self._keep(self.book.do(id_, Deed.ACCEPT, callee, "1", self.now), callee)
        for token in self.tokens[-2:]:
            self._connect(token)
        if is_ended:
            self._keep(self.book.do(id_, Deed.END, caller, "1", self.now), caller)

    @rule(data=st.data(), deed=deeds, who=people, device=devices)
    def act(self, data: st.DataObject, deed: Deed, who: str, device: str) -> None:
        call_id = data.draw(st.sampled_from([*self.book.live, *self.book.over, "call_0"]))
        try:
            changed = self.book.do(call_id, deed, who, device, self.now)
        except Refusal as refusal:
            assert refusal.status in (403, 404, 409)
            return
        assert changed.call.party(who) is not None
        self._keep(changed, who)

    @rule(who=people, device=devices)
    def rejoin(self, who: str, device: str) -> None:
        call = self.book.call_of(who)
        if call is None:
            return
        try:
            changed = self.book.join(call.id, who, device)
        except Refusal as refusal:
            assert refusal.status == 409
            return
        self._keep(changed, who)

    @rule(who=people)
    def ban(self, who: str) -> None:
        if (changed := self.book.lost(who, self.now)) is not None:
            self._keep(changed)
        assert self.book.call_of(who) is None

    @rule(seconds=st.sampled_from((0.0, 1.0, 20.0, 30.0, 45.0, 120.0, 1800.0)))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self._catch_up()

    # -- the media server

    @precondition(lambda self: self.tokens)
    @rule(data=st.data())
    def connect(self, data: st.DataObject) -> None:
        """With a token that was made lately, or ever; the later one of an identity stays."""
        self._connect(data.draw(st.sampled_from(self.tokens[-2:]) | st.sampled_from(self.tokens)))

    @precondition(lambda self: self.there)
    @rule(data=st.data(), is_first=st.booleans())
    def disconnect(self, data: st.DataObject, is_first: bool) -> None:
        """The report of it may overtake all others."""
        self._drop(*data.draw(st.sampled_from(sorted(self.there))))
        if is_first:
            self._heard(self.reports.pop())

    @precondition(lambda self: self.reports)
    @rule(data=st.data(), is_twice=st.booleans())
    def hear(self, data: st.DataObject, is_twice: bool) -> None:
        """Of one report; only those of joining come in their order."""
        seen: set[tuple[str, str]] = set()
        ready = []
        for number, report in enumerate(self.reports):
            where = report.token.call, report.token.identity
            if not report.is_join or where not in seen:
                ready.append(number)
            if report.is_join:
                seen.add(where)
        report = self.reports.pop(data.draw(st.sampled_from(ready)))
        self._heard(report)
        if is_twice:
            self._heard(report)

    # -- inside

    def _connect(self, token: Token) -> None:
        self._drop(token.call, token.identity)
        self.sids += 1
        sid = f"PA_{self.sids}"
        self.there[token.call, token.identity] = sid, token
        self.reports.append(Report(True, token, sid))

    def _drop(self, call_id: str, who: str) -> None:
        found = self.there.pop((call_id, who), None)
        if found is not None:
            self.reports.append(Report(False, found[1], found[0]))

    def _heard(self, report: Report) -> None:
        token = report.token
        if not report.is_join:
            self.book = self.book.left(token.call, token.identity, report.sid, self.now)
            return
        book = self.book.joined(token.call, token.identity, report.sid, token.serial)
        if book is not None:
            self.book = book
        elif self.there.get((token.call, token.identity), ("",))[0] == report.sid:
            self._drop(token.call, token.identity)

    def _keep(self, changed: Changed, who: str | None = None) -> None:
        self.book = changed.book
        if changed.serial is not None:
            assert who is not None
            assert changed.serial not in {token.serial for token in self.tokens}
            self.tokens.append(Token(changed.call.id, who, changed.serial))
        for news in changed.news:
            assert changed.call.party(news.to) is not None
            self.news.append((changed.call.id, news.to, changed.call.status))
        self._catch_up()

    def _catch_up(self) -> None:
        for call_id in tuple(self.book.live):
            if (changed := self.book.time_passed(call_id, self.now)) is not None:
                self._keep(changed)
        self.book = self.book.forget(self.now)

    # -- what always holds

    @invariant()
    def one_call_at_a_time(self) -> None:
        on = [who for call in self.book.live.values() for who in _identities(call)]
        assert len(on) == len(set(on))
        expected = {who: c.id for c in self.book.live.values() for who in _identities(c)}
        assert self.book.on == expected

    @invariant()
    def an_answered_call_has_both(self) -> None:
        for call in self.book.live.values():
            is_active = call.status is UTDCallStatus.ACTIVE
            assert is_active == (call.answered_at is not None)
            assert is_active == (call.callee.device is not None)
            assert call.told.answered_by == call.callee.device
            assert call.caller.device is not None
            assert is_active == (call.callee.serial is not None)
            for party in call.parties:
                is_expected = party is call.caller or is_active
                assert (party.lost_at is not None) == (is_expected and party.sid is None)

    @invariant()
    def what_is_over_stays_as_it_ended(self) -> None:
        assert all(call.status.is_terminal for call in self.book.over.values())
        for call in self.book.over.values():
            assert self.ends.setdefault(call.id, call.told) == call.told
            assert call.id not in self.book.live
        assert not self.ends.keys() & self.book.live.keys()

    @invariant()
    def a_call_only_goes_on(self) -> None:
        for call in (*self.book.live.values(), *self.book.over.values()):
            before = self.before.get(call.id, UTDCallStatus.INITIATING)
            assert RANK.get(call.status, 3) >= RANK.get(before, 3)
            self.before[call.id] = call.status

    @invariant()
    def everybody_is_told_the_end_once(self) -> None:
        assert len(self.news) == len(set(self.news))
        for call in self.book.over.values():
            for who in _identities(call):
                assert (call.id, who, call.status) in self.news

    @invariant()
    def nothing_is_kept_beyond_the_bounds(self) -> None:
        over = self.book.over.values()
        assert len(over) <= KEPT
        for who in PEOPLE:
            assert sum(call.caller.identity == who for call in over) <= KEPT_OF_CALLER
        for call in over:
            assert call.over_at is not None
            assert call.over_at + KEPT_SECONDS > self.now

    @invariant()
    def nothing_due_is_left(self) -> None:
        for call in self.book.live.values():
            next_ = calls.due(call)
            assert next_ is not None
            assert next_[0] > self.now

    @invariant()
    def whose_reports_are_in_is_known_to_be_there_or_not(self) -> None:
        pending = {(report.token.call, report.token.identity) for report in self.reports}
        for call in self.book.live.values():
            for party in call.parties:
                where = call.id, party.identity
                assert where in pending or party.sid == self.there.get(where, (None,))[0]

    def teardown(self) -> None:
        """Once its reports are in, the media server agrees, and without people calls end."""
        while self.reports:
            self._heard(self.reports.pop(0))
        self.whose_reports_are_in_is_known_to_be_there_or_not()
        for call_id, who in sorted(self.there):
            self._drop(call_id, who)
        while self.reports:
            self._heard(self.reports.pop(0))
        self.now += AWAY_SECONDS + 45.0
        self._catch_up()
        assert self.book.live == {}
        assert self.book.on == {}


def _identities(call: Call) -> tuple[str, str]:
    return call.caller.identity, call.callee.identity


def test_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_book, "KEPT", KEPT)
    monkeypatch.setattr(call_book, "KEPT_OF_CALLER", KEPT_OF_CALLER)
    run_state_machine_as_test(CallMachine, settings=settings(stateful_step_count=80))
