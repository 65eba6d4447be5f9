"""`session.chat`: writing and reading in a room's chat."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import reactivex
from attrs import frozen
from reactivex import Observable, abc

from utd_rx.models.chat import ChatMessage
from utd_rx.ports.clock import Clock
from utd_rx.protocol import chat as rules
from utd_rx.protocol.facts.words import ChatSent
from utd_rx.sessions.runner import Runner
from utd_rx.state import StateSubject
from utd_rx.state.errors import Uncopied
from utd_rx.state.piping import piped
from utd_rx.state.reports import report


@frozen(eq=False, repr=False)
class RoomChat(Uncopied):
    """The chat of one session.

    Attributes:
        history: The last 300 messages, oldest first: `session.chat_history`.
    """

    COPY_INSTEAD = "`chat.history.value`"

    history: StateSubject[tuple[ChatMessage, ...]]
    _runner: Runner[Any]
    _clock: Clock
    _write: Callable[[ChatMessage, str], Awaitable[None]]

    def __repr__(self) -> str:
        lock = ", locked" if self._runner.session.chat.is_locked else ""
        return f"<RoomChat of {self._runner.room_name!r}, {len(self.history.value)} messages{lock}>"

    @property
    def messages(self) -> Observable[ChatMessage]:
        """Each message that comes from now on, this client's own among them, once.

        In the order of `history`, which is up to date when one is told; of more than 300 in one
        turn of the loop, the last 300.
        """
        messages: Observable[ChatMessage] = piped(reactivex.create(self._each))
        return messages

    def _each(
        self, observer: abc.ObserverBase[ChatMessage], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        known: tuple[ChatMessage, ...] | None = None

        def on_next(history: tuple[ChatMessage, ...]) -> None:
            nonlocal known
            before, known = known, history
            for message in () if before is None else _behind(before, history):
                try:
                    observer.on_next(message)
                except BaseException as error:  # noqa: BLE001 - or an interrupt, and raised
                    report(error, "an observer of chat.messages")

        return self.history.subscribe(on_next, observer.on_error, observer.on_completed)

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
        await self._write(message, "" if local is None else local.name)
        self._runner.offer(ChatSent(message))
        return message


def _behind(
    before: tuple[ChatMessage, ...], history: tuple[ChatMessage, ...]
) -> tuple[ChatMessage, ...]:
    """Return the messages that came since a history was as `before`."""
    for index in range(len(history), 0, -1):
        if before and history[index - 1] is before[-1]:
            return history[index:]
    return history
