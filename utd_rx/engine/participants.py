"""What the engine does to one participant on the SFU beyond permissions; rooms are LiveKit's.

Somebody who is not there is nobody to do it to: the SFU and the engine always see each other a
moment late. Whoever calls holds the room's lock, so what is read is what is written over.

Raises:
    MediaUnavailable: Any of them, when the SFU does not answer.
"""

from __future__ import annotations

from collections.abc import Mapping

from utd_rx.engine.media import Media
from utd_rx.engine.metadata import with_custom, with_role
from utd_rx.engine.rules.effects import MuteTracks
from utd_rx.engine.rules.refusal import not_found
from utd_rx.engine.rules.roles import Role


async def remove(media: Media, room: str, identity: str, sid: str | None) -> None:
    """Remove a connection; with `sid`, not the one that may have replaced it."""
    if sid is not None:
        found = await media.get_participant(room, identity)
        if found is None or found.sid != sid:
            return
    await media.remove(room, identity)


async def mute_tracks(media: Media, room: str, wanted: MuteTracks) -> None:
    """Mute or unmute the tracks that `wanted` names and that are not so already.

    Raises:
        Refusal: 404 for a track id that is nobody's.
    """
    found = await media.get_participant(room, wanted.identity)
    tracks = () if found is None else found.tracks
    if wanted.sid is not None:
        tracks = tuple(track for track in tracks if track.sid == wanted.sid)
        if not tracks:
            raise not_found(f"{wanted.identity!r} has no track {wanted.sid!r}")
    for track in tracks:
        is_meant = wanted.sid is not None or track.kind in wanted.kinds
        if is_meant and track.is_muted is not wanted.is_muted:
            await media.mute(room, wanted.identity, track.sid, is_muted=wanted.is_muted)


async def write_role(media: Media, room: str, identity: str, role: Role) -> None:
    """Make `role` the role in the metadata, which a refreshed token carries on."""
    found = await media.get_participant(room, identity)
    if found is None:
        return
    metadata = with_role(found.metadata, role)
    if metadata != found.metadata:
        await media.set_metadata(room, identity, metadata)


async def write_custom(media: Media, room: str, identity: str, custom: Mapping[str, object]) -> str:
    """Make `custom` the app's own part of the metadata; returns the whole of it.

    Raises:
        Refusal: 404 for somebody who is not there.
    """
    found = await media.get_participant(room, identity)
    if found is None:
        raise not_found(f"{identity!r} is not in this room")
    metadata = with_custom(found.metadata, custom)
    await media.set_metadata(room, identity, metadata)
    return metadata
