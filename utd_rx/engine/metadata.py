"""Metadata as the engine writes it: a participant's, and a room's (docs/contract.md, "Metadata").

Both have two authors, and the app's own keys never overwrite the server's. Those carry what must
survive in a token that LiveKit refreshes: the role, and the serial of the mint.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from attrs import evolve, frozen

from utd_rx.engine.options import Secrets
from utd_rx.engine.rules import room_state, seat_state, stage_state
from utd_rx.engine.rules.roles import Role
from utd_rx.engine.rules.room_state import RoomState
from utd_rx.engine.rules.seat_state import SetUpSeats
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol.wire.moderation import (
    COMMENT_LOCK_KEY,
    comment_lock_in_metadata,
    comment_lock_to_wire,
)
from utd_rx.protocol.wire.reading import Json, parse_object, read_int, read_object, read_text
from utd_rx.protocol.wire.seats import MODES, grid_from_wire, grid_to_push
from utd_rx.protocol.wire.stage import STAGE_KEY, stage_in_metadata, stage_to_wire

SERVER_KEYS: Final = frozenset({"role", "type", "service", "appId", "projectId", "videoEffects"})
"""The server's keys of a participant, beside those that start with `_`."""

# The legacy spelling of the type, which apps of the first generation still read
# (docs/contract.md, "Metadata").
_SERVICES: Final[Mapping[UTDStreamType, str]] = {
    UTDStreamType.AUDIO_ROOM: "rooms",
    UTDStreamType.LIVE_STREAM: "streaming",
    UTDStreamType.AUDIO_CALL: "calls",
    UTDStreamType.VIDEO_CALL: "calls",
}


@frozen
class MintedMetadata:
    """What the engine reads back from the metadata of a participant it admitted."""

    serial: int
    role: Role
    type: UTDStreamType
    layout: SetUpSeats | None = None


def write_metadata(
    secrets: Secrets,
    *,
    role: Role,
    type: UTDStreamType,  # noqa: A002 - the word of the wire
    serial: int,
    device: Mapping[str, str],
    image: str | None,
    custom: Mapping[str, object],
    layout: SetUpSeats | None = None,
) -> str:
    """Return the metadata of a fresh mint; `layout` is of the grid that is made anew from it."""
    server: dict[str, object] = {
        "role": role.value,
        "type": type.value,
        "service": _SERVICES[type],
        "appId": secrets.app_id,
        "projectId": secrets.app_id,
        "videoEffects": "os" in device,
        "_device": device,
        "_mint": serial,
    }
    if layout is not None:
        server["_layout"] = {
            "seat_count": layout.count,
            "seat_mode": layout.mode and layout.mode.value,
            "mode_id": layout.mode_id,
            "host_seat": layout.host_seat,
        }
    shown = {} if image is None else {"image": image}
    return _dump({**shown, **_of_app(custom), **server})


def read_metadata(metadata: str) -> MintedMetadata | None:
    """Read it back; None for a participant this engine did not admit."""
    wire = _load(metadata)
    serial = read_int(wire.get("_mint"))
    role, type_ = wire.get("role"), wire.get("type")
    if serial is None or not isinstance(role, str) or not isinstance(type_, str):
        return None
    layout = read_object(wire.get("_layout"))
    seats = SetUpSeats(
        read_int(layout.get("seat_count")),
        MODES.get(read_text(layout.get("seat_mode")) or ""),
        read_text(layout.get("mode_id")),
        read_int(layout.get("host_seat")),
    )
    try:
        return MintedMetadata(serial, Role(role), UTDStreamType(type_), seats if layout else None)
    except ValueError:
        return None


def with_role(metadata: str, role: Role) -> str:
    return _dump({**_load(metadata), "role": role.value})


def with_custom(metadata: str, custom: Mapping[str, object]) -> str:
    server = {key: value for key, value in _load(metadata).items() if _is_servers(key)}
    return _dump({**_of_app(custom), **server})


def room_metadata_of(state: RoomState) -> str:
    """Return the metadata of LiveKit's room: what somebody who joins late needs."""
    server: dict[str, object] = {COMMENT_LOCK_KEY: comment_lock_to_wire(state.are_comments_locked)}
    if state.type is UTDStreamType.AUDIO_ROOM:
        server = {"_seats": grid_to_push(state.seats.grid), **server}
    if state.type is UTDStreamType.LIVE_STREAM:
        server = {STAGE_KEY: stage_to_wire(room_state.stage_of(state)), **server}
    return _dump({**_load(state.metadata), **server})


def taken_over(fresh: RoomState, metadata: str, now: float) -> RoomState:
    """Return a room whose half at the media server was there before the engine, as that tells."""
    wire = _load(metadata)
    grid = read_object(wire.get("_seats"))
    seats = seat_state.taken_over(grid_from_wire(grid), now) if grid else fresh.seats
    stage, owner = fresh.stage, fresh.owner
    if (told := stage_in_metadata(wire)) is not None:
        hosts = (who.identity for who in told.members if who.role == Role.HOST.value)
        owner = next(hosts, None)
        stage = stage_state.taken_over(stage, told, owner, now)
    return evolve(
        fresh,
        owner=owner,
        seats=seats,
        stage=stage,
        are_comments_locked=comment_lock_in_metadata(wire) or False,
        metadata=custom_room_metadata(wire),
    )


def custom_room_metadata(custom: Mapping[str, object]) -> str:
    """Return the app's own part of a room's metadata, as the room's state keeps it."""
    return _dump({key: value for key, value in custom.items() if not key.startswith("_")})


def _is_servers(key: str) -> bool:
    return key.startswith("_") or key in SERVER_KEYS


def _of_app(custom: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in custom.items() if not _is_servers(key)}


def _load(metadata: str) -> Json:
    return read_object(parse_object(metadata) if metadata else None)


def _dump(wire: Mapping[str, object]) -> str:
    return json.dumps(wire, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
