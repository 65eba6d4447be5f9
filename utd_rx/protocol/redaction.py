"""What a recording may show: who did what, not what was said.

Payloads and metadata belong to the app and may hold secrets; they are the fields with `repr=False`
(tokens are in no state and no item). Each is replaced by a *mark* that tells its length and whether
two were equal, keyed by a key that is thrown away, or a short payload could be looked up. What the
rules read of the engine's words is kept, so that a redacted recording goes through the same states:
`step(redact(state), redact(item)) == redact(step(state, item))`. Identities, names and attributes
are kept as well: everybody in the room sees them, and a recording without them would tell nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import attrs
from attrs import evolve, frozen

from utd_rx.models import events as e
from utd_rx.models.ban import UTDBanNotice
from utd_rx.models.call import UTDCall
from utd_rx.models.chat import ChatMessage
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import LocalParticipant, RemoteParticipant
from utd_rx.protocol import chat, data, roles
from utd_rx.protocol.call import call_in_metadata
from utd_rx.protocol.facts.people import BanHinted
from utd_rx.protocol.facts.seats import SeatGridHinted
from utd_rx.protocol.kinds import KINDS
from utd_rx.protocol.roster import Roster
from utd_rx.protocol.wire.app_json import plain_json
from utd_rx.protocol.wire.calls import METADATA_KEY, call_to_wire
from utd_rx.protocol.wire.chat import chat_to_wire
from utd_rx.protocol.wire.moderation import COMMENT_LOCK_KEY
from utd_rx.protocol.wire.reading import parse_object
from utd_rx.protocol.wire.seats import grid_to_push

T = TypeVar("T")


@frozen
class Redaction:
    """Makes the marks of one recording."""

    key: bytes = attrs.field(repr=False)

    def __call__(self, value: T) -> T:
        """Return `value` as it may be recorded."""
        return cast("T", self._redact(value))

    def mark(self, secret: bytes) -> str:
        """Return what stands for `secret`; nothing stands for itself."""
        if not secret:
            return ""
        digest = hmac.new(self.key, secret, hashlib.sha256).hexdigest()[:16]
        return f"<redacted {len(secret)} bytes #{digest}>"

    def text(self, secret: str) -> str:
        return self.mark(secret.encode("utf-8", "surrogatepass"))

    def _redact(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple([self._redact(entry) for entry in value])
        if isinstance(value, FrozenMap):
            return FrozenMap((key, self._redact(entry)) for key, entry in value.items())
        if not attrs.has(type(value)):
            return value
        changes = {
            field.name: after
            for field in attrs.fields(type(value))
            if (after := self._redact(before := getattr(value, field.name))) is not before
        }
        if hide := HIDE.get(type(value)):
            changes |= hide(self, value)
        return evolve(value, **changes) if changes else value


def _participant(redaction: Redaction, who: Any) -> dict[str, object]:
    """A participant's metadata: keep the role that the rules read there."""
    mark, role = redaction.text(who.metadata), roles.role_in(who.metadata)
    return {"metadata": mark if role is None else _json({"role": role.value, "redacted": mark})}


def _room(redaction: Redaction, room: Any) -> dict[str, object]:
    """Room metadata is the engine's: keep what the rules read there."""
    mark = redaction.text(room.metadata)
    kept: dict[str, object] = {}
    if (told := data.seats_in_metadata(room.metadata)) is not None:
        kept["_seats"] = grid_to_push(told.grid)
    if (call := call_in_metadata(room.metadata)) is not None:
        kept[METADATA_KEY] = call_to_wire(redaction(call).call)
    if (lock := chat.is_locked_in(room.metadata)) is not None:
        kept[COMMENT_LOCK_KEY] = lock
    return {"metadata": _json({**kept, "redacted": mark}) if kept else mark}


def _call(redaction: Redaction, call: UTDCall) -> dict[str, object]:
    """A call's metadata is its caller's; a token has no business in a recording."""
    said = call.metadata and {"redacted": redaction.text(_json(plain_json(call.metadata)))}
    return {"metadata": FrozenMap(said), "token": None, "url": None}


def _data(redaction: Redaction, event: e.DataReceived) -> dict[str, object]:
    """Keep what the rules read of a message: what the engine hints at, or that it is forged."""
    hinted = data.decode(event, DECODERS)
    mark = redaction.mark(event.payload)
    kept: dict[str, object] = {}
    if isinstance(hinted, SeatGridHinted):
        kept = {"type": "_seat_update", **grid_to_push(hinted.grid), "redacted": mark}
    elif hinted is not None:
        wire = parse_object(event.payload) or {}
        kept = {key: wire[key] for key in _ENGINES_WORDS if isinstance(wire.get(key), _SCALARS)}
        if isinstance(hinted, BanHinted) and hinted.notice.reason is not None:
            kept["reason"] = redaction.text(hinted.notice.reason)
        kept["redacted"] = mark
    elif (message := chat.decode(event)) is not None:
        shown = redaction(message)
        kept = {**chat_to_wire(shown, ""), "redacted": mark}
    elif data.is_forged(event):
        kept = {"type": (parse_object(event.payload) or {})["type"], "redacted": mark}
    payload = _json(kept).encode("utf-8", "surrogatepass") if kept else mark.encode()
    if len(payload) > data.MAX_ENGINE_MESSAGE:  # the rules would not read it
        payload = mark.encode()
    return {"payload": payload}


DECODERS: Final = {name: read for kind in KINDS.values() for name, read in kind.decoders.items()}

_SCALARS: Final = (str, int, float)
_ENGINES_WORDS: Final = (
    "type", "identity", "request_id", "id", "invitation_id", "inviter_identity",
    "target_identity", "seat_index", "mode_id", "seat_count", "role", "locked", "occupant_identity",
    "participant_identity", "user_id", "room_name", "expires_at",
)  # fmt: skip
"""The fields of hints that the rules read; none of them is an app's."""


def _json(wire: object) -> str:
    return json.dumps(wire, separators=(",", ":"), ensure_ascii=False)


HIDE: Final[dict[type, Callable[[Redaction, Any], dict[str, object]]]] = {
    LocalParticipant: _participant,
    RemoteParticipant: _participant,
    e.ParticipantMetadataChanged: _participant,
    # The id is the sender's to choose; the rules only compare it.
    ChatMessage: lambda redaction, message: {
        "id": redaction.text(message.id),
        "text": redaction.text(message.text),
    },
    UTDCall: _call,
    UTDBanNotice: lambda redaction, notice: {
        "reason": None if notice.reason is None else redaction.text(notice.reason)
    },
    e.RoomSnapshot: _room,
    e.RoomMetadataChanged: _room,
    Roster: _room,
    e.DataReceived: _data,
}
"""Every class with a field that no repr shows, and what is recorded in its place."""
