"""Role changes, the chat lock and bans (docs/contract.md, "Data messages" and "Bans")."""

from __future__ import annotations

from typing import Final

from attrs import asdict, frozen

from utd_rx.models.ban import UTDBan
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.protocol.wire.reading import (
    Json,
    read_bool,
    read_int,
    read_list,
    read_object,
    read_text,
    read_texts,
)

IDENTITY_KEYS: Final = ("identity", "occupant_identity", "participant_identity", "user_id")
"""Where the subject of a role change may be, in order of preference
(docs/contract.md, "Data messages")."""

COMMENT_LOCK_KEY: Final = "_comment_lock"
"""The key in room metadata; also the type of the push."""

_BAN_TEXTS: Final = ("name", "room_name", "reason", "banned_at", "expires_at")


@frozen
class RoleChange:
    """Somebody's role is `role` now; roles are spelled as on the wire."""

    identity: str
    role: str
    previous_role: str | None = None


def role_change_to_wire(change: RoleChange) -> dict[str, object]:
    """Write what `PUT …/role` answers and `_role_change` carries."""
    return asdict(change)


def role_change_from_wire(wire: Json) -> RoleChange | None:
    """Read it; None without the identity or the role."""
    identity = next((text for key in IDENTITY_KEYS if (text := read_text(wire.get(key)))), None)
    role = read_text(wire.get("role"))
    if identity is None or role is None:
        return None
    return RoleChange(identity, role, read_text(wire.get("previous_role")))


def comment_lock_to_wire(is_locked: bool) -> dict[str, object]:
    """Write what `_comment_lock` carries, in the push and in room metadata alike."""
    return {"locked": is_locked}


def comment_lock_from_wire(wire: Json) -> bool | None:
    """Read the payload of the push, or the reply; None when it does not say."""
    return read_bool(wire.get("locked"))


def comment_lock_in_metadata(wire: Json) -> bool | None:
    """Read the lock from parsed room metadata, an object or a bare boolean; None without one."""
    value = wire.get(COMMENT_LOCK_KEY)
    lock = read_object(value)
    return comment_lock_from_wire(lock) if lock else read_bool(value)


def bans_from_wire(wire: Json) -> tuple[UTDBan, ...]:
    """Read a page of bans, under `data` or `bans`; unnamed ones are dropped."""
    entries = read_list(wire.get("data")) or read_list(wire.get("bans"))
    return tuple(
        UTDBan(
            identity=identity,
            id=read_int(entry.get("id")),
            attributes=FrozenMap(read_texts(entry.get("attributes"))),
            **{key: read_text(entry.get(key)) for key in _BAN_TEXTS},
        )
        for entry in map(read_object, entries)
        if (identity := read_text(entry.get("identity"))) is not None
    )


def ban_to_wire(ban: UTDBan) -> dict[str, object]:
    """Write one row of the list."""
    return {**asdict(ban, recurse=False), "attributes": dict(ban.attributes)}
