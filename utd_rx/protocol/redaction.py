"""What a recording may show: who did what, not what was said.

Payloads and metadata belong to the app and may hold secrets; they are the fields with `repr=False`,
of whatever class (tokens are in no state and no item). Each is replaced by a *mark* that tells its
length and whether two were equal, keyed by a key that is thrown away, or a short payload could be
looked up. What the rules read of the engine's words is kept, as the row of the kind says, so that a
redacted recording goes through the same states:
`step(redact(state), redact(item)) == redact(step(state, item))`. Identities, names and attributes
are kept as well: everybody in the room sees them, and a recording without them would tell nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from functools import cache
from typing import Any, Final, TypeVar, cast

import attrs
from attrs import evolve, frozen

from utd_rx.models import events as e
from utd_rx.models.app_json import plain_json
from utd_rx.models.chat import ChatMessage
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import LocalParticipant, RemoteParticipant
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol import chat, data, roles
from utd_rx.protocol.kinds import Kind
from utd_rx.protocol.room_promises import IsDescribed
from utd_rx.protocol.roster import Roster
from utd_rx.protocol.wire.chat import LEGACY_TOPIC, chat_to_wire, legacy_to_wire
from utd_rx.protocol.wire.reading import parse_object, read_text

T = TypeVar("T")


@frozen
class Redaction:
    """Makes the marks of one recording, and keeps what the rules of its kind read."""

    key: bytes = attrs.field(repr=False)
    kind: Kind[Any]

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
        hide = HIDE.get(type(value))
        changes |= self._hidden(value) if hide is None else hide(self, value)
        return evolve(value, **changes) if changes else value

    def _hidden(self, value: Any) -> dict[str, object]:
        """Return marks for what no repr shows, and nothing for a credential."""
        kind: Any = type(value)  # mypy holds no class to be hashable
        return {
            name: None if is_credential else self._said(getattr(value, name))
            for name, is_credential in _secrets_of(kind)
        }

    def _said(self, said: Any) -> Any:
        match said:
            case str():
                return self.text(said)
            case bytes():
                return self.mark(said).encode()
            case FrozenMap():
                return FrozenMap(said and {"redacted": self.text(_json(plain_json(said)))})
        return said


@cache
def _secrets_of(kind: type[Any]) -> tuple[tuple[str, bool], ...]:
    """Return the fields of a class that no repr shows or that are credentials, and whether."""
    fields = ((one, "is_credential" in one.metadata) for one in attrs.fields(kind))
    return tuple((one.name, is_one) for one, is_one in fields if is_one or not one.repr)


def _participant(redaction: Redaction, who: Any) -> dict[str, object]:
    """A participant's metadata: keep the role that the rules read there, where an engine is."""
    mark, role = redaction.text(who.metadata), None
    if isinstance(redaction.kind.type, UTDStreamType):
        role = roles.role_in(who.metadata)
    return {"metadata": mark if role is None else _json({"role": role.value, "redacted": mark})}


def _room(redaction: Redaction, room: Any) -> dict[str, object]:
    """Room metadata is the engine's: keep what the rules read there."""
    mark = redaction.text(room.metadata)
    kept: dict[str, object] = {}
    for key in redaction.kind.room_keys:
        if (told := key.read(room.metadata)) is not None:
            kept[key.name] = key.write(redaction(told))
    return {"metadata": _json({**kept, "redacted": mark}) if kept else mark}


def _data(redaction: Redaction, event: e.DataReceived) -> dict[str, object]:
    """Keep what the rules read of a message: what it hints at, or that a participant sent it."""
    hinted = data.decode(event, redaction.kind.decoders)
    mark = redaction.mark(event.payload)
    kept: dict[str, object] = {}
    if hinted is not None:
        kept = {**_hint(redaction, hinted, event), "redacted": mark}
    elif (message := _chat_in(redaction, event)) is not None:
        shown = redaction(message)
        is_legacy = event.topic == LEGACY_TOPIC
        wire = legacy_to_wire(shown, is_copy=False) if is_legacy else chat_to_wire(shown, "")
        kept = {**wire, "redacted": mark}
    elif event.sender is not None and data.type_of(event) in data.RESERVED_TYPES:
        kept = {"type": data.type_of(event), "redacted": mark}
    payload = _json(kept).encode("utf-8", "surrogatepass") if kept else mark.encode()
    if len(payload) > data.MAX_ENGINE_MESSAGE:  # the rules would not read it
        payload = mark.encode()
    return {"payload": payload}


def _chat_in(redaction: Redaction, event: e.DataReceived) -> ChatMessage | None:
    has_engine = isinstance(redaction.kind.type, UTDStreamType)
    return chat.decode(event) if has_engine else chat.decode_plain(event)


def _hint(redaction: Redaction, hint: object, event: e.DataReceived) -> dict[str, object]:
    """Return what is kept of a message that is a `hint`: its decoder says it."""
    wire = parse_object(event.payload) or {}
    type_ = read_text(wire.get("type")) or ""
    decoder = redaction.kind.decoders[type_]
    if decoder.write is not None:
        return {"type": type_, **decoder.write(redaction(hint))}
    words = {key: wire[key] for key in decoder.words if isinstance(wire.get(key), _SCALARS)}
    texts = {key: read_text(wire.get(key)) for key in decoder.texts}
    marks = {key: redaction.text(text) for key, text in texts.items() if text is not None}
    return {"type": type_, **words, **marks}


_SCALARS: Final = (str, int, float)


def _json(wire: object) -> str:
    return json.dumps(wire, separators=(",", ":"), ensure_ascii=False)


HIDE: Final[dict[type, Callable[[Redaction, Any], dict[str, object]]]] = {
    LocalParticipant: _participant,
    RemoteParticipant: _participant,
    e.ParticipantMetadataChanged: _participant,
    # As that of the participant, which it is compared with.
    IsDescribed: lambda redaction, it: {} if it.metadata is None else _participant(redaction, it),
    # The id is the sender's to choose; the rules only compare it.
    ChatMessage: lambda redaction, message: {
        "id": redaction.text(message.id),
        "text": redaction.text(message.text),
    },
    e.RoomSnapshot: _room,
    e.RoomMetadataChanged: _room,
    Roster: _room,
    e.DataReceived: _data,
}
"""What is recorded of a class of every session, where marks for what no repr shows are not all."""
