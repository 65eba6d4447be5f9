"""What a data message may be, for every room alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import field, frozen

from utd_rx.errors import invalid
from utd_rx.models.checks import flag, identities, payload

MAX_DATA: Final = 63_000
"""Bytes of one data message: LiveKit's data channel takes 64,000 with its own header of about 28
and the topic, and refuses more after the fact (docs/livekit.md, "Sizes")."""

_PER_DESTINATION: Final = 3
"""Bytes each identity it is addressed to takes besides its own: a tag and a length."""


@frozen
class DataMessage:
    """A message that can be sent; `to` is None for everybody."""

    data: bytes = field(repr=False)
    topic: str
    to: tuple[str, ...] | None
    reliable: bool


def data_message(
    data: bytes | bytearray | memoryview,
    *,
    topic: str = "",
    to: Sequence[str] | None = None,
    reliable: bool = True,
) -> DataMessage:
    """Return what `RoomPort.send_data` is to send.

    Raises:
        UTDStreamException: `VALIDATION` no bytes, a bare string for `to`, a topic that is no text,
            `reliable` that is no bool, or over `MAX_DATA`.
    """
    several = None if to is None else identities(to)
    message = DataMessage(payload(data), topic, several, flag(reliable, "reliable"))
    try:
        addressed = sum(len(who.encode()) + _PER_DESTINATION for who in message.to or ())
        size = len(message.data) + len(topic.encode()) + addressed
    except (AttributeError, UnicodeEncodeError) as error:
        raise invalid("A topic and identities are text that UTF-8 can say.") from error
    if size > MAX_DATA:
        raise invalid(
            f"A data message holds at most {MAX_DATA} bytes with its topic and destinations: "
            f"LiveKit's data channel takes 64,000 including its header. This one has {size}."
        )
    return message
