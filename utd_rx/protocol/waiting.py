"""How a command waits: in the state, for what it was promised.

A command that the engine said yes to, or that asked for something which takes time, is done when
the state *shows* what it was promised; nothing is optimistic. Its wait is part of the state, so a
replay knows about it, and time is an argument. After every fact all waits are judged, in the order
of this table; the first that fits ends one:

| | the command |
| --- | --- |
| the state says why it cannot be | raises that |
| the join of then is over, whatever there is now | raises `CONFLICT`, left |
| the state shows all of it | returns |
| borne out and no more so, or the engine, asked after its yes, denies it | `CONFLICT`, overtaken |
| the engine was asked and did not answer | raises why |
| `ends_at` has passed | raises `TIMEOUT`, and its intent is withdrawn |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol, TypeAlias, TypeVar, cast

from attrs import asdict, evolve, frozen

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.protocol.connection import Connection
from utd_rx.protocol.deadlines import earliest
from utd_rx.protocol.facts import Effect, Effects, Fact


@frozen
class Promise:
    """What a command brings about; each kind of it is a class in `protocol.promises`.

    `says` what it is, for messages, its own fields may stand in it. A command waits for it for so
    many `seconds` at most, and asks the engine for what no push has told `asks_after` some.
    """

    says: ClassVar[str] = ""
    seconds: ClassVar[float] = 10.0
    asks_after: ClassVar[float | None] = None

    @property
    def what(self) -> str:
        return self.says.format(**asdict(self, recurse=False))

    def shows(self, state: Any) -> bool:
        """Whether the state shows all of it."""
        raise NotImplementedError

    def holds(self, state: Any) -> bool:
        """Whether the state bears it out as far as it has been told."""
        return False

    def is_so_already(self, refusal: UTDStreamException, state: Any) -> bool:
        """Whether the engine refused it because it is so, and not because of somebody else."""
        return is_clash(refusal) and (self.holds(state) or self.shows(state))

    def failure(self, state: Any) -> UTDStreamException | None:
        """Return why it cannot be any more, None while it can."""
        return None

    def question(self, state: Any, wait_id: int) -> Effect | None:
        """Return the effect that asks the engine for it, None when there is nothing to ask."""
        return None

    def denial(self, answer: Any) -> UTDStreamException | None:
        """Return what `answer`, a fact that came of `question`, says against it."""
        return None

    @property
    def survives_leaving(self) -> bool:
        """Whether it may be shown by a connection that is over."""
        return False

    @property
    def withdrawal(self) -> Fact | None:
        """The fact by which whoever gives up takes their word back, None when there is none."""
        return None


def is_clash(refusal: UTDStreamException) -> bool:
    """Whether the engine said that the state does not allow it, by a 409."""
    return refusal.code is UTDErrorCode.CONFLICT and refusal.status_code is not None


@frozen
class WaitStarted(Fact):
    """A command waits for what it was promised; `epoch` is that of the join in which it asked."""

    id: int
    promise: Promise
    epoch: int


@frozen
class WaitDropped(Fact):
    """The command does not wait any more: it was cancelled."""

    id: int


@frozen
class EndWait(Effect):
    """Let the command return, or raise `error`."""

    id: int
    error: UTDStreamException | None = None


@frozen
class Wait:
    """A command's wait: until `ends_at`, and the engine is asked at `asks_at`, monotonic seconds.

    `asks_at` is None when it was asked, or is not to be; the state has borne the promise out when
    it `has_held`.
    """

    id: int
    promise: Promise
    epoch: int
    ends_at: float
    asks_at: float | None = None
    has_held: bool = False


class Waiting(Protocol):
    """A session's state, of any kind, with its waits."""

    @property
    def session(self) -> Any:
        """What all kinds share."""

    @property
    def waits(self) -> tuple[Wait, ...]:
        """The commands that wait."""


St = TypeVar("St", bound=Waiting)
Step: TypeAlias = Callable[[St, object, float], tuple[St, Effects]]


def step(rules: Step[St], state: St, fact: object, now: float) -> tuple[St, Effects]:
    """Return the state after `fact`, by `rules`, and its waits after that; total."""
    match fact:
        case WaitStarted(id=id_, promise=promise, epoch=epoch):
            asks_at = None if promise.asks_after is None else now + promise.asks_after
            wait = Wait(id_, promise, epoch, now + promise.seconds, asks_at)
            state = _with(state, (*state.waits, wait))
            effects: Effects = ()
        case WaitDropped(id=id_):
            return _with(state, tuple(wait for wait in state.waits if wait.id != id_)), ()
        case _:
            state, effects = rules(state, fact, now)
    return _judged(rules, state, fact, now, effects) if state.waits else (state, effects)


def next_deadline(state: Waiting) -> float | None:
    return earliest(*[at for wait in state.waits for at in (wait.ends_at, wait.asks_at)])


def _judged(
    rules: Step[St], state: St, fact: object, now: float, effects: Effects
) -> tuple[St, Effects]:
    kept: list[Wait] = []
    withdrawals: list[Fact] = []
    for wait in state.waits:
        promise = wait.promise
        end = _end(wait, state, fact, now)
        if end is not None:
            effects = (*effects, end)
            if end.error is not None and promise.withdrawal is not None:
                withdrawals.append(promise.withdrawal)
            continue
        wait = evolve(wait, has_held=promise.holds(state))
        if wait.asks_at is not None and now >= wait.asks_at:
            wait = evolve(wait, asks_at=None)
            question = promise.question(state, wait.id)
            effects = effects if question is None else (*effects, question)
        kept.append(wait)
    state = _with(state, tuple(kept))
    for withdrawal in withdrawals:
        state, more = step(rules, state, withdrawal, now)
        effects = (*effects, *more)
    return state, effects


def _end(wait: Wait, state: Waiting, fact: object, now: float) -> EndWait | None:
    """Return how the wait ends, None while it goes on: the table above."""
    promise = wait.promise
    connection: Connection = state.session.connection
    is_over = connection.epoch != wait.epoch or not connection.is_joined
    if (failure := promise.failure(state)) is not None:
        return EndWait(wait.id, failure)
    if is_over and not promise.survives_leaving:
        message = f"left while waiting for {promise.what}"
        return EndWait(wait.id, conflict(ConflictReason.LEFT, message))
    if promise.shows(state):
        return EndWait(wait.id)
    if wait.has_held and not promise.holds(state):
        return EndWait(wait.id, taken_back(promise.what))
    if getattr(fact, "wait_id", None) == wait.id and (denial := promise.denial(fact)) is not None:
        return EndWait(wait.id, denial)
    if now >= wait.ends_at:
        message = f"{promise.what} did not arrive within {promise.seconds:.0f} s"
        return EndWait(wait.id, UTDStreamException(message, code=UTDErrorCode.TIMEOUT))
    return None


def taken_back(what: str) -> UTDStreamException:
    """Return the error of a command whose work somebody undid at once."""
    return conflict(ConflictReason.OVERTAKEN, f"{what} was taken back at once by somebody else")


def _with(state: St, waits: tuple[Wait, ...]) -> St:
    every: Any = state  # each kind's is an attrs class
    return state if waits == state.waits else cast("St", evolve(every, waits=waits))
