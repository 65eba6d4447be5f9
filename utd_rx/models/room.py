"""What a media server says of a room as a whole."""

from __future__ import annotations

from attrs import field, frozen

from utd_rx.models.checks import typed
from utd_rx.models.value import Value


@frozen(field_transformer=typed)
class RoomInfo(Value):
    """A room as the media server names it; all "" before the first connection.

    An engine's rooms have another name there than in the app. `sid` is that of this life of the
    room: a room that ended and was made anew has another one.
    """

    name: str = ""
    sid: str = ""
    metadata: str = field(default="", repr=False)
