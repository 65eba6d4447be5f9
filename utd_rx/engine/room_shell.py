"""One room's shell: the single writer of its state, and the order in which the SFU hears of it.

Whoever changes the room holds `lock` from before the rule runs until the SFU was told, so effects
reach the SFU in commit order and a command answers after its grant holds there. A command whose
grant the SFU did not take changes nothing; a fact is committed whatever the SFU says. In both cases
a resync brings the SFU back to the engine's state as soon as it answers again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from itertools import chain, repeat
from typing import Final, TypeAlias

from utd_rx.engine.engine_clock import EngineClock, Timer
from utd_rx.engine.media import Media, MediaUnavailable
from utd_rx.engine.metadata import room_metadata_of, with_role
from utd_rx.engine.rules import room_state
from utd_rx.engine.rules.effects import (
    ApplyGrant,
    Effect,
    Effects,
    MuteTracks,
    PublishMetadata,
    PublishSeats,
    PublishStage,
    Push,
    Remove,
    TellModerators,
    WriteRole,
)
from utd_rx.engine.rules.refusal import not_found
from utd_rx.engine.rules.room_state import RoomState
from utd_rx.engine.tasks import OwnedTasks
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol.wire.seats import grid_to_push
from utd_rx.protocol.wire.stage import stage_to_wire

logger = logging.getLogger(__name__)

RESYNC_SECONDS: Final = (0.5, 1.0, 2.0, 5.0)
"""Pauses between tries to bring a silent SFU up to date; the last one repeats."""


RoomWatch: TypeAlias = Callable[[RoomState | None, RoomState | None], None]
"""Is told what a room was and what it is, None for none; neither raises nor waits."""


class RoomShell:
    """The owner of one room; that of `tasks` waits for what the room leaves running, and `watch`
    is told of every change."""

    def __init__(
        self,
        name: str,
        livekit_name: str,
        media: Media,
        clock: EngineClock,
        tasks: OwnedTasks,
        watch: RoomWatch,
    ) -> None:
        self.name = name
        self.livekit_name = livekit_name
        self.lock = asyncio.Lock()
        self.state: RoomState | None = None
        self.sid: str | None = None
        self._media = media
        self._clock = clock
        self._tasks = tasks
        self._watch = watch
        self._timer: Timer | None = None
        self._resync: asyncio.Task[None] | None = None
        self._to_expel: dict[str, str] = {}  # identity to sid: who is only still here by a failure

    async def open(self, state: RoomState) -> None:
        """Have the SFU's half of the room, with the metadata of `state`."""
        found = await self._media.open_room(self.livekit_name, room_metadata_of(state))
        if found.sid != self.sid:
            self.sid = found.sid
            if found.metadata != room_metadata_of(state):
                await self._media.set_room_metadata(self.livekit_name, room_metadata_of(state))

    async def commit(self, state: RoomState, effects: Effects) -> None:
        """Make `state` the state of the room once the SFU took what it must not miss."""
        try:
            for effect in effects:
                await self._enforce(state, effect)
        except MediaUnavailable:
            self._start_resync()
            raise
        self._become(state)
        await self._announce(state, effects)

    async def commit_fact(self, state: RoomState, effects: Effects) -> None:
        """Make `state` the state of the room whatever the SFU says."""
        self._become(state)
        try:
            await self.commit(state, effects)
        except MediaUnavailable as error:
            logger.warning("room %s: %s; will retry", self.name, error)
            await self._announce(state, effects)

    async def push(
        self, type_: str, payload: Mapping[str, object], to: tuple[str, ...] | None = None
    ) -> None:
        """Send an engine message; a lost one is no failure, state is in metadata."""
        try:
            await self.send({"type": type_, **payload}, to)
        except MediaUnavailable as error:
            logger.warning("room %s: push %s lost: %s", self.name, type_, error)

    async def send(self, message: Mapping[str, object], to: tuple[str, ...] | None) -> int:
        """Send a message to those of `to` who are connected, None for all; returns how many."""
        connected = () if self.state is None else tuple(self.state.sessions)
        reached = connected if to is None else tuple(who for who in connected if who in set(to))
        # The real server takes 3 s to find out that nobody is there to send to; and a message
        # to no destination is one to everybody.
        if reached:
            await self._media.send(self.livekit_name, message, None if to is None else reached)
        return len(reached)

    async def publishes(self, identity: str) -> bool:
        """Whether somebody has a track at the SFU now."""
        found = await self._media.get_participant(self.livekit_name, identity)
        return found is not None and bool(found.tracks)

    async def expel(self, identity: str, sid: str) -> None:
        """Remove a connection that must not be there; tried again later, when this raises."""
        try:
            await self._remove(identity, sid)
        except MediaUnavailable:
            self._to_expel[identity] = sid
            self._start_resync()
            raise

    async def republish(self) -> None:
        if self.state is None:
            return
        try:
            await self._media.set_room_metadata(self.livekit_name, room_metadata_of(self.state))
        except MediaUnavailable:
            self._start_resync()

    def close(self) -> None:
        """Forget the room; its timer and resync end. The SFU's half is not touched."""
        self._become(None)
        self.sid = None
        self._to_expel.clear()
        if self._resync is not None:
            self._resync.cancel()

    def _become(self, state: RoomState | None) -> None:
        before, self.state = self.state, state
        if state is not before:
            self._watch(before, state)
        self._arm()

    async def _enforce(self, state: RoomState, effect: Effect) -> None:
        """Carry out what a command must not answer without; `_announce` does the rest."""
        match effect:
            case ApplyGrant(identity):
                grant = room_state.grant_of(state, identity)
                await self._media.set_grant(self.livekit_name, identity, grant)
            case WriteRole(identity):
                await self._write_role(state, identity)
            case MuteTracks():
                await self._mute_tracks(effect)
            case Remove(identity, sid):
                await self._remove(identity, sid)

    async def _announce(self, state: RoomState, effects: Effects) -> None:
        """Tell the clients; metadata first, so that whoever re-reads it on a push finds it new."""
        for effect in effects:
            match effect:
                case PublishSeats():
                    await self.republish()
                    await self.push("_seat_update", grid_to_push(state.seats.grid))
                case PublishStage():
                    await self.republish()
                    await self._push_stage(state)
                case PublishMetadata():
                    await self.republish()
                case Push(type_, payload, to):
                    await self.push(type_, payload, to)
                case TellModerators(type_, payload, also):
                    await self.push(type_, payload, (*room_state.moderators_of(state), *also))

    async def _push_stage(self, state: RoomState) -> None:
        await self.push("_stage_update", stage_to_wire(room_state.stage_of(state)))

    # Somebody who is not there is nobody to do it to: the SFU and the engine always see each other
    # a moment late. Whoever calls holds the lock, so what is read is what is written over.

    async def _write_role(self, state: RoomState, identity: str) -> None:
        """Make the role of the state that of the metadata, which a refreshed token carries on."""
        role = room_state.role_of(state, identity)
        found = await self._media.get_participant(self.livekit_name, identity)
        if role is None or found is None:
            return
        metadata = with_role(found.metadata, role)
        if metadata != found.metadata:
            await self._media.set_metadata(self.livekit_name, identity, metadata)

    async def _mute_tracks(self, wanted: MuteTracks) -> None:
        identity, sid, is_muted = wanted.identity, wanted.sid, wanted.is_muted
        found = await self._media.get_participant(self.livekit_name, identity)
        tracks = () if found is None else found.tracks
        named = [t for t in tracks if (t.kind in wanted.kinds if sid is None else t.sid == sid)]
        if sid is not None and not named:
            raise not_found(f"{identity!r} has no track {sid!r}")
        for track in (t for t in named if t.is_muted is not is_muted):
            await self._media.mute(self.livekit_name, identity, track.sid, is_muted=is_muted)

    async def _remove(self, identity: str, sid: str | None) -> None:
        """Remove a connection; with `sid`, not the one that may have replaced it."""
        if sid is not None:
            found = await self._media.get_participant(self.livekit_name, identity)
            if found is None or found.sid != sid:
                return
        await self._media.remove(self.livekit_name, identity)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.state is not None and (due := room_state.next_deadline(self.state)) is not None:
            self._timer = self._clock.call_at(due, self._start_due)

    def _start_due(self) -> None:
        self._timer = None
        self._tasks.spawn(self._do_due(), f"engine-room-due-{self.name}")

    async def _do_due(self) -> None:
        async with self.lock:
            if self.state is not None:
                state, effects = room_state.time_passed(self.state, self._clock.monotonic())
                await self.commit_fact(state, effects)

    def _start_resync(self) -> None:
        if self._resync is None or self._resync.done():
            self._resync = self._tasks.spawn(self._bring_up_to_date(), f"resync-{self.name}")

    async def _bring_up_to_date(self) -> None:
        pauses = chain(RESYNC_SECONDS, repeat(RESYNC_SECONDS[-1]))
        while self.state is not None or self._to_expel:
            await self._clock.sleep(next(pauses))
            async with self.lock:
                try:
                    await self._repeat_all()
                except MediaUnavailable:
                    continue
                logger.info("room %s: the media server is up to date again", self.name)
                return

    async def _repeat_all(self) -> None:
        for identity, sid in list(self._to_expel.items()):
            await self._remove(identity, sid)
            self._to_expel.pop(identity, None)
        state = self.state
        if state is None:
            return
        for identity in state.members:
            if identity in state.sessions:
                await self._enforce(state, ApplyGrant(identity))
                await self._enforce(state, WriteRole(identity))
        await self._media.set_room_metadata(self.livekit_name, room_metadata_of(state))
        if state.type is UTDStreamType.AUDIO_ROOM:
            await self.push("_seat_update", grid_to_push(state.seats.grid))
        if state.type is UTDStreamType.LIVE_STREAM:
            await self._push_stage(state)
