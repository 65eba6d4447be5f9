"""What is told and asked about people: roles, bans, the chat."""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen

from utd_rx.models.ban import UTDBanNotice
from utd_rx.models.chat import ChatMessage
from utd_rx.models.role import UTDRole


@frozen
class RoleHinted:
    """A message without a sender claims that somebody's role is this now; None: one not known."""

    identity: str
    role: UTDRole | None


@frozen
class RoleFetched:
    """The engine said which role somebody has; `generation` is what it was when it was asked."""

    identity: str
    role: UTDRole | None
    generation: int


@frozen
class RoleNotFetched:
    """The engine did not say."""

    identity: str


@frozen
class BanHinted:
    """A message without a sender claims that `identity`, None for this client, is banned."""

    identity: str | None
    notice: UTDBanNotice


@frozen
class BanAnswered:
    """The engine said whether the removal that ended join `epoch` was a ban; None: it did not."""

    epoch: int
    is_banned: bool | None


@frozen
class LockHinted:
    """A message without a sender claims that the chat is, or is not, locked now."""

    is_locked: bool


@frozen
class ChatSent:
    """A chat message of this client is on its way."""

    message: ChatMessage


@frozen
class FetchRole:
    """Ask which role `identity` has; answer with `RoleFetched` of the same generation."""

    identity: str
    generation: int


@frozen
class AskBan:
    """Ask whether this client is banned; answer with `BanAnswered` of the same epoch."""

    epoch: int


PeopleFact: TypeAlias = (
    RoleHinted | RoleFetched | RoleNotFetched | BanHinted | BanAnswered | LockHinted | ChatSent
)
PeopleEffect: TypeAlias = FetchRole | AskBan
