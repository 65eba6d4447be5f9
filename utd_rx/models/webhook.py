"""What an engine tells a backend of its own accord."""

from __future__ import annotations

from attrs import frozen

from utd_rx.models.call import UTDCall
from utd_rx.models.checks import typed
from utd_rx.models.participant import TrackKind
from utd_rx.models.value import Value


@frozen(field_transformer=typed)
class WebhookRoom(Value):
    """The room that an event is about; `name` is the un-prefixed one, `sid` the media server's."""

    name: str
    sid: str | None = None


@frozen(field_transformer=typed)
class WebhookParticipant(Value):
    """Whom an event is about; of presence, a user who need be in no room."""

    identity: str
    name: str | None = None


@frozen(field_transformer=typed)
class WebhookTrack(Value):
    """The track that an event is about; `width` and `height` are pixels, 0 for sound."""

    kind: TrackKind
    sid: str | None = None
    width: int = 0
    height: int = 0


@frozen(field_transformer=typed)
class WebhookEvent(Value):
    """A webhook whose signature was good (docs/webhooks.md).

    Args:
        event: What happened, as the engine spells it: `"room_started"`, `"call_missed"`, … An
            engine may send some that are not known here.
        id: The same for every try of one event, so that it can be taken once; None from engines
            that give none.
        created_at: When it happened, ISO 8601 UTC.
        room: Of rooms, participants and tracks.
        participant: Of participants, tracks and presence.
        track: Of tracks.
        call: Of calls, without credentials.
    """

    event: str
    id: str | None = None
    created_at: str | None = None
    room: WebhookRoom | None = None
    participant: WebhookParticipant | None = None
    track: WebhookTrack | None = None
    call: UTDCall | None = None
