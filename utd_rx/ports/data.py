"""What a data message may be, for every room alike."""

from __future__ import annotations

from typing import Final

from attrs import field, frozen
from attrs.converters import optional

from utd_rx.errors import invalid
from utd_rx.models.checks import flag, identities, payload

MAX_DATA: Final = 63_000
"""Bytes of one data message: LiveKit's data channel takes 64,000 with its own header of about 28
and the topic, and refuses more after the fact (docs/livekit.md, "Sizes")."""

_PER_DESTINATION: Final = 3
"""Bytes each identity it is addressed to takes besides its own: a tag and a length."""


def _reliable(value: bool) -> bool:
    return flag(value, "reliable")


@frozen
class DataMessage:
    """A message that can be sent, any other raises `VALIDATION`; `to` is None for everybody."""

    data: bytes = field(repr=False, converter=payload)
    topic: str = field(default="", kw_only=True)
    to: tuple[str, ...] | None = field(default=None, kw_only=True, converter=optional(identities))
    reliable: bool = field(default=True, kw_only=True, converter=_reliable)

    def __attrs_post_init__(self) -> None:
        try:
            addressed = sum(len(who.encode()) + _PER_DESTINATION for who in self.to or ())
            size = len(self.data) + len(self.topic.encode()) + addressed
        except (AttributeError, UnicodeEncodeError) as error:
            raise invalid("A topic and identities are text that UTF-8 can say.") from error
        if size > MAX_DATA:
            raise invalid(
                f"A data message holds at most {MAX_DATA} bytes with its topic and destinations: "
                f"LiveKit's data channel takes 64,000 including its header. This one has {size}."
            )
