"""The chat of a plain room, as LiveKit's own components write it: a text each."""

from __future__ import annotations

from typing import Any

from utd_rx.protocol.facts.words import ChatReceived
from utd_rx.protocol.wire.chat import MAX_TEXT, TOPIC, from_text
from utd_rx.sessions.incoming_streams import IncomingText
from utd_rx.sessions.runner import Runner
from utd_rx.sessions.text_order import TextOrder
from utd_rx.sessions.transfers import Transfers


def take_chat(runner: Runner[Any], transfers: Transfers) -> None:
    """Have the texts of the chat in the state of a session, each when it is whole and those that
    its sender began before are, or failed."""
    order = TextOrder(runner)

    def take(item: IncomingText) -> None:
        text, place = "", order.begin(item.info.sender)

        def add(part: str) -> None:
            nonlocal text
            text = (text + part)[:MAX_TEXT]

        def end() -> None:
            info = item.info
            message = from_text(text, info.id, info.sender, info.sent_at)
            if message is not None:
                place.tell(ChatReceived(message))
            place.pass_on()

        item.chunks.subscribe(add, on_error=lambda _: place.pass_on(), on_completed=end)

    transfers.take(TOPIC, take, "session.chat")
