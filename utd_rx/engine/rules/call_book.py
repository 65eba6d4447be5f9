"""All calls of one engine: who is on one, who may dial whom, and what is kept of those over
(docs/contract.md, "Calls").
"""

from __future__ import annotations

from itertools import takewhile
from math import ceil
from typing import Final

from attrs import evolve, field, frozen

from utd_rx.engine.rules import calls
from utd_rx.engine.rules.calls import AWAY_SECONDS, Call, Deed, Party, party_of
from utd_rx.engine.rules.refusal import Reason, Refusal, conflict, invalid, not_found
from utd_rx.models.call import UTDCall, UTDCallStatus
from utd_rx.models.frozen_map import FrozenMap

KEPT_SECONDS: Final = 3600.0
"""How long a call that is over can be asked for."""

KEPT: Final = 10_000
"""How many of them at most: the oldest go first."""

KEPT_OF_CALLER: Final = 200
"""How many of one caller: nobody dials all others out of memory."""

MAX_LIVE: Final = 10_000
"""How many calls there are at a time, each of which is a room at the media server."""

DIALS: Final = 60
DIALS_SECONDS: Final = 60.0
"""How many calls of one caller may have ended within so many seconds when they dial once more."""


@frozen
class CallLimits:
    """How long a call rings unanswered, and how long it may last, in seconds."""

    ring: float = 30.0
    longest: float = 3600.0


@frozen
class Dial:
    """A wish to call somebody; `call` is how the new one would be told of."""

    call: UTDCall
    caller: str
    callee: str
    device: str


@frozen
class News:
    """Who is to hear what: all devices of `to` but the one whose deed it was."""

    kind: str
    to: str
    except_device: str | None = None


@frozen
class Changed:
    """What came of it.

    Args:
        book: The book from now on.
        call: The call that it is about, as it is now.
        news: Whom to tell; empty unless it went a step on.
        serial: Of the token that the party's device is to get, where it is to join.
    """

    book: CallBook
    call: Call
    news: tuple[News, ...] = ()
    serial: int | None = None


@frozen
class CallBook:
    """Every call that is not over, and those that lately were, in the order of their ends.

    A command raises `Refusal` and leaves everything as it was; a fact never does. `now` is
    monotonic seconds.
    """

    limits: CallLimits = CallLimits()
    next_serial: int = 1
    live: FrozenMap[str, Call] = field(factory=FrozenMap)
    over: FrozenMap[str, Call] = field(factory=FrozenMap)
    on: FrozenMap[str, str] = field(factory=FrozenMap)
    """By identity, the one call that somebody is on."""

    def call_of(self, identity: str) -> Call | None:
        """Return the call that somebody is on."""
        id_ = self.on.get(identity)
        return None if id_ is None else self.live[id_]

    def find(self, call_id: str) -> Call:
        """Return a call, over or not; 404 for one that is not known, or not any more."""
        found = self.live.get(call_id) or self.over.get(call_id)
        if found is None:
            raise not_found("there is no such call")
        return found

    def ringing_for(self, identity: str) -> Call | None:
        """Return the call that somebody is to answer."""
        call = self.call_of(identity)
        is_theirs = call is not None and call.callee.identity == identity
        return call if is_theirs and call is not None and call.answered_at is None else None

    # -- commands

    def dial(self, dial: Dial, now: float) -> Changed:
        """Begin a call; or join the one in which these two are calling each other already.

        Whoever dials back the one who is dialling them accepts that call. Whoever dials once more,
        from the same device, and never came to the room has not heard the first answer, and gets
        it again.
        """
        if dial.caller == dial.callee:
            raise invalid("you cannot call yourself")
        found = self.call_of(dial.caller)
        if found is not None:
            me = party_of(found, dial.caller)
            if found.party(dial.callee) is not None:
                if me is found.callee and found.answered_at is None:
                    return self.do(found.id, Deed.ACCEPT, dial.caller, dial.device, now)
                # Who dialled back may have wished for the other type, and got this one.
                is_meant = me is found.callee or found.told.type is dial.call.type
                if is_meant and me.device == dial.device and not me.has_come:
                    return self._admitted(found, dial.caller, dial.device)
            raise conflict("You are already on a call", cause="caller_busy")
        if dial.callee in self.on:
            raise conflict("Callee is already on a call", cause="callee_busy")
        if len(self.live) >= MAX_LIVE:
            raise Refusal(Reason.RATE_LIMITED, "too many calls at a time", retry_after=30)
        self._refuse_flood(dial.caller, now)
        call = Call(
            dial.call,
            caller=Party(dial.caller, lost_at=now + AWAY_SECONDS),
            callee=Party(dial.callee),
            rings_until=now + self.limits.ring,
            heard_at=now,
        )
        on = self.on.set(dial.caller, call.id).set(dial.callee, call.id)
        admitted = evolve(self, on=on)._admitted(call, dial.caller, dial.device)
        return evolve(admitted, news=_news(call, None, None))

    def do(self, call_id: str, deed: Deed, identity: str, device: str, now: float) -> Changed:
        """Carry out what a party asks for; to accept is to join."""
        before = self.find(call_id)
        after = calls.do(before, deed, identity, device, now, longest=self.limits.longest)
        changed = self._became(before, after, now, identity, device)
        if deed is not Deed.ACCEPT:
            return changed
        return evolve(changed.book._admitted(after, identity, device), news=changed.news)

    def join(self, call_id: str, identity: str, device: str) -> Changed:
        """Let a party's device, which is in the call, come back to its room."""
        call = self.find(call_id)
        party = party_of(call, identity)
        if call.over_at is not None:
            raise conflict(f"the call is over: {call.status.value}")
        if party.device != device:
            raise conflict("this device is not in the call")
        return self._admitted(call, identity, device)

    # -- facts

    def joined(self, call_id: str, identity: str, sid: str, serial: int | None) -> CallBook | None:
        """Take in who connected to a call's room; None for whoever must be removed."""
        call = self.live.get(call_id)
        after = None if call is None else calls.joined(call, identity, sid, serial)
        return None if after is None else evolve(self, live=self.live.set(call_id, after))

    def left(self, call_id: str, identity: str, sid: str | None, now: float) -> CallBook:
        """Take in who is away from a call's room."""
        call = self.live.get(call_id)
        if call is None:
            return self
        after = calls.left(call, identity, sid, now)
        return evolve(self, live=self.live.set(call_id, after))

    def lost(self, identity: str, now: float) -> Changed | None:
        """End the call of somebody who must not be on one; None when there is none."""
        call = self.call_of(identity)
        if call is None:
            return None
        return self._became(call, calls.happen(call, Deed.PEER_LOST, now), now)

    def time_passed(self, call_id: str, now: float) -> Changed | None:
        """Do what is due; None when nothing is."""
        call = self.live.get(call_id)
        due = None if call is None else calls.due(call)
        if call is None or due is None or due[0] > now:
            return None
        when, deed = due
        after = evolve(calls.happen(call, deed, when), over_at=now)
        return self._became(call, after, now)

    def forget(self, now: float) -> CallBook:
        """Let go of what is not kept any longer."""
        old = []
        for call in self.over.values():
            if call.over_at is not None and call.over_at + KEPT_SECONDS > now:
                break
            old.append(call.id)
        return self._without(old)

    def quiet(self, now: float) -> tuple[str, ...]:
        """Return the calls whose rooms are to be looked at: a media server may have died."""
        return tuple(call.id for call in self.live.values() if call.is_quiet(now))

    def heard(self, call_id: str, now: float) -> CallBook:
        """Take in that a call's room was reported of, or looked at."""
        call = self.live.get(call_id)
        live = self.live if call is None else self.live.set(call_id, evolve(call, heard_at=now))
        return evolve(self, live=live)

    # -- inside

    def _refuse_flood(self, caller: str, now: float) -> None:
        """Refuse who dials and hangs up over and over: each call rings somebody, and is a room."""
        lately = takewhile(
            lambda call: call.over_at is not None and call.over_at + DIALS_SECONDS > now,
            reversed(self.over.listed()),
        )
        ends = [call.over_at or now for call in lately if call.caller.identity == caller]
        if len(ends) >= DIALS:
            free_at = ends[DIALS - 1] + DIALS_SECONDS
            wait = max(1, ceil(free_at - now))
            raise Refusal(Reason.RATE_LIMITED, "too many calls in a minute", retry_after=wait)

    def _admitted(self, call: Call, identity: str, device: str) -> Changed:
        serial = self.next_serial
        call = calls.admit(call, identity, device, serial)
        book = evolve(self, live=self.live.set(call.id, call), next_serial=serial + 1)
        return Changed(book, call, serial=serial)

    def _became(
        self,
        before: Call,
        after: Call,
        now: float,
        identity: str | None = None,
        device: str | None = None,
    ) -> Changed:
        if after is before:
            return Changed(self, after)
        news = _news(after, identity, device)
        if after.over_at is None:
            return Changed(evolve(self, live=self.live.set(after.id, after)), after, news)
        on = self.on.remove(after.caller.identity).remove(after.callee.identity)
        over = self.over.set(after.id, after)
        book = evolve(self, live=self.live.remove(after.id), on=on, over=over).forget(now)
        return Changed(book._bounded(after.caller.identity), after, news)

    def _bounded(self, caller: str) -> CallBook:
        theirs = [id_ for id_, call in self.over.items() if call.caller.identity == caller]
        book = self._without(theirs[: max(0, len(theirs) - KEPT_OF_CALLER)])
        return book._without(list(book.over)[: max(0, len(book.over) - KEPT)])

    def _without(self, ids: list[str]) -> CallBook:
        over = self.over
        for id_ in ids:
            over = over.remove(id_)
        return self if over is self.over else evolve(self, over=over)


_BOTH: Final = ("caller", "callee")

_NEWS: Final[dict[UTDCallStatus, tuple[str, tuple[str, ...]]]] = {
    UTDCallStatus.INITIATING: ("incoming", ("callee",)),
    UTDCallStatus.RINGING: ("ringing", ("caller",)),
    UTDCallStatus.ACTIVE: ("accepted", _BOTH),
    UTDCallStatus.REJECTED: ("rejected", _BOTH),
    UTDCallStatus.BUSY: ("busy", _BOTH),
    UTDCallStatus.ENDED: ("ended", _BOTH),
    UTDCallStatus.MISSED: ("missed", _BOTH),
}
"""What is told of each status, and to whom: the callee's other devices ring no longer, too."""


def _news(call: Call, identity: str | None, device: str | None) -> tuple[News, ...]:
    kind, names = _NEWS[call.status]
    told = [call.caller.identity if name == "caller" else call.callee.identity for name in names]
    return tuple(News(kind, who, device if who == identity else None) for who in told)
