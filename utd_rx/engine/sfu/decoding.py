"""Decode what clients say, and bound it: every text, list and map of every message.

`_MOST` names the fields that may hold more than an id or a handful. Everything else, known today
or not, has one of the two defaults, and fields this server does not know are dropped. So no
handler keeps, echoes or broadcasts anything without a bound.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.message import DecodeError, Message
from livekit.protocol import rtc

from utd_rx.engine.sfu import limits
from utd_rx.engine.sfu.limits import LimitError

_TEXT: Final = 256  # bytes of an id, a name, a codec
_ENTRIES: Final = 64  # of a list or a map

# Bytes of a text, entries of a list or a map; with "[]", bytes of each text in a map.
_MOST: Final[Mapping[str, int]] = {
    "SessionDescription.sdp": limits.MAX_SIGNAL_BYTES,  # `sdp` bounds what it takes out of it
    "SessionDescription.mid_to_track_id": limits.MAX_SECTIONS,
    "TrickleRequest.candidateInit": 2048,
    "ClientInfo.other_sdks": 2048,
    "UpdateParticipantMetadata.metadata": limits.MAX_METADATA_BYTES,
    "UpdateParticipantMetadata.attributes": 1024,
    "UpdateParticipantMetadata.attributes[]": limits.MAX_ATTRIBUTES_BYTES,
    "UpdateSubscription.track_sids": limits.MAX_WISHES,
    "UpdateSubscription.participant_tracks": limits.MAX_WISHES,
    "ParticipantTracks.track_sids": limits.MAX_WISHES,
    "SubscriptionPermission.track_permissions": 1024,
    "SyncState.track_sids_disabled": limits.MAX_WISHES,
    "SyncState.datachannel_receive_states": limits.MAX_WISHES,
}


def decode_request(data: bytes) -> rtc.SignalRequest:
    """Decode one message of a signal connection.

    Raises:
        DecodeError: it is none.
        LimitError: a field of it is too large; names the field.
    """
    request = rtc.SignalRequest.FromString(data)
    name = _too_large(request)
    if name is not None:
        raise LimitError(f"{name} exceeds limits", request.update_metadata.request_id)
    request.DiscardUnknownFields()
    return request


def decode_join_request(value: str) -> rtc.JoinRequest:
    """Decode the `join_request` query parameter: base64url of a WrappedJoinRequest, maybe gzip.

    Raises:
        ValueError: it is missing, malformed, or too large.
    """
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
    name = _too_large(request)
    if name is not None:
        raise LimitError(f"{name} exceeds limits")
    request.DiscardUnknownFields()
    return request


def _gunzip(data: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    unpacked = unpacker.decompress(data, limits.MAX_SIGNAL_BYTES)
    if not unpacker.eof:
        raise ValueError("join request too large or cut short")
    return unpacked


def _too_large(value: Any, name: str = "") -> str | None:
    """Name the first field of a message, at any depth, that holds more than it may."""
    if isinstance(value, Message):
        parts = [(part, one.full_name.removeprefix("livekit.")) for one, part in value.ListFields()]
    elif isinstance(value, int | float):
        return None
    elif isinstance(value, str | bytes):
        size = len(value.encode() if isinstance(value, str) else value)
        return name if size > _MOST.get(name, _TEXT) else None
    elif len(value) > _MOST.get(name, _ENTRIES):
        return name
    else:
        entries = [*value, *value.values()] if isinstance(value, Mapping) else value
        parts = [(entry, f"{name}[]") for entry in entries]
    return next((found for part in parts if (found := _too_large(*part))), None)
