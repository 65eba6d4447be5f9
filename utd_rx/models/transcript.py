"""What was said in a room, as somebody who listens there has written it down."""

from __future__ import annotations

from attrs import field, frozen

from utd_rx.models.checks import typed
from utd_rx.models.value import Value


@frozen(field_transformer=typed)
class TranscriptSegment(Value):
    """A piece of a transcription as LiveKit's packet has it: the words so far, or at last."""

    id: str
    text: str = field(repr=False)
    is_final: bool = False
    language: str = ""


@frozen(field_transformer=typed)
class TranscriptTurn(Value):
    """What somebody said in one go, as `AgentTurn` of a voice agent.

    Attributes:
        id: Of it, among those of who wrote it down.
        speaker: The identity of whose words they are said to be; None when that is not known.
        text: All of it, as last told.
        is_final: It is over; a correction may still come.
        was_cut: It was not told to its end.
        told_by: Who wrote it down, as the media server vouches for it: of anybody else's words it
            is their claim, and all who may send data can make one. None where LiveKit names
            nobody: a packet of the older kind.
        track_sid: The track that was listened to, "" when that was not told.
        language: Of the words, as a tag like "en-US"; "" when that was not told.
    """

    id: str
    speaker: str | None
    text: str = field(repr=False)
    is_final: bool = False
    was_cut: bool = False
    told_by: str | None = None
    track_sid: str = ""
    language: str = ""
