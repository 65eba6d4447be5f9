"""Who is connected, found out by asking: where webhooks are not to be had, or were lost.

A seat is freed a little later than with webhooks, since asking never tells why somebody left.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final, TypeAlias

from utd_rx.engine.core import EngineCore
from utd_rx.engine.media import MediaUnavailable
from utd_rx.engine.rules.names import is_call_room
from utd_rx.engine.rules.room_state import RoomState
from utd_rx.engine.rules.seat_state import ABSENCE_SECONDS

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 2.0
"""Of a LiveKit server whose webhooks we cannot configure."""

CHECK_SECONDS: Final = 60.0
"""Of one that reports: a report may be lost on the way, and nobody would hear of it."""

Tracks: TypeAlias = dict[tuple[str, str], frozenset[str]]  # sids by room and identity


async def poll_presence(core: EngineCore, every: float, doubt: asyncio.Event) -> None:
    """Ask now, then every so many seconds, and at once when there is `doubt`."""
    tracks: Tracks = {}
    while True:
        doubt.clear()
        try:
            await ask_once(core, tracks)
        except MediaUnavailable as error:
            logger.warning("presence unknown for now: %s", error)
        waiting = {asyncio.ensure_future(one) for one in (core.clock.sleep(every), doubt.wait())}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()


async def ask_once(core: EngineCore, tracks: Tracks) -> None:
    """Report how the SFU's rooms differ from the core's as facts, and bring `tracks` up to date."""
    # Known first, asked second: a room made between the two is in the answer, not the reverse.
    # One that ended and was made anew in between is told by its sid.
    known, sids = core.rooms.all(), core.rooms.sids()
    calls = core.calls.sids()
    named = {core.rooms.engine_name(room.name): room for room in await core.media.list_rooms()}
    found = {name: room.sid for name, room in named.items() if name is not None}
    running = {name: sid for name, sid in found.items() if not is_call_room(name)}
    await core.calls.compare(
        calls, {name: sid for name, sid in found.items() if is_call_room(name)}
    )
    for name in known.keys() - running.keys():
        await core.room_finished(name, sids[name])
    for key in [key for key in tracks if key[0] not in running]:
        del tracks[key]
    for name, sid in running.items():
        await core.room_started(name, sid)
        await _ask_about(core, name, known.get(name), tracks)


async def _ask_about(core: EngineCore, name: str, room: RoomState | None, tracks: Tracks) -> None:
    """Report who came and went in a room, None for one that is not known yet."""
    found = await core.media.list_participants(core.rooms.livekit_name(name))
    people = {who.identity: who for who in found}
    sessions = {} if room is None else room.sessions
    for identity, sid in sessions.items():
        if identity not in people or people[identity].sid != sid:
            await core.participant_left(name, identity, sid, ABSENCE_SECONDS)
    for identity, who in people.items():
        if sessions.get(identity) != who.sid:
            await core.participant_joined(name, who)
        before = tracks.get((name, identity), frozenset())
        heard = {t.sid for t in who.tracks if t.kind == "audio" and not t.is_muted}
        # Not one that is new: that it is muted is still to come.
        if room is not None and identity in room.seats.muted and heard & before:
            await core.microphone_opened(name, identity)
        published = frozenset(track.sid for track in who.tracks)
        if published - before:
            await core.track_published(name, identity)
        tracks[name, identity] = published
    for key in [key for key in tracks if key[0] == name and key[1] not in people]:
        del tracks[key]
