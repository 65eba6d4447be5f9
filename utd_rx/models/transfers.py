"""Texts and files that participants of a room send each other: LiveKit's text and byte streams."""

from __future__ import annotations

from attrs import frozen

from utd_rx.models.checks import typed
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.value import Value


@frozen(field_transformer=typed)
class TransferInfo(Value):
    """What is known of a text or a file when it begins; its sender's word, all but `sender`.

    Attributes:
        id: Of the stream, as LiveKit has it.
        sender: The identity of who sends it, as the media server vouches for it.
        topic: What it was sent on.
        name: A file's, any text: no path; "" of a text.
        mime_type: What it says it is.
        size: Bytes that are announced, None when none are; what is read is counted by itself.
        attributes: Text by key.
        sent_at: When it began, by the sender's clock, in Unix seconds; None when it did not say.
    """

    id: str
    sender: str
    topic: str
    name: str = ""
    mime_type: str = ""
    size: int | None = None
    attributes: FrozenMap[str, str] = FrozenMap()
    sent_at: float | None = None


@frozen(field_transformer=typed)
class TransferProgress(Value):
    """How much of a file is on its way: bytes of all bytes."""

    sent: int
    total: int
