"""`session.chat`: writing and reading in a room's chat."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from attrs import frozen

from utd_rx.models.chat import ChatMessage
from utd_rx.ports.clock import Clock
from utd_rx.protocol import chat as rules
from utd_rx.protocol.facts.people import ChatSent
from utd_rx.protocol.wire.chat import chat_to_wire
from utd_rx.sessions.runner import Runner
from utd_rx.state import StateSubject


@frozen(eq=False)
class RoomChat:
    """The chat of one session.

    Attributes:
        history: The last 300 messages, oldest first: `session.chat_history`.
    """

    history: StateSubject[tuple[ChatMessage, ...]]
    _runner: Runner[Any]
    _clock: Clock
    _send_data: Callable[[bytes], Awaitable[None]]

    async def send(self, text: str) -> ChatMessage:
        """Write to everybody; returns the message as it enters one's own history.

        Raises:
            UTDStreamException: `FORBIDDEN` while the chat is locked for this client's role;
                `VALIDATION` for what is no text, blank text, and more than 4,000 characters;
                otherwise as `UTDSession.send_data`.

        Cancelling is safe; the message may have been sent.
        """
        self._runner.require_here()
        session = self._runner.session
        rules.require_sendable(text)
        rules.require_may_write(session.chat, session.roles.known.get(session.identity))
        local = session.roster.local
        message = ChatMessage(uuid.uuid4().hex, text, session.identity, self._clock.wall())
        wire = chat_to_wire(message, "" if local is None else local.name)
        # A lone half of a surrogate pair has no UTF-8 form; as an escape every reader takes it.
        await self._send_data(json.dumps(wire, separators=(",", ":")).encode())
        self._runner.offer(ChatSent(message))
        return message
