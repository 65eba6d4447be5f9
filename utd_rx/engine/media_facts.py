"""What an SFU reports, as facts for the core and news for a backend; a webhook is one way it comes.

A fact may come twice or late: sessions are known by sid, so neither does harm.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import frozen

from utd_rx.engine.call_news import Poster
from utd_rx.engine.core import EngineCore
from utd_rx.engine.media import MediaParticipant, MediaTrack
from utd_rx.engine.rules.seat_state import ABSENCE_SECONDS, DEPARTURE_SECONDS
from utd_rx.models.connection import DisconnectReason
from utd_rx.protocol.wire.reading import without_none

GRACE: Final[Mapping[DisconnectReason, float]] = {
    DisconnectReason.CLIENT_INITIATED: DEPARTURE_SECONDS,
    DisconnectReason.PARTICIPANT_REMOVED: 0.0,
    DisconnectReason.ROOM_DELETED: 0.0,
    DisconnectReason.ROOM_CLOSED: 0.0,
}
"""How long a seat waits, by why its holder left; for any other reason `ABSENCE_SECONDS`."""

TOLD: Final = (
    *("room_started", "room_finished", "participant_joined", "participant_left"),
    *("track_published", "track_unpublished"),
)
"""What a backend hears of (docs/contract.md, "Webhooks")."""


@frozen
class MediaReport:
    """One report.

    Args:
        event: What happened, in the words of LiveKit's webhooks.
        room: LiveKit's name of the room.
        sid: LiveKit's sid of the room.
        who: Whom it is about, if anybody.
        reason: Why they left.
        track: Which of their tracks it is about, if any.
        id: The report's own, which comes twice with the report.
    """

    event: str
    room: str
    sid: str
    who: MediaParticipant | None = None
    reason: DisconnectReason = DisconnectReason.UNKNOWN
    track: MediaTrack | None = None
    id: str = ""


async def take_in(core: EngineCore, poster: Poster, report: MediaReport) -> None:
    """Tell a backend, then the core; returns when its fact has been carried out."""
    room = core.rooms.engine_name(report.room)
    if room is None:
        return
    if report.event in TOLD:
        poster.post(report.event, **_body_of(room, report))
    await _tell(core, room, report)


def _body_of(room: str, report: MediaReport) -> dict[str, object]:
    """Return what a backend is told, with the report's own id: it may come twice."""
    who, track = report.who, report.track
    body: dict[str, object] = {"room": {"name": room, "room_name": room, "sid": report.sid}}
    if report.id:
        body["id"] = report.id
    if who is not None:
        body["participant"] = without_none(identity=who.identity, name=who.name or None)
    if track is not None:
        size = {"width": track.width, "height": track.height}
        body["track"] = {"sid": track.sid, "type": _TYPES.get(track.kind), **size}
    return body


_TYPES: Final[Mapping[str, int]] = {"audio": 0, "video": 1, "data": 2}
"""LiveKit's numbers of the kinds of tracks there are."""


async def _tell(core: EngineCore, room: str, report: MediaReport) -> None:
    """Tell the core what it lives by; every other event is ignored."""
    match report:
        case MediaReport("room_started"):
            await core.room_started(room, report.sid)
        case MediaReport("room_finished"):
            await core.room_finished(room, report.sid)
        case MediaReport("participant_joined", who=MediaParticipant() as who):
            await core.participant_joined(room, who)
        case MediaReport(
            "participant_left" | "participant_connection_aborted", who=MediaParticipant() as who
        ):
            grace = GRACE.get(report.reason, ABSENCE_SECONDS)
            await core.participant_left(room, who.identity, who.sid, grace)
        case MediaReport("track_published", who=MediaParticipant() as who):
            await core.track_published(room, who.identity)
        # No webhook tells of a mute, but the last one of a track tells how it was left.
        case MediaReport(
            "track_unpublished",
            who=MediaParticipant() as who,
            track=MediaTrack(kind="audio", is_muted=False),
        ):
            await core.microphone_opened(room, who.identity)
