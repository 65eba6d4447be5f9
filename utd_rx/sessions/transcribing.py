"""What is said in a room, as LiveKit's agents write it down: texts of a topic (docs/livekit.md,
"Transcriptions")."""

from __future__ import annotations

from typing import Any, Final

from utd_rx.protocol.facts.words import WordsTranscribed
from utd_rx.protocol.transcribing import MAX_LABEL, MAX_WORDS
from utd_rx.sessions.incoming_streams import IncomingText
from utd_rx.sessions.runner import Runner
from utd_rx.sessions.text_order import TextOrder
from utd_rx.sessions.transfers import Transfers

TRANSCRIPTIONS: Final = "lk.transcription"


def take_transcriptions(runner: Runner[Any], transfers: Transfers) -> None:
    """Have the texts of the topic in the state of a session, as they grow, each when those that
    its sender began before have begun to say something, or are over."""
    order = TextOrder(runner)

    def take(item: IncomingText) -> None:
        text, place = "", order.begin(item.info.sender)
        told = {key: value[:MAX_LABEL] for key, value in item.info.attributes.items()}

        def tell(*, is_final: bool = False, was_cut: bool = False) -> None:
            words = WordsTranscribed(
                item.info.sender,
                told.get("lk.segment_id") or item.info.id[:MAX_LABEL],
                text,
                is_final,
                was_cut,
                told.get("lk.transcribed_track_id", ""),
                told.get("lk.transcription_language", ""),
            )
            place.tell(words)
            place.pass_on()

        def add(part: str) -> None:
            nonlocal text
            if len(text) < MAX_WORDS:
                text = (text + part)[:MAX_WORDS]
                tell()

        def end() -> None:
            # "false" is of words that another text of the same turn will correct.
            if item.attributes.get("lk.transcription_final") != "false":
                tell(is_final=True)
            place.pass_on()

        def fail(_: Exception) -> None:
            tell(is_final=True, was_cut=True)

        item.chunks.subscribe(add, on_error=fail, on_completed=end)

    transfers.take(TRANSCRIPTIONS, take, "session.transcript")
