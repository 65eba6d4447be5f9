"""Whether this client is banned: three signals, one notice (facts/utd-engine.md §4.6, §4.7, §7.1).

| signal | alone | |
| --- | --- | --- |
| push `_banned` | nothing: a newcomer may have forged it | with the removal behind it: the notice, with reason and end |
| removal by the server | a kick, or a ban whose push was lost | the engine is asked which |
| the mint answers 403, banned | the notice | |

The first one that counts makes the notice; it stays until a join succeeds.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve, frozen

from utd_rx.models.ban import UTDBanNotice
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.events import Disconnected
from utd_rx.protocol.facts import AskBan, BanAnswered, BanHinted, JoinFailed, JoinSucceeded

HINT_SECONDS: Final = 10.0
"""How long after the push a removal is its removal: the engine waits 0.2 s (§7.2, 12)."""


@frozen
class Bans:
    """What is known about a ban of this client.

    Args:
        notice: It is banned; None when it is not known to be.
        hint: What the last push said.
        hinted_at: When, in monotonic seconds.
    """

    notice: UTDBanNotice | None = None
    hint: UTDBanNotice | None = None
    hinted_at: float = 0.0


def step(
    bans: Bans, fact: object, now: float, *, identity: str, epoch: int
) -> tuple[Bans, tuple[AskBan, ...]]:
    """Return the state after `fact`, and whether to ask; total.

    Args:
        bans: Before.
        fact: One that counts: a `Disconnected` of a connection that stood.
        now: Monotonic seconds.
        identity: This client's.
        epoch: Counts joins; an answer about an earlier one is late.
    """
    match fact:
        case BanHinted(identity=who, notice=notice) if who in (None, identity):
            return evolve(bans, hint=notice, hinted_at=now), ()
        case Disconnected(reason=DisconnectReason.PARTICIPANT_REMOVED):
            if bans.hint is not None and now - bans.hinted_at <= HINT_SECONDS:
                return Bans(notice=bans.hint), ()
            return bans, (AskBan(epoch),)
        case BanAnswered(epoch=asked, is_banned=True) if asked == epoch:
            return _noticed(bans), ()
        case JoinFailed(epoch=failed, error=error) if failed == epoch and error.is_banned:
            return _noticed(bans), ()
        case JoinSucceeded(epoch=joined) if joined == epoch:
            return Bans(), ()
        case _:
            return bans, ()


def _noticed(bans: Bans) -> Bans:
    return bans if bans.notice is not None else Bans(notice=UTDBanNotice())
