"""The chat of a room (docs/contract.md, "Chat" and "The chat lock is advisory").

Messages are data of participants; who sent one is what the transport says. The lock is advisory,
so each client keeps to it by itself: it is read from room metadata, which only the engine writes,
and while it is on, nothing of the audience is taken or sent:

| sender, while locked | |
| --- | --- |
| host, admin, guest | taken |
| audience, visitor, somebody without a role | dropped, counted |
| nobody named: a newcomer LiveKit does not know yet | dropped, counted: it cannot be told apart |

A push of the lock is a hint and moves nothing: the engine writes the metadata first. A message is
known by sender and id together, so nobody keeps another's message out by using its id first. One's
own messages enter when they were sent; their echo is dropped.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve, frozen

from utd_rx.errors import UTDErrorCode, UTDStreamException, invalid
from utd_rx.models import events as e
from utd_rx.models.chat import ChatMessage
from utd_rx.models.role import UTDRole
from utd_rx.protocol import data
from utd_rx.protocol.facts.people import LockHinted
from utd_rx.protocol.facts.words import ChatReceived, ChatSent
from utd_rx.protocol.roles import Roles
from utd_rx.protocol.wire.chat import LEGACY_TOPIC, MAX_TEXT, chat_from_wire, legacy_from_wire
from utd_rx.protocol.wire.moderation import COMMENT_LOCK_KEY, comment_lock_in_metadata
from utd_rx.protocol.wire.reading import parse_object

MAX_HISTORY: Final = 300
"""As the kits (docs/contract.md, "Chat"); the oldest go first."""

HINT_SECONDS: Final = 10.0
"""How long after a push of the lock the metadata may come."""


@frozen
class Chat:
    """What was said, oldest first, and who may speak.

    `dropped` counts messages of the audience while it is locked. `hint` is what a push said about
    the lock and metadata has not said yet, `hinted_at` when, in monotonic seconds; `disproved`
    counts the pushes that no metadata followed.
    """

    history: tuple[ChatMessage, ...] = ()
    is_locked: bool = False
    dropped: int = 0
    hint: bool | None = None
    hinted_at: float = 0.0
    disproved: int = 0


def step(
    chat: Chat,
    fact: object,
    now: float,
    *,
    identity: str,
    roles: Roles,
    has_engine: bool = True,
) -> Chat:
    """Return the chat after `fact`; `identity` is this client's; total."""
    if chat.hint is not None and now >= chat.hinted_at + HINT_SECONDS:
        chat = evolve(chat, hint=None, disproved=chat.disproved + 1)
    match fact:
        case LockHinted(is_locked=is_locked):
            is_news = chat.hint is None and is_locked is not chat.is_locked
            return evolve(chat, hint=is_locked, hinted_at=now) if is_news else chat
        case e.DataReceived(sender=sender) if sender != identity:
            message = decode(fact) if has_engine else decode_plain(fact)
            return chat if message is None else _received(chat, message, roles)
        case ChatReceived(message=message) if message.sender != identity:
            return _received(chat, message, roles)
        case ChatSent(message=message):
            return _added(chat, message)
        case _:
            metadata = data.metadata_in(fact)
            return chat if metadata is None else _with_lock(chat, metadata)


def disconnected(chat: Chat) -> Chat:
    """Return the chat of a connection that is over: what was said stays."""
    return evolve(chat, hint=None) if chat.hint is not None else chat


def next_deadline(chat: Chat) -> float | None:
    return None if chat.hint is None else chat.hinted_at + HINT_SECONDS


def decode(event: e.DataReceived) -> ChatMessage | None:
    """Return the chat message in `event`, None when it holds none."""
    if b'"roomChat"' not in event.payload:
        return None
    wire = parse_object(event.payload)
    # What has a type of its own is something else, whatever it carries besides.
    return None if wire is None or "type" in wire else chat_from_wire(wire, event.sender)


def decode_plain(event: e.DataReceived) -> ChatMessage | None:
    """As `decode`, in a room without an engine: there LiveKit's own components write, too."""
    if event.topic != LEGACY_TOPIC:
        return decode(event)
    wire = parse_object(event.payload)
    return None if wire is None else legacy_from_wire(wire, event.sender)


def is_app_data(event: e.RoomEvent) -> bool:
    """Whether `event` is a message of the app itself: no reserved type, no chat."""
    if not isinstance(event, e.DataReceived) or data.type_of(event) in data.RESERVED_TYPES:
        return False
    return decode(event) is None


def is_plain_data(event: e.RoomEvent) -> bool:
    """As `is_app_data`, in a room without an engine: there no type is reserved."""
    if not isinstance(event, e.DataReceived) or event.topic == LEGACY_TOPIC:
        return False
    return decode(event) is None


def may_write(chat: Chat, role: UTDRole | None) -> bool:
    """Whether somebody of `role`, None for none, may write now."""
    return not chat.is_locked or (role is not None and not role.is_audience)


def require_may_write(chat: Chat, role: UTDRole | None) -> None:
    """Raise `FORBIDDEN` unless this client, of `role`, may write now."""
    if not may_write(chat, role):
        raise UTDStreamException("the chat is locked for the audience", code=UTDErrorCode.FORBIDDEN)


def require_sendable(text: object) -> None:
    """Raise `VALIDATION` unless `text` is one, not blank, and short enough."""
    if not isinstance(text, str):
        raise invalid(f"a chat message is a str, not {type(text).__name__}")
    if not text.strip():
        raise invalid("the text is blank")
    if len(text) > MAX_TEXT:
        limit = f"a chat message holds at most {MAX_TEXT} characters"
        raise invalid(f"{limit}, this one has {len(text)}")


def is_locked_in(metadata: str) -> bool | None:
    """Return the lock that room metadata carries, None when it carries none."""
    wire = parse_object(metadata) if metadata else None
    return None if wire is None else comment_lock_in_metadata(wire)


LOCK_IN_ROOM: Final = data.RoomKey(COMMENT_LOCK_KEY, is_locked_in, bool)


def _with_lock(chat: Chat, metadata: str) -> Chat:
    is_locked = is_locked_in(metadata) or False
    if chat.hint is is_locked:
        chat = evolve(chat, hint=None)
    return chat if is_locked is chat.is_locked else evolve(chat, is_locked=is_locked)


def _received(chat: Chat, message: ChatMessage, roles: Roles) -> Chat:
    role = None if message.sender is None else roles.known.get(message.sender)
    if not may_write(chat, role):
        return evolve(chat, dropped=chat.dropped + 1)
    return _added(chat, message)


def _added(chat: Chat, message: ChatMessage) -> Chat:
    key = (message.sender, message.id)
    if message.id and any((known.sender, known.id) == key for known in chat.history):
        return chat
    return evolve(chat, history=(*chat.history, message)[-MAX_HISTORY:])
