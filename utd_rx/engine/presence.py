"""Who is connected, found out by asking: for a LiveKit server whose webhooks we cannot configure.

Every two seconds the participants of each room are compared with what the core knows. A seat is
freed a little later than with webhooks, since asking never tells why somebody left.
"""

from __future__ import annotations

import logging
from typing import Final, TypeAlias

from utd_rx.engine.core import EngineCore
from utd_rx.engine.media import MediaUnavailable
from utd_rx.engine.rules.seat_state import (
    ABSENCE_SECONDS,
)

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 2.0

Tracks: TypeAlias = dict[tuple[str, str], frozenset[str]]
"""Track sids by LiveKit room and identity."""


async def poll_presence(core: EngineCore) -> None:
    """Ask until cancelled."""
    tracks: Tracks = {}
    while True:
        await core.clock.sleep(POLL_SECONDS)
        try:
            await ask_once(core, tracks)
        except MediaUnavailable as error:
            logger.warning("presence unknown for now: %s", error)


async def ask_once(core: EngineCore, tracks: Tracks) -> None:
    """Compare every room with the SFU's and report the differences as facts.

    Args:
        core: Takes the facts.
        tracks: What was published when asked last; is brought up to date.

    Raises:
        MediaUnavailable: The SFU does not answer; what was found so far has been reported.
    """
    # Known first, asked second: a room made between the two is in the answer, not the reverse.
    # One that ended and was made anew in between is told by its sid.
    known, sids = core.rooms.all(), core.rooms.sids()
    running = {room.name: room for room in await core.media.list_rooms()}
    for name, room in known.items():
        if name not in running:
            await core.room_finished(name, sids[name])
            for key in [key for key in tracks if key[0] == name]:
                del tracks[key]
            continue
        await core.room_started(running[name])
        found = {who.identity: who for who in await core.media.list_participants(name)}
        for identity, sid in room.sessions.items():
            if identity not in found or found[identity].sid != sid:
                await core.participant_left(name, identity, sid, ABSENCE_SECONDS)
        for identity, who in found.items():
            if room.sessions.get(identity) != who.sid:
                await core.participant_joined(name, who)
            before = tracks.get((name, identity), frozenset())
            heard = {t.sid for t in who.tracks if t.kind == "audio" and not t.is_muted}
            # Not one that is new: that it is muted is still to come.
            if identity in room.seats.muted and heard & before:
                await core.microphone_opened(name, identity)
            published = frozenset(track.sid for track in who.tracks)
            if published - before:
                await core.track_published(name, identity)
            tracks[name, identity] = published
        for key in [key for key in tracks if key[0] == name and key[1] not in found]:
            del tracks[key]
