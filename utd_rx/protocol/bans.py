"""Whether this client is banned: three signals, one notice (docs/contract.md, "Bans").

| signal | alone | |
| --- | --- | --- |
| push `_banned` | nothing: it may be forged | before a removal: its reason and its end |
| removal by the server | a kick or a ban | the engine is asked; if it is silent, the push counts |
| the mint answers 403, banned | the notice | |

The first one that counts makes the notice; it stays until a join succeeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from attrs import evolve, frozen

from utd_rx.errors import UTDStreamException
from utd_rx.models.ban import UTDBan, UTDBanNotice
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.events import Disconnected
from utd_rx.protocol.facts import Effects
from utd_rx.protocol.facts.connection import JoinFailed, JoinSucceeded
from utd_rx.protocol.facts.people import AskBan, BanAnswered, BanHinted

HINT_SECONDS: Final = 10.0
"""How long after the push a removal is its removal: the engine waits 0.2 s
(docs/contract.md, "Lost pushes")."""

PER_PAGE: Final = 100
"""Bans that are asked for at a time, as many as the engine gives."""

MAX_PAGES: Final = 100
"""After these the list is taken for endless."""


@frozen
class Bans:
    """What is known about a ban of this client: there is a `notice` when it is banned.

    `hint` is what the last push said, `hinted_at` when, in monotonic seconds, and `claim` what the
    push before the removal said, while the engine is asked. `disproved` counts the pushes that
    were followed by no removal, or by a kick.
    """

    notice: UTDBanNotice | None = None
    hint: UTDBanNotice | None = None
    hinted_at: float = 0.0
    claim: UTDBanNotice | None = None
    disproved: int = 0


def step(
    bans: Bans, fact: object, now: float, *, identity: str, epoch: int
) -> tuple[Bans, Effects]:
    """Return the state after `fact`, of a connection that stood, and whether to ask; total."""
    if bans.hint is not None and now >= bans.hinted_at + HINT_SECONDS:
        bans = evolve(bans, hint=None, disproved=bans.disproved + 1)
    match fact:
        case BanHinted(identity=who, notice=notice) if who in (None, identity):
            # Not later than the first: a flood of them does not put off its own end.
            at = now if bans.hint is None else bans.hinted_at
            return evolve(bans, hint=notice, hinted_at=at), ()
        case Disconnected(reason=DisconnectReason.PARTICIPANT_REMOVED):
            return evolve(bans, hint=None, claim=bans.hint), (AskBan(epoch),)
        case BanAnswered(epoch=asked, is_banned=is_banned) if asked == epoch:
            if is_banned or (is_banned is None and bans.claim is not None):
                return _noticed(bans), ()
            is_disproof = is_banned is False and bans.claim is not None
            return evolve(bans, claim=None, disproved=bans.disproved + is_disproof), ()
        case JoinFailed(epoch=failed, error=error) if failed == epoch and error.is_banned:
            return _noticed(bans), ()
        case JoinSucceeded(epoch=joined) if joined == epoch:
            return Bans(disproved=bans.disproved), ()
    return bans, ()


def next_deadline(bans: Bans) -> float | None:
    return None if bans.hint is None else bans.hinted_at + HINT_SECONDS


def is_banned_by(refusal: UTDStreamException | None) -> bool | None:
    """Return what the engine's answer to a question says, None for nothing: a failure on the way,
    or of the engine itself, is no word about the ban.
    """
    if refusal is None:
        return False
    is_word = refusal.status_code is not None and refusal.status_code < 500
    return refusal.is_banned if is_word else None


def concerning(bans: Iterable[UTDBan], room_name: str) -> list[UTDBan]:
    """Return those that hold in the room, also by holding everywhere."""
    return [ban for ban in bans if ban.room_name in (None, room_name)]


def is_last(page: Sequence[UTDBan]) -> bool:
    """Whether no page follows this one."""
    return len(page) < PER_PAGE


def _noticed(bans: Bans) -> Bans:
    if bans.notice is not None:
        return bans
    return Bans(notice=bans.claim or UTDBanNotice(), disproved=bans.disproved)
