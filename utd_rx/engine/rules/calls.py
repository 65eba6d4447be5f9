"""One call: its lifecycle as a literal table, who of the two is there, and what is due when
(docs/contract.md, "Calls").

Theory of operation: a call goes `initiating < ringing < active <` over and never back. What a
party asks for is *done* (`do`) and may be refused; what time brings is found by `due`, and a
command meets the call as it is after that, so that of an answer and a time-out at the same moment
the time-out is first. Presence moves nothing by itself: it only sets when a party counts as lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from attrs import evolve, frozen

from utd_rx.engine.rules.refusal import Refusal, conflict, forbidden
from utd_rx.engine.rules.room_state import MAX_ENDED
from utd_rx.models.call import UTDCall, UTDCallEndReason, UTDCallStatus

AWAY_SECONDS: Final = 30.0
"""How long a party may be away from the call's room (docs/contract.md, "Calls")."""


QUIET_SECONDS: Final = 60.0
"""How long nothing is reported of a call's room before it is looked at."""


class Deed(Enum):
    """What is done to a call: five by its parties, three by time."""

    RINGING = "ringing"
    ACCEPT = "accept"
    REJECT = "reject"
    BUSY = "busy"
    END = "end"
    RING_TIMEOUT = "ring time-out"
    MAX_DURATION = "max. duration"
    PEER_LOST = "peer lost"


class Outcome(Enum):
    """What a deed does that is no step to another status."""

    SAME = "it is so already: 200, unchanged"
    SAME_DEVICE = "200 for the device that answered, 409 for another"
    NO = "409"
    NOTHING = "a fact, too late or too early to matter"


_I, _R, _A = UTDCallStatus.INITIATING, UTDCallStatus.RINGING, UTDCallStatus.ACTIVE
_ENDED, _REJECTED = UTDCallStatus.ENDED, UTDCallStatus.REJECTED
_BUSY, _MISSED = UTDCallStatus.BUSY, UTDCallStatus.MISSED
_SAME, _DEVICE, _NO, _ = Outcome.SAME, Outcome.SAME_DEVICE, Outcome.NO, Outcome.NOTHING

Row = tuple[UTDCallStatus | Outcome, ...]

_OVER: Final[Row] = (_NO, _NO, _NO, _NO, _SAME, _, _, _)

# fmt: off
TABLE: Final[Mapping[UTDCallStatus, Row]] = {
    #   ringing accept   reject     busy   end     time-out max. dur. peer lost
    _I: (_R,    _A,      _REJECTED, _BUSY, _ENDED, _MISSED, _,        _ENDED),
    _R: (_SAME, _A,      _REJECTED, _BUSY, _ENDED, _MISSED, _,        _ENDED),
    _A: (_NO,   _DEVICE, _NO,       _NO,   _ENDED, _,       _ENDED,   _ENDED),
    _ENDED: _OVER, _REJECTED: _OVER, _BUSY: _OVER, _MISSED: _OVER,
}
"""By status, in the order of `Deed`."""
# fmt: on

_COLUMNS: Final = {deed: number for number, deed in enumerate(Deed)}

_CALLEES: Final = frozenset((Deed.RINGING, Deed.ACCEPT, Deed.REJECT, Deed.BUSY))
"""What only the callee may do."""

_REASONS: Final[Mapping[Deed, UTDCallEndReason]] = {
    Deed.REJECT: UTDCallEndReason.REJECTED,
    Deed.BUSY: UTDCallEndReason.BUSY,
    Deed.RING_TIMEOUT: UTDCallEndReason.RING_TIMEOUT,
    Deed.MAX_DURATION: UTDCallEndReason.MAX_DURATION,
    Deed.PEER_LOST: UTDCallEndReason.PEER_LOST,
}


@frozen
class Party:
    """One of the two.

    Args:
        identity: Who.
        device: The one that takes part; None while none does.
        serial: Of the first token for the room that was made for it; None: none was.
        sid: Their connection to the room.
        has_come: Whether they were ever seen in the room.
        lost_at: When they count as lost, unless they come before.
    """

    identity: str
    device: str | None = None
    serial: int | None = None
    sid: str | None = None
    has_come: bool = False
    lost_at: float | None = None


@frozen
class Call:
    """A call as the engine keeps it.

    Args:
        told: As everybody hears of it; without credentials.
        caller: Who dialled.
        callee: Whom.
        rings_until: When it counts as missed, unless it is answered before.
        answered_at: When the callee accepted.
        lasts_until: The longest that it may go on; None before the answer.
        over_at: When it ended.
        ended: The last connections to its room that ended: a late report of one brings nobody back.
        heard_at: When its room was last reported of, or looked at.
    """

    told: UTDCall
    caller: Party
    callee: Party
    rings_until: float
    answered_at: float | None = None
    lasts_until: float | None = None
    over_at: float | None = None
    ended: tuple[str, ...] = ()
    heard_at: float = 0.0

    @property
    def id(self) -> str:
        return self.told.call_id

    @property
    def status(self) -> UTDCallStatus:
        return self.told.status

    @property
    def parties(self) -> tuple[Party, Party]:
        return self.caller, self.callee

    @property
    def present(self) -> int:
        """How many of the two are in its room, as far as was reported."""
        return sum(party.sid is not None for party in self.parties)

    def is_quiet(self, now: float) -> bool:
        """Whether somebody is there of whom nothing was reported for long."""
        return self.present > 0 and now >= self.heard_at + QUIET_SECONDS

    def party(self, identity: str) -> Party | None:
        """Return what is known of a party, None of a stranger."""
        return next((one for one in self.parties if one.identity == identity), None)

    def with_party(self, party: Party) -> Call:
        """Return the call in which that one of the two is `party`."""
        if party.identity == self.caller.identity:
            return evolve(self, caller=party)
        return evolve(self, callee=party)


def outcome_of(status: UTDCallStatus, deed: Deed) -> UTDCallStatus | Outcome:
    """Look up the table."""
    return TABLE[status][_COLUMNS[deed]]


def party_of(call: Call, identity: str) -> Party:
    """Return who of the two somebody is; 403 for anybody else."""
    party = call.party(identity)
    if party is None:
        raise forbidden("this is a call between others")
    return party


def do(call: Call, deed: Deed, identity: str, device: str, now: float, *, longest: float) -> Call:
    """Carry out what a party asks for; the same call when it is so already.

    Raises `Refusal`: 403 for who may not, 409 when the call does not stand so.
    """
    party = party_of(call, identity)
    if deed in _CALLEES and party is not call.callee:
        raise forbidden(f"Only the callee can {_VERBS[deed]} the call")
    match outcome_of(call.status, deed):
        case UTDCallStatus() as status:
            if status is not _A:
                return _moved(call, status, deed, now, by=party)
            return _answered(call, device, now, longest)
        case Outcome.SAME:
            return call
        case Outcome.SAME_DEVICE if device == call.callee.device:
            return call
        case _:
            raise _refused(call)


_VERBS: Final = {
    Deed.RINGING: "report ringing of",
    Deed.ACCEPT: "accept",
    Deed.REJECT: "reject",
    Deed.BUSY: "be too busy for",
}


def happen(call: Call, deed: Deed, now: float) -> Call:
    """Take in what time brought; the same call when it does not matter any more."""
    status = outcome_of(call.status, deed)
    return _moved(call, status, deed, now) if isinstance(status, UTDCallStatus) else call


def due(call: Call) -> tuple[float, Deed] | None:
    """Return when the next thing happens by itself, and what; None once the call is over."""
    if call.over_at is not None:
        return None
    dates = [
        (call.rings_until if call.answered_at is None else None, Deed.RING_TIMEOUT),
        (call.lasts_until, Deed.MAX_DURATION),
        (call.caller.lost_at, Deed.PEER_LOST),
        (call.callee.lost_at, Deed.PEER_LOST),
    ]
    # Of two at the same time the first listed: who rings in vain was missed, not lost.
    known = [(when, deed) for when, deed in dates if when is not None]
    return min(known, key=lambda one: one[0])


def admit(call: Call, identity: str, device: str, serial: int) -> Call:
    """Let the device of a party that is in the call have a token for the room."""
    party = party_of(call, identity)
    if party.serial is not None:
        return call
    return call.with_party(evolve(party, device=device, serial=serial))


def joined(call: Call, identity: str, sid: str, serial: int | None) -> Call | None:
    """Take in who connected to the room; None for whoever must be removed.

    Those are all but the two devices in the call, the only ones that tokens are made for. Which of
    two connections of one of them is the later is for the clients to find out, who ask who is
    there (docs/contract.md, "Who joined later"): a removal would leave them without an answer.
    """
    party = call.party(identity)
    if party is None or party.serial is None or serial is None or serial < party.serial:
        return None
    if sid in call.ended:
        return call
    return call.with_party(evolve(party, sid=sid, has_come=True, lost_at=None))


def left(call: Call, identity: str, sid: str | None, now: float) -> Call:
    """Take in who is away, by the end of connection `sid`; None is any."""
    if sid is not None:
        call = evolve(call, ended=(*call.ended, sid)[-MAX_ENDED:])
    party = call.party(identity)
    if party is None or party.sid is None or sid not in (None, party.sid):
        return call
    return call.with_party(evolve(party, sid=None, lost_at=now + AWAY_SECONDS))


def _answered(call: Call, device: str, now: float, longest: float) -> Call:
    """Whoever of the two is not in the room has its time to come from now on."""
    caller, callee = (
        one if one.sid is not None else evolve(one, lost_at=now + AWAY_SECONDS)
        for one in call.parties
    )
    return evolve(
        call,
        told=evolve(call.told, status=_A, answered_by=device),
        caller=caller,
        callee=evolve(callee, device=device),
        answered_at=now,
        lasts_until=now + longest,
    )


def _moved(
    call: Call, status: UTDCallStatus, deed: Deed, now: float, by: Party | None = None
) -> Call:
    if not status.is_terminal:
        return evolve(call, told=evolve(call.told, status=status))
    talked = 0.0 if call.answered_at is None else max(0.0, now - call.answered_at)
    # What was added to a time and is taken from it again may be a little less.
    seconds = float(int(round(talked, 6)))
    reason = _REASONS.get(deed) or _hung_up(call, by)
    told = evolve(call.told, status=status, end_reason=reason, duration_seconds=seconds)
    return evolve(call, told=told, over_at=now)


def _hung_up(call: Call, by: Party | None) -> UTDCallEndReason:
    if by is call.callee:
        return UTDCallEndReason.CALLEE_HANGUP
    if call.answered_at is None:
        return UTDCallEndReason.CALLER_CANCELLED
    return UTDCallEndReason.CALLER_HANGUP


def _refused(call: Call) -> Refusal:
    if call.over_at is not None:
        return conflict(f"the call is over: {call.status.value}")
    return conflict("the call has been answered")
