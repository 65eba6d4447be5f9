"""A chat message."""

from __future__ import annotations

from attrs import field, frozen

from utd_rx.models.checks import typed
from utd_rx.models.value import Value


@frozen(field_transformer=typed)
class ChatMessage(Value):
    """Something written in a room's chat.

    Args:
        id: The sender's name of the message; "" when it gave none.
        text: What was written.
        sender: Who sent it, as the transport says; what the message itself claims counts for
            nothing. None for somebody LiveKit does not know yet: a newcomer, for about 3 s.
        sent_at: When, by the sender's clock, in Unix seconds; None when it did not say.
    """

    id: str
    text: str = field(repr=False)
    sender: str | None
    sent_at: float | None = None
