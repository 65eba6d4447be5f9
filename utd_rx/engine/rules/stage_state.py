"""Who is on the stage of a live stream, and who has raised a hand (docs/contract.md, "Stage").

The rules here say what becomes of the stage. What follows from it (grants, `rev`, pushes) is
derived in one place, `room_state.restaged`, by comparing two rooms, so no rule can forget it.

Absence is a deadline in the state, as with seats (`seat_state`): who is not connected keeps place
and hand until `frees_at[identity]`, and the broadcast waits for its host until `ends_at`.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

from attrs import evolve, field, frozen

from utd_rx.engine.rules.seat_state import ABSENCE_SECONDS
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.stage import Stage, StageRequest

HOST_SECONDS: Final = 60.0
"""How long a broadcast waits for its host (docs/contract.md, "Stage")."""


@frozen
class Hand:
    """A raised hand, and since when, in monotonic seconds."""

    asked: StageRequest
    raised_at: float


@frozen
class StageState:
    """The stage: its members, the host first, and the raised hands, oldest first.

    `host_grace` is for how many seconds a broadcast waits for its host, `ends_at` until when.
    """

    members: tuple[str, ...] = ()
    hands: tuple[Hand, ...] = ()
    is_live: bool = False
    revision: int = 0
    host: str | None = None
    frees_at: FrozenMap[str, float] = field(factory=FrozenMap)
    ends_at: float | None = None
    host_grace: float = HOST_SECONDS

    @property
    def promoted(self) -> frozenset[str]:
        """Who publishes by being on the stage, and not by being the host."""
        return frozenset(who for who in self.members if who != self.host)

    @property
    def involved(self) -> frozenset[str]:
        """Who has something to lose by being away: a place, a raised hand."""
        return frozenset(self.members).union(hand.asked.identity for hand in self.hands)

    @property
    def next_deadline(self) -> float | None:
        """When `time_passed` has something to do, None for never."""
        ends = () if self.ends_at is None else (self.ends_at,)
        return min((*self.frees_at.values(), *ends), default=None)

    def hand_of(self, identity: str) -> Hand | None:
        return next((hand for hand in self.hands if hand.asked.identity == identity), None)


def owned(stage: StageState, host: str, *, is_connected: bool) -> StageState:
    """`host` is whose stage it is."""
    found = evolve(stage, host=host)
    return joined(found, host) if is_connected else found


def joined(stage: StageState, identity: str) -> StageState:
    """`identity` is connected: a host is on the stage, and if it was live, it still is."""
    found = evolve(stage, frees_at=stage.frees_at.remove(identity))
    if identity != stage.host:
        return found
    found = without(found, {identity})
    return evolve(found, members=(identity, *found.members), ends_at=None)


def published(stage: StageState, identity: str) -> StageState:
    """`identity`, who is connected, has a new track: with one of its host's, the stage is live."""
    return evolve(stage, is_live=stage.is_live or identity == stage.host)


def left(stage: StageState, identity: str, now: float, grace: float) -> StageState:
    """`identity` is not connected any more; what it has waits `grace` seconds, 0 is not at all."""
    if identity == stage.host and stage.is_live:
        stage = evolve(stage, ends_at=now + stage.host_grace)
    if grace <= 0:
        return without(stage, {identity})
    return evolve(stage, frees_at=stage.frees_at.set(identity, now + grace))


def expelled(stage: StageState, identity: str) -> StageState:
    """`identity` was thrown out, and will not be back: a host takes the broadcast along."""
    found = without(stage, {identity})
    return ended(found) if identity == stage.host else found


def time_passed(stage: StageState, now: float) -> StageState:
    """Let go of who did not come back in time, and end the broadcast whose host did not."""
    found = without(stage, {identity for identity, at in stage.frees_at.items() if at <= now})
    return ended(found) if stage.ends_at is not None and stage.ends_at <= now else found


def taken_over(fresh: StageState, told: Stage, host: str | None, now: float) -> StageState:
    """Return the stage that an engine before this one left; nobody counts as there.

    Its revision is that of the `fresh` one, which is later than any of a run before.
    """
    members = tuple(member.identity for member in told.members)
    is_live = told.is_live or False
    return evolve(
        fresh,
        members=members,
        host=host,
        is_live=is_live,
        frees_at=FrozenMap(dict.fromkeys(members, now + ABSENCE_SECONDS)),
        ends_at=now + fresh.host_grace if is_live else None,
    )


def ended(stage: StageState) -> StageState:
    """Return the stage once the broadcast is over: nobody but the host on it, and no hands."""
    kept = tuple(identity for identity in stage.members if identity == stage.host)
    return evolve(stage, members=kept, hands=(), is_live=False, ends_at=None)


def off_stage(stage: StageState, identity: str) -> StageState:
    return evolve(stage, members=tuple(who for who in stage.members if who != identity))


def hand_down(stage: StageState, identity: str) -> StageState:
    hands = tuple(hand for hand in stage.hands if hand.asked.identity != identity)
    return evolve(stage, hands=hands)


def without(stage: StageState, identities: AbstractSet[str]) -> StageState:
    """Return the stage on which none of `identities` is, nor asks to be."""
    for identity in identities:
        stage = hand_down(off_stage(stage, identity), identity)
    return stage
