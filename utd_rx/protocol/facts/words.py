"""What is told of words: those that are written in the chat, and those that are transcribed."""

from __future__ import annotations

from attrs import field, frozen

from utd_rx.models.chat import ChatMessage
from utd_rx.protocol.facts import Fact


@frozen
class ChatSent(Fact):
    """A chat message of this client is on its way."""

    message: ChatMessage


@frozen
class ChatReceived(Fact):
    """Somebody's chat message has come, as a text."""

    message: ChatMessage


@frozen
class WordsTranscribed(Fact):
    """Somebody, `told_by`, has written down words of the track, "" when it is not told whose.

    `text` is all of the turn `id` so far, "" when it is what was told before.
    """

    told_by: str
    id: str
    text: str = field(repr=False)
    is_final: bool = False
    was_cut: bool = False
    track_sid: str = ""
    language: str = ""
