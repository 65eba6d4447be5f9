"""Bounds of everything clients say, and decoding that holds them.

The bounds are livekit-server's where it has one (docs/livekit.md, "Sizes"). `_MOST` names the
fields of signal messages that may hold more than an id or a handful; every other one has one of the
two defaults, and unknown ones are dropped. So no handler keeps or sends anything without a bound.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.message import DecodeError, Message
from livekit.protocol import rtc

from utd_rx.engine.sfu.budget import Share

MAX_METADATA_BYTES: Final = 512 * 1024
MAX_ATTRIBUTES_BYTES: Final = 64 * 1024
MAX_NAME_BYTES: Final = 256
MAX_SIGNAL_BYTES: Final = 2 * 1024 * 1024
# The largest honest one sets metadata and attributes. livekit-server takes 10 MiB, which are 0.2 s
# of decoding where all of it is entries of a list.
MAX_API_BODY_BYTES: Final = 2 * 1024 * 1024
# A participant has a handful of sources; a client that opens more is broken or hostile.
MAX_TRACKS: Final = 64
# Of a video: there are names for that many. Everybody hears of each.
MAX_LAYERS: Final = 8
# Of an SDP: sections only grow, every publish adds one for ever.
MAX_SECTIONS: Final = 2048
# Tracks of others that one request names, or one participant has wishes about.
MAX_WISHES: Final = 4096
# Fields, and entries of lists and maps, of one message at all depths together: the largest honest
# one names every wish, and tells of every own track.
MAX_ENTRIES: Final = 32_768
# Of one participant, seconds of the loop for each second and at once: what handling its requests,
# data and RTCP may take. Beyond it requests and data wait, and RTCP is dropped.
_SHARE: Final = 0.25
_SHARE_BURST: Final = 0.0125
# Of one turn of the loop: what is left of it waits for another, and others come between.
_SHARE_TURN: Final = 0.0025

# Receivers of a message in one part of a turn: of the largest each costs 0.3 ms.
SENT_AT_ONCE: Final = 8

_TEXT: Final = 256  # bytes of an id, a name, a codec
_ENTRIES: Final = 64  # of a list or a map

# Bytes of a text, entries of a list or a map; with "[]", bytes of each text in a map.
_MOST: Final[Mapping[str, int]] = {
    "SessionDescription.sdp": MAX_SIGNAL_BYTES,  # `sdp` bounds what it takes out of it
    "SessionDescription.mid_to_track_id": MAX_SECTIONS,
    "TrickleRequest.candidateInit": 2048,
    "ClientInfo.other_sdks": 2048,
    "AddTrackRequest.layers": MAX_LAYERS,
    "SimulcastCodec.layers": MAX_LAYERS,
    "UpdateParticipantMetadata.metadata": MAX_METADATA_BYTES,
    "UpdateParticipantMetadata.attributes": 1024,
    "UpdateParticipantMetadata.attributes[]": MAX_ATTRIBUTES_BYTES,
    "UpdateSubscription.track_sids": MAX_WISHES,
    "UpdateSubscription.participant_tracks": MAX_WISHES,
    "ParticipantTracks.track_sids": MAX_WISHES,
    "UpdateTrackSettings.track_sids": MAX_WISHES,
    "UpdateDataSubscription.updates": MAX_WISHES,
    "SubscriptionPermission.track_permissions": 1024,
    "SyncState.track_sids_disabled": MAX_WISHES,
    "SyncState.datachannel_receive_states": MAX_WISHES,
}


class LimitError(ValueError):
    """Something is larger than the server takes; `request_id` is of the request it came with, and
    `about` what else a client knows it by: fields of a `RequestResponse`."""

    def __init__(
        self, message: str, request_id: int = 0, about: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.request_id = request_id
        self.about = dict(about or {})


def share() -> Share:
    """What one participant may use of the loop."""
    return Share(_SHARE, _SHARE_BURST, _SHARE_TURN)


def check_limits(
    name: str = "", metadata: str = "", attributes: Mapping[str, str] | None = None
) -> None:
    """Raise `LimitError` for what is larger than livekit-server takes, in its words."""
    if len(name.encode()) > MAX_NAME_BYTES:
        raise LimitError("name length exceeds limits")
    if len(metadata.encode()) > MAX_METADATA_BYTES:
        raise LimitError("metadata size exceeds limits")
    items = (attributes or {}).items()
    if sum(len(key.encode()) + len(value.encode()) for key, value in items) > MAX_ATTRIBUTES_BYTES:
        raise LimitError("attribute size exceeds limits")


def decode_request(data: bytes) -> rtc.SignalRequest:
    request = rtc.SignalRequest.FromString(data)
    _bound(request, request.update_metadata.request_id, _known_by(request))
    return request


def _known_by(request: rtc.SignalRequest) -> Mapping[str, Any]:
    """Return by what a client knows a request that has no id: it waits for a word about that."""
    match request.WhichOneof("message"):
        case "publish_data_track_request":
            handle = request.publish_data_track_request.pub_handle
            return {"publish_data_track": rtc.PublishDataTrackRequest(pub_handle=handle)}
        case "add_track" if len(request.add_track.cid) <= _TEXT:  # a part of it says nothing
            return {"add_track": rtc.AddTrackRequest(cid=request.add_track.cid)}
    return {}


def decode_join_request(value: str) -> rtc.JoinRequest:
    """Decode the `join_request` query parameter, base64url and maybe gzip, or raise ValueError."""
    if not value:
        raise ValueError("join_request is required")
    plain = value.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        wrapped = rtc.WrappedJoinRequest.FromString(
            base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
        )
        packed = wrapped.join_request
        if wrapped.compression == rtc.WrappedJoinRequest.GZIP:
            packed = _gunzip(packed)
        request = rtc.JoinRequest.FromString(packed)
    except (binascii.Error, DecodeError, zlib.error) as error:
        raise ValueError("cannot decode join request") from error
    _bound(request)
    return request


def check_join_request(request: rtc.JoinRequest) -> rtc.JoinRequest:
    """Return a request that holds no more than it may, or raise LimitError."""
    _bound(request)
    return request


def check_entries(request: Message) -> None:
    """Raise `LimitError` for a call of the server API with more in it than any honest one has."""
    if _too_large(request, is_of_a_client=False) is not None:
        raise LimitError("request exceeds limits")


def _bound(
    request: Message, request_id: int = 0, known_by: Mapping[str, Any] | None = None
) -> None:
    name = _too_large(request)
    if name is not None:
        raise LimitError(f"{name} exceeds limits", request_id, known_by)
    request.DiscardUnknownFields()


def _gunzip(data: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    unpacked = unpacker.decompress(data, MAX_SIGNAL_BYTES)
    if not unpacker.eof:
        raise ValueError("join request too large or cut short")
    return unpacked


def _too_large(message: Message, *, is_of_a_client: bool = True) -> str | None:
    """Name the first field, at any depth, that holds more than a client may say; "request" when all
    of them together do, of which no more than `MAX_ENTRIES` are looked at."""
    waiting: deque[tuple[Any, str]] = deque([(message, "request")])
    left = MAX_ENTRIES
    while waiting:
        value, name = waiting.popleft()
        if isinstance(value, Message):
            parts = value.ListFields()
            left -= len(parts)
            waiting += [(part, one.full_name.removeprefix("livekit.")) for one, part in parts]
        elif isinstance(value, str | bytes):
            size = len(value.encode() if isinstance(value, str) else value)
            if is_of_a_client and size > _MOST.get(name, _TEXT):
                return name
        elif not isinstance(value, int | float):
            left -= len(value)
            if is_of_a_client and len(value) > _MOST.get(name, _ENTRIES):
                return name
            if left >= 0 and not _are_short(value, _MOST.get(f"{name}[]", _TEXT)):
                entries = [*value, *value.values()] if isinstance(value, Mapping) else value
                waiting += [(entry, f"{name}[]") for entry in entries]
        if left < 0:
            return "request"
    return None


def _are_short(entries: Any, most: int) -> bool:
    """Whether it is a list of numbers, or of texts that need not be looked at one by one."""
    if not entries or isinstance(entries, Mapping):
        return not entries
    if isinstance(entries[0], str):
        return 4 * max(map(len, entries)) <= most  # bytes of a sign, at most
    return isinstance(entries[0], int | float)
