"""The chat of a plain room, as LiveKit's own components write it: a text each."""

from __future__ import annotations

from typing import Any

from utd_rx.protocol.facts.words import ChatReceived
from utd_rx.protocol.wire.chat import MAX_TEXT, TOPIC, from_text
from utd_rx.sessions.incoming_streams import IncomingText
from utd_rx.sessions.runner import Runner
from utd_rx.sessions.transfers import Transfers


def take_chat(runner: Runner[Any], transfers: Transfers) -> None:
    """Have the texts of the chat in the state of a session, each when it is whole."""

    def take(item: IncomingText) -> None:
        text = ""

        def add(part: str) -> None:
            nonlocal text
            text = (text + part)[:MAX_TEXT]

        def end() -> None:
            info = item.info
            message = from_text(text, info.id, info.sender, info.sent_at)
            if message is not None:
                runner.offer(ChatReceived(message))

        item.chunks.subscribe(add, on_error=lambda _: None, on_completed=end)

    transfers.take(TOPIC, take, "session.chat")
