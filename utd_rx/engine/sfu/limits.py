"""Bounds that no option changes; those of livekit-server where it has one
(docs/livekit.md, "Sizes").

So a client which stays inside them here stays inside them there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MAX_METADATA_BYTES: Final = 512 * 1024
MAX_ATTRIBUTES_BYTES: Final = 64 * 1024
MAX_NAME_BYTES: Final = 256
MAX_SIGNAL_BYTES: Final = 2 * 1024 * 1024
MAX_API_BODY_BYTES: Final = 10 * 1024 * 1024
# A participant has a handful of sources; a client that opens more is broken or hostile.
MAX_TRACKS: Final = 64
# Of an SDP: sections only grow, every publish adds one for ever.
MAX_SECTIONS: Final = 2048
# Tracks of others that one request names, or one participant has wishes about.
MAX_WISHES: Final = 4096


class LimitError(ValueError):
    """Something is larger than the server takes.

    Args:
        request_id: Of the request it came with, 0 for none.
    """

    def __init__(self, message: str, request_id: int = 0) -> None:
        super().__init__(message)
        self.request_id = request_id


def check_limits(
    *, name: str = "", metadata: str = "", attributes: Mapping[str, str] | None = None
) -> None:
    """Refuse what is larger than livekit-server takes, in its words.

    Raises:
        LimitError: at the first that is.
    """
    if len(name.encode()) > MAX_NAME_BYTES:
        raise LimitError("name length exceeds limits")
    if len(metadata.encode()) > MAX_METADATA_BYTES:
        raise LimitError("metadata size exceeds limits")
    items = (attributes or {}).items()
    if sum(len(key.encode()) + len(value.encode()) for key, value in items) > MAX_ATTRIBUTES_BYTES:
        raise LimitError("attribute size exceeds limits")
