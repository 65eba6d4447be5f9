"""The stage of a live stream as a client sees it (docs/contract.md, "Stage").

Theory of operation. Who is on the stage comes in three ways, as a seat grid does
(`utd_rx.protocol.seats`): by room metadata `_stage`, which is news and begins a new *generation*,
by a `GET` of the present generation, and by a push, which is a hint and makes this client ask. A
`revision` that is older never replaces a newer one.

Raised hands are in no metadata: only the engine's answers tell them, to who moderates all, to
others their own. So of them hints make this client ask, too, one question at a time:

| hint or event | who asks |
| --- | --- |
| a hand is up, or down, and the list says otherwise | who moderates |
| somebody leaves whose hand is on the list | who moderates |
| this client's own hand is down, and it thinks it up | this client |
| a hand goes with the stage, see below; it may be newer than that | who sees it |
| a hand of the join before this one, since the engine keeps it over an absence | this client |
| a join, a reconnect, a role that moderates, and 3 s after each | who moderates |
| the broadcast is over, and the engine has not said so | everybody |
| revisions were skipped, as by an engine that was started anew | who moderates, or has a hand up |

Of two answers that overlapped the first counts for what has no revision; when the other one
differs the engine is asked again. Who comes on the stage has no hand up any more, and when the
broadcast is over nobody has.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve, frozen

from utd_rx.errors import UTDStreamException
from utd_rx.models.events import ParticipantDisconnected
from utd_rx.models.stage import Stage, StageRequest
from utd_rx.protocol.facts import Effects
from utd_rx.protocol.facts import stage as facts

LOOK_AGAIN_SECONDS: Final = 3.0
"""When to ask once more: what was pushed between the first answer and the opening of the data
channel reached nobody (docs/contract.md, "Lost pushes")."""


@frozen
class StageCopy:
    """The client's copy of the stage.

    It `is_known` once the engine has told it in this join, `is_stale` when there may be a newer
    one, `is_asked` while a question is under way, and `is_hinted` when nothing but hints made it
    so, or ask. `generation` counts the news, `answers` what changed the rest, `late` what was older
    and dropped, and `disproved` the questions that only hints had caused and that brought nothing
    new. `requests` are the hands, oldest first, while this client `moderates`; from `look_at` on
    there may be new ones. Its own `is_hand_up`, and `is_doubted` when a hint says that it is down;
    it `had_hand` up, or asked for it, in a join before this one.
    """

    stage: Stage = Stage()
    requests: tuple[StageRequest, ...] = ()
    is_hand_up: bool = False
    moderates: bool = False
    is_known: bool = False
    is_stale: bool = False
    is_asked: bool = False
    is_hinted: bool = False
    is_doubted: bool = False
    had_hand: bool = False
    generation: int = 0
    answers: int = 0
    look_at: float | None = None
    failure: UTDStreamException | None = None
    late: int = 0
    disproved: int = 0

    def has_hand(self, identity: str) -> bool:
        """Whether the hand of `identity` is on the list."""
        return any(asked.identity == identity for asked in self.requests)


def step(copy: StageCopy, fact: object, now: float, *, identity: str, epoch: int) -> StageCopy:
    """Return the copy after `fact`, in the join of `epoch`; total. `identity` is this client's."""
    if copy.look_at is not None and now >= copy.look_at:
        copy = evolve(stale(copy), look_at=None)
    match fact:
        case facts.StageReceived(stage=told):
            if copy.is_known and told == copy.stage:
                return copy
            if _is_older(told, copy):
                return evolve(copy, late=copy.late + 1)
            after = _told(evolve(copy, generation=copy.generation + 1), told, identity)
            is_gap = copy.stage.revision is not None and _number(told) > _number(copy.stage) + 1
            took = (after.requests, after.is_hand_up) != (copy.requests, copy.is_hand_up)
            is_unsure = took or (is_gap and (copy.moderates or copy.is_hand_up))
            return stale(after) if is_unsure else after
        case facts.StageHinted(stage=told):
            is_news = told != copy.stage and not _is_older(told, copy)
            return _hinted(copy) if is_news else copy
        case facts.HandHinted(identity=who, is_up=is_up):
            if who == identity and copy.is_hand_up and not is_up:
                return evolve(_hinted(copy), is_doubted=True)
            is_news = copy.moderates and copy.has_hand(who) is not is_up
            return _hinted(copy) if is_news else copy
        case facts.LiveEndHinted():
            return copy if copy.stage.is_live is False else _hinted(copy)
        case ParticipantDisconnected(identity=who) if copy.has_hand(who):
            return stale(copy)
        case facts.HandChanged(epoch=asked) if asked != epoch:
            return evolve(stale(copy), had_hand=True)
        case facts.HandChanged(is_up=is_up):
            # An answer under way may be older than this one: it overlaps. A stage may be, too.
            is_late = is_up and copy.stage.has(identity)
            copy = evolve(copy, is_doubted=False, answers=copy.answers + 1)
            copy = evolve(copy, is_hand_up=is_up and not is_late)
            return stale(copy) if copy.moderates or is_late else copy
        case facts.StageFetched():
            return _fetched(copy, fact, identity)
        case facts.StageNotFetched(error=error):
            # Not asked again at once: whatever keeps the engine from answering needs time, and
            # the next hint or reconnect asks.
            return evolve(copy, is_asked=False, is_stale=False, failure=error)
    return copy


def stale(copy: StageCopy) -> StageCopy:
    """Return the copy that is to be asked for anew."""
    return evolve(copy, is_stale=True, is_hinted=False)


def joined(copy: StageCopy, now: float, *, is_resynced: bool) -> StageCopy:
    """Return the copy after a join or reconnect; `is_resynced` after a long outage."""
    if copy.moderates:
        return evolve(stale(copy), look_at=now + LOOK_AGAIN_SECONDS)
    is_unsure = is_resynced or copy.is_hand_up or copy.had_hand or not copy.is_known
    return evolve(stale(copy), had_hand=False) if is_unsure else copy


def moderating(copy: StageCopy, moderates: bool, now: float) -> StageCopy:
    """Return the copy of a client that may, or may not, see the hands of others."""
    if copy.moderates is moderates:
        return copy
    if moderates:
        return evolve(stale(copy), moderates=True, look_at=now + LOOK_AGAIN_SECONDS)
    return evolve(copy, moderates=False, requests=(), look_at=None)


def forgotten(copy: StageCopy) -> StageCopy:
    """Return the copy while there is no connection: what the engine says now is not heard."""
    blank = StageCopy(
        had_hand=copy.had_hand or copy.is_hand_up,
        generation=copy.generation,
        answers=copy.answers,
        late=copy.late,
        disproved=copy.disproved,
    )
    return blank if copy == blank else evolve(blank, generation=copy.generation + 1)


def follow_up(copy: StageCopy) -> tuple[StageCopy, Effects]:
    """Ask for the stage when the copy is stale and no question is under way."""
    if not copy.is_stale or copy.is_asked:
        return copy, ()
    asking = evolve(copy, is_stale=False, is_asked=True)
    return asking, (facts.FetchStage(copy.generation, copy.answers),)


def next_deadline(copy: StageCopy) -> float | None:
    return copy.look_at


def has_ended(before: Stage, after: Stage) -> bool:
    """Whether the engine has said between the two that the broadcast is over."""
    return before.is_live is True and after.is_live is False


def _told(copy: StageCopy, stage: Stage, identity: str) -> StageCopy:
    """Return the copy with the engine's word about the stage, and what follows about hands."""
    is_over = has_ended(copy.stage, stage)
    return evolve(
        copy,
        stage=stage,
        is_known=True,
        requests=() if is_over else _waiting(stage, copy.requests),
        is_hand_up=copy.is_hand_up and not is_over and not stage.has(identity),
    )


def _fetched(copy: StageCopy, told: facts.StageFetched, identity: str) -> StageCopy:
    before, is_question = copy, copy.is_known and copy.is_hinted
    copy = evolve(copy, is_asked=False, failure=None, is_hinted=copy.is_hinted and copy.is_stale)
    is_outdated = told.generation != copy.generation or _is_older(told.stage, copy)
    overlaps = told.answers != copy.answers
    if is_outdated or (overlaps and told.stage.revision is None):
        copy = evolve(copy, late=copy.late + 1)
    else:
        copy = _told(copy, told.stage, identity)
    hands = _hands(copy, told, identity)
    if is_outdated or overlaps:
        is_doubtful = hands != copy or (not is_outdated and told.stage != copy.stage)
        return stale(copy) if is_doubtful else copy
    copy = evolve(hands, answers=copy.answers + 1)
    known = (copy.stage, copy.requests, copy.is_hand_up)
    is_disproof = is_question and known == (before.stage, before.requests, before.is_hand_up)
    return evolve(copy, disproved=copy.disproved + is_disproof)


def _hands(copy: StageCopy, told: facts.StageFetched, identity: str) -> StageCopy:
    """Return the copy with the hands that an answer tells."""
    if told.requests is None:  # an engine that tells none: the hint is all there is
        is_hand_up = copy.is_hand_up and not copy.is_doubted
        return evolve(copy, is_hand_up=is_hand_up, is_doubted=False)
    waiting = _waiting(copy.stage, told.requests)
    is_hand_up = any(asked.identity == identity for asked in waiting)
    requests = waiting if copy.moderates else ()
    return evolve(copy, requests=requests, is_hand_up=is_hand_up, is_doubted=False)


def _waiting(stage: Stage, requests: tuple[StageRequest, ...]) -> tuple[StageRequest, ...]:
    if not requests:
        return ()
    there = {member.identity for member in stage.members}
    return tuple(asked for asked in requests if asked.identity not in there)


def _hinted(copy: StageCopy) -> StageCopy:
    """Return the copy that is to be asked for because of a message that proves nothing."""
    has_reason = (copy.is_stale or copy.is_asked) and not copy.is_hinted
    return evolve(copy, is_stale=True, is_hinted=not has_reason)


def _number(stage: Stage) -> int:
    return 0 if stage.revision is None else stage.revision


def _is_older(stage: Stage, copy: StageCopy) -> bool:
    known = copy.stage.revision if copy.is_known else None
    return known is not None and stage.revision is not None and stage.revision < known
