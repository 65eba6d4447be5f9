"""`session.chat`: writing and reading in a room's chat."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Awaitable, Callable

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.chat import ChatMessage
from utd_rx.protocol import chat as rules
from utd_rx.protocol.facts import ChatSent
from utd_rx.protocol.session import SessionState
from utd_rx.protocol.wire.chat import MAX_TEXT, chat_to_wire
from utd_rx.state import StateSubject


class RoomChat:
    """The chat of one session.

    Attributes:
        history: The last 300 messages, oldest first: `session.chat_history`.
    """

    def __init__(
        self,
        history: StateSubject[tuple[ChatMessage, ...]],
        session: Callable[[], SessionState],
        send_data: Callable[[bytes], Awaitable[None]],
        offer: Callable[..., None],
    ) -> None:
        self.history = history
        self._session = session
        self._send_data = send_data
        self._offer = offer

    async def send(self, text: str) -> ChatMessage:
        """Write to everybody; returns the message as it enters one's own history.

        Raises:
            UTDStreamException: `FORBIDDEN` while the chat is locked for this client's role;
                `VALIDATION` for blank text and for more than 4,000 characters; otherwise as
                `UTDSession.send_data`.

        Cancelling is safe; the message may have been sent.
        """
        if not text.strip():
            raise UTDStreamException("the text is blank", code=UTDErrorCode.VALIDATION)
        if len(text) > MAX_TEXT:
            raise UTDStreamException(
                f"a chat message holds at most {MAX_TEXT} characters, this one has {len(text)}",
                code=UTDErrorCode.VALIDATION,
            )
        session = self._session()
        local, identity = session.roster.local, session.identity
        if not rules.may_write(session.chat, session.roles.known.get(identity)):
            raise UTDStreamException(
                "the chat is locked for the audience", code=UTDErrorCode.FORBIDDEN
            )
        message = ChatMessage(uuid.uuid4().hex, text, identity, time.time())
        wire = chat_to_wire(message, "" if local is None else local.name)
        # A lone half of a surrogate pair has no UTF-8 form; as an escape every reader takes it.
        await self._send_data(json.dumps(wire, separators=(",", ":")).encode())
        self._offer(ChatSent(message))
        return message
