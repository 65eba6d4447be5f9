"""What is told and asked about people: roles, bans, the lock of the chat."""

from __future__ import annotations

from attrs import frozen

from utd_rx.models.ban import UTDBanNotice
from utd_rx.models.role import UTDRole
from utd_rx.protocol.facts import Effect, Fact


@frozen
class RoleHinted(Fact):
    """A message without a sender claims that somebody's role is this now; None: one not known."""

    identity: str
    role: UTDRole | None


@frozen
class RoleFetched(Fact):
    """The engine said which role somebody has; `generation` is what it was when it was asked."""

    identity: str
    role: UTDRole | None
    generation: int


@frozen
class RoleNotFetched(Fact):
    """The engine did not say."""

    identity: str


@frozen
class BanHinted(Fact):
    """A message without a sender claims that `identity`, None for this client, is banned."""

    identity: str | None
    notice: UTDBanNotice


@frozen
class BanAnswered(Fact):
    """The engine said whether the removal that ended join `epoch` was a ban; None: it did not."""

    epoch: int
    is_banned: bool | None


@frozen
class LockHinted(Fact):
    """A message without a sender claims that the chat is, or is not, locked now."""

    is_locked: bool


@frozen
class FetchRole(Effect):
    """Ask which role `identity` has; answer with `RoleFetched` of the same generation."""

    identity: str
    generation: int


@frozen
class AskBan(Effect):
    """Ask whether this client is banned; answer with `BanAnswered` of the same epoch."""

    epoch: int
