"""The list of bans on the wire (docs/contract.md, "Bans")."""

from __future__ import annotations

from typing import Final

from attrs import asdict

from utd_rx.models.ban import UTDBan
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.protocol.wire.reading import (
    Json,
    read_int,
    read_list,
    read_object,
    read_text,
    read_texts,
)

_TEXTS: Final = ("name", "room_name", "reason", "banned_at", "expires_at")


def bans_from_wire(wire: Json) -> tuple[UTDBan, ...]:
    """Read a page of bans, under `data` or `bans`; unnamed ones are dropped."""
    entries = read_list(wire.get("data")) or read_list(wire.get("bans"))
    bans = (_ban_from_wire(read_object(entry)) for entry in entries)
    return tuple(ban for ban in bans if ban is not None)


def ban_to_wire(ban: UTDBan) -> dict[str, object]:
    """Write one row of the list."""
    return {**asdict(ban, recurse=False), "attributes": dict(ban.attributes)}


def _ban_from_wire(entry: Json) -> UTDBan | None:
    identity = read_text(entry.get("identity"))
    if identity is None:
        return None
    return UTDBan(
        identity=identity,
        id=read_int(entry.get("id")),
        attributes=FrozenMap(read_texts(entry.get("attributes"))),
        **{key: read_text(entry.get(key)) for key in _TEXTS},
    )
