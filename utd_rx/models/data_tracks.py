"""Data tracks: named streams of small frames of bytes that participants publish: LiveKit's."""

from __future__ import annotations

from typing import Final

from attrs import field, frozen
from attrs.validators import ge, le, optional

from utd_rx.models.checks import typed
from utd_rx.models.value import Value

MAX_TIMESTAMP: Final = 2**64 - 1


@frozen(field_transformer=typed)
class DataTrackInfo(Value):
    """A published data track; its publisher's name of it stays, its sid may change.

    Attributes:
        sid: The media server's id of it.
        name: Its publisher's, one of a kind among theirs.
    """

    sid: str
    name: str


@frozen(field_transformer=typed)
class DataTrackFrame(Value):
    """One frame of a data track.

    Attributes:
        payload: What it holds, at least one byte.
        user_timestamp: The publisher's own number for it, 0 to 2**64 - 1, None where it gave none:
            of what clock and in which unit is theirs to say.
        missed: How many frames that came before it are gone, as an app whose room lives in a media
            process stood still for longer than they are kept for it. What LiveKit lost is not in
            it: that nobody is told.
    """

    payload: bytes = field(repr=False)
    user_timestamp: int | None = field(default=None, validator=optional([ge(0), le(MAX_TIMESTAMP)]))
    missed: int = field(default=0, validator=ge(0))
