"""The engine's core: every room of one run and the gate to them, behind plain coroutines.

The routes and the SFU's webhooks become calls of this class; it knows neither.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeAlias

from attrs import evolve

from utd_rx.engine.authorization import Callers, Principal, RoomAccess, authorize
from utd_rx.engine.call_news import CallTeller, Nobody, Poster
from utd_rx.engine.calls import CallDesk
from utd_rx.engine.engine_clock import EngineClock, to_iso
from utd_rx.engine.media import Media, MediaParticipant, MediaUnavailable
from utd_rx.engine.metadata import MintedMetadata, read_metadata, taken_over, with_custom
from utd_rx.engine.registry import Registry
from utd_rx.engine.room_shell import RoomShell, RoomWatch
from utd_rx.engine.rules import moderation, room_state
from utd_rx.engine.rules.call_book import CallLimits
from utd_rx.engine.rules.effects import Effects, Remove
from utd_rx.engine.rules.gate import Ban, Gate
from utd_rx.engine.rules.names import is_call_room, is_room_name
from utd_rx.engine.rules.refusal import banned, forbidden, not_found
from utd_rx.engine.rules.roles import Actor
from utd_rx.engine.rules.room_state import Admission, Done, Member, RoomState, Session
from utd_rx.engine.rules.seat_state import Reply
from utd_rx.engine.rules.stage_state import HOST_SECONDS
from utd_rx.protocol.wire.reading import without_none

Rule: TypeAlias = Callable[[RoomState, Actor, float], Done]
"""A command on a room, with what it is about filled in: who commands, and when."""

BANNED_SECONDS: Final = 0.2
"""Between `_banned` and the removal, or the message is lost (docs/contract.md, "Lost pushes")."""


class EngineCore:
    """All state of one engine. A refused command changes nothing, unless it says otherwise."""

    def __init__(
        self,
        app_id: str,
        media: Media,
        clock: EngineClock,
        *,
        host_grace: float = HOST_SECONDS,
        limits: CallLimits = CallLimits(),  # noqa: B008 - a frozen value
        teller: CallTeller = Nobody(),  # noqa: B008 - it has no state
        poster: Poster = Nobody(),  # noqa: B008 - it has no state
        watch: RoomWatch = lambda before, after: None,
    ) -> None:
        self.media = media
        self.clock = clock
        self.rooms = Registry(app_id, media, clock, watch)
        self._host_grace = host_grace
        # Above every serial of an engine before this one, whose tokens are still good.
        self.gate = Gate(next_serial=int(clock.wall() * 1000))
        self.calls = CallDesk(
            media,
            clock,
            livekit_name=self.rooms.livekit_name,
            refuse=self._refuse_call,
            limits=limits,
            teller=teller,
            poster=poster,
        )

    # -- commands

    async def mint(self, name: str, asked: Admission) -> tuple[RoomState, Member]:
        """Admit somebody to a room, made if needed."""
        async with self.rooms.hold(name) as shell:
            self.refuse_banned(asked.identity, name)
            if shell.state is None:
                await self._look(shell)
            serial = self._take_serial()
            room = shell.state or room_state.fresh(name, asked.type, serial, self._host_grace)
            state, member, effects = room_state.admit(room, asked, serial, self.clock.monotonic())
            await shell.open(state)
            await shell.commit(state, effects)
            return state, member

    async def find(self, name: str, who: str | None) -> RoomState:
        """Return a room; the media server is asked where it or its member `who` is not known."""
        state = self.rooms.get(name)
        is_known = state is not None and (who is None or who in state.members)
        if not is_known and is_room_name(name) and not is_call_room(name):
            async with self.rooms.hold(name) as shell:
                await self._look(shell, who if shell.state is not None else None)
                state = shell.state
        if state is None:
            raise not_found(f"there is no room {name!r}")
        return state

    def refuse_banned(self, identity: str, room: str | None) -> None:
        """Refuse whoever is banned from `room`, None for the project."""
        if self.gate.is_banned(identity, room, self.clock.wall()):
            raise banned()

    def _refuse_call(self, caller: str, callee: str) -> None:
        self.refuse_banned(caller, None)
        if self.gate.is_banned(callee, None, self.clock.wall()):
            # In other words than a ban's, which would be the caller's own.
            raise forbidden("this user cannot be called")

    def permit(self, allowed: Callers, principal: Principal, room: RoomState) -> None:
        """Let a call on `room` pass: none of somebody banned, and only `allowed` callers."""
        if principal.bearer is not None:
            self.refuse_banned(principal.bearer.identity, room.name)
        authorize(allowed, principal.caller_in(room))

    async def command(self, access: RoomAccess, rule: Rule, target: str | None = None) -> Reply:
        """Carry out a rule on a room; `target` is whom it is about, where they must be present."""
        async with self._hold(access, target) as (shell, state):
            state, effects, reply = rule(state, access.actor_in(state), self.clock.monotonic())
            await shell.commit(state, effects)
            return reply

    async def send_data(
        self, access: RoomAccess, message: Mapping[str, object], to: tuple[str, ...] | None
    ) -> int:
        """Send a backend's message; returns how many connected participants it went to."""
        async with self._hold(access) as (shell, state):
            known = state.sessions
            if not known if to is None else not all(who in known for who in to):
                await self._look(shell)
            return await shell.send(message, to)

    async def set_metadata(
        self, access: RoomAccess, identity: str, custom: Mapping[str, object]
    ) -> str:
        """Replace the app's own part of a participant's metadata; returns the whole of it."""
        async with self._hold(access) as (shell, _):
            found = await self.media.get_participant(shell.livekit_name, identity)
            if found is None:
                raise not_found(f"{identity!r} is not in this room")
            metadata = with_custom(found.metadata, custom)
            await self.media.set_metadata(shell.livekit_name, identity, metadata)
            return metadata

    async def kick(self, access: RoomAccess, target: str) -> None:
        """Throw somebody out; an old token does not come back, a new mint may."""
        async with self._hold(access, target) as (shell, state):
            moderation.refuse_acting(state, access.actor_in(state), target)
            state, effects = moderation.expel(state, target, self.clock.monotonic())
            await shell.commit(state, effects)
            self._void_tokens(access.room.name, target)

    async def delete_room(self, access: RoomAccess) -> None:
        """Close a room: everybody is disconnected and every token for it is worthless."""
        async with self._hold(access) as (shell, _):
            await self.media.close_room(shell.livekit_name)
            self._void_tokens(access.room.name, None)
            shell.close()

    async def ban(self, ban: Ban) -> Ban:
        """Ban somebody; where connected they get `_banned` and are removed.

        It holds also when the SFU does not answer, which is raised; they are removed when it does.
        """
        name = self._name_of(ban.identity) if ban.name is None else ban.name
        self.gate, entry = self.gate.ban(evolve(ban, name=name))
        evicted = []
        for room in self.rooms.names() if ban.room is None else (ban.room,):
            async with self.rooms.hold(room) as shell:
                if (sid := await self._evict(shell, entry)) is not None:
                    evicted.append((shell, sid))
        if evicted:
            await self.clock.sleep(BANNED_SECONDS)
        silent = None
        for shell, sid in evicted:
            try:
                await shell.expel(entry.identity, sid)
            except MediaUnavailable as error:
                silent = error
        if silent is not None:
            raise silent
        return entry

    def unban(self, identity: str, room: str | None) -> int:
        """Lift a ban; see `Gate.unban`."""
        self.gate, lifted = self.gate.unban(identity, room)
        return lifted

    # -- facts from the SFU, of rooms by our name; those of a call are its desk's

    async def participant_joined(self, room: str, info: MediaParticipant) -> None:
        """A connection came up: throw it out, or make its permission what the engine says."""
        if is_call_room(room):
            self.calls.participant_joined(room, info)
            return
        async with self.rooms.hold(room) as shell:
            await self._joined(shell, info)

    async def participant_left(self, room: str, identity: str, sid: str, grace: float) -> None:
        """A connection ended; its seat waits `grace` seconds."""
        if is_call_room(room):
            self.calls.participant_left(room, identity, sid)
            return
        session = Session(identity, sid)
        await self._happened(room, lambda state, now: room_state.left(state, session, now, grace))

    async def track_published(self, room: str, identity: str) -> None:
        async with self.rooms.hold(room) as shell:
            if (state := shell.state) is None:
                return
            after, effects = room_state.published(state, identity, self.clock.monotonic())
            # A late report must not begin anew a broadcast that was ended.
            is_late = after.stage != state.stage and not await shell.publishes(identity)
            if not is_late:
                await shell.commit_fact(after, effects)

    async def microphone_opened(self, room: str, identity: str) -> None:
        """A microphone of a participant was seen unmuted, after the moment of its publication."""
        await self._happened(room, lambda state, now: (room_state.opened(state, identity), ()))

    async def room_started(self, room: str, sid: str) -> None:
        """The SFU made its half of a room; it may lack what ours knows."""
        if is_call_room(room):
            self.calls.room_started(room, sid)
            return
        async with self.rooms.hold(room) as shell:
            if shell.state is not None and shell.sid != sid:
                shell.sid = sid
                await shell.republish()

    async def room_finished(self, room: str, sid: str | None) -> None:
        """The SFU's half `sid` ended, None for whichever; with it the room, if not made anew."""
        if is_call_room(room):
            self.calls.room_finished(room, sid)
            return
        async with self.rooms.hold(room) as shell:
            if shell.state is not None and (sid is None or shell.sid in (None, sid)):
                shell.close()

    # -- inside

    async def _happened(
        self, room: str, fact: Callable[[RoomState, float], tuple[RoomState, Effects]]
    ) -> None:
        async with self.rooms.hold(room) as shell:
            if shell.state is not None:
                await shell.commit_fact(*fact(shell.state, self.clock.monotonic()))

    @asynccontextmanager
    async def _hold(
        self, access: RoomAccess, target: str | None = None
    ) -> AsyncIterator[tuple[RoomShell, RoomState]]:
        """Hold the room for a request that is still allowed, and look for whom it is about."""
        async with self.rooms.hold(access.room.name) as shell:
            if shell.state is None:
                raise not_found(f"there is no room {access.room.name!r}")
            self.permit(access.allowed, access.principal, shell.state)
            if target is not None and target not in shell.state.sessions:
                await self._look(shell, target)
            yield shell, shell.state

    async def _look(self, shell: RoomShell, who: str | None = None) -> None:
        """Take in who is connected though not reported yet: `who`, or everybody.

        A report takes some milliseconds, does not come from a server whose webhooks are not ours,
        and went to the engine before this one.
        """
        if who is None:
            found = await self.media.list_participants(shell.livekit_name)
        else:
            one = await self.media.get_participant(shell.livekit_name, who)
            found = () if one is None else (one,)
        for info in found:
            if shell.state is None or shell.state.sessions.get(info.identity) != info.sid:
                await self._joined(shell, info)

    async def _joined(self, shell: RoomShell, info: MediaParticipant) -> None:
        minted = read_metadata(info.metadata)
        serial = None if minted is None else minted.serial
        if self.gate.is_unwelcome(shell.name, info.identity, serial, self.clock.wall()):
            await shell.expel(info.identity, info.sid)
            return
        state = shell.state
        effects: Effects = ()
        if minted is not None and (state is None or info.identity not in state.members):
            state, effects = await self._readmitted(shell, info, minted)
        if state is None:
            return
        # Somebody who joined with LiveKit's own key keeps the grants of that token.
        session = Session(info.identity, info.sid)
        if minted is not None:
            session = evolve(session, grant=info.grant, role=minted.role)
        state, corrections = room_state.joined(state, session, self.clock.monotonic())
        await shell.commit_fact(state, (*effects, *corrections) if minted is not None else ())

    async def _readmitted(
        self, shell: RoomShell, info: MediaParticipant, minted: MintedMetadata
    ) -> tuple[RoomState, Effects]:
        """Admit somebody whose token outlived the room, or the engine's memory of either.

        It may be of an earlier room of this name: what it says is a claim like any unproven one.
        """
        state, now, serial = shell.state, self.clock.monotonic(), self._take_serial()
        if state is None:
            found = await self.media.open_room(shell.livekit_name, "")
            fresh = room_state.fresh(shell.name, minted.type, serial, self._host_grace)
            state = taken_over(fresh, found.metadata, now)
        asked = Admission(
            info.identity, state.type, minted.role, name=info.name or None, seats=minted.layout
        )
        state, _, effects = room_state.admit(state, asked, serial, now)
        if shell.state is None:
            await shell.open(state)
        return state, effects

    async def _evict(self, shell: RoomShell, ban: Ban) -> str | None:
        """Take seat and membership of a banned user and tell them; returns their sid."""
        self._void_tokens(shell.name, ban.identity)
        if shell.state is None:
            return None
        state, now = shell.state, self.clock.monotonic()
        if ban.identity in state.members and ban.identity not in state.sessions:
            with suppress(MediaUnavailable):  # they are thrown out as soon as they are reported
                found = await self.media.get_participant(shell.livekit_name, ban.identity)
                if found is not None:
                    state, _ = room_state.joined(state, Session(ban.identity, found.sid), now)
                    await shell.commit_fact(state, ())
        sid = state.sessions.get(ban.identity)
        state, effects = moderation.expel(state, ban.identity, now)
        if sid is not None:
            end = None if ban.expires_at is None else to_iso(ban.expires_at)
            told = {"identity": ban.identity, "room_name": ban.room, "reason": ban.reason}
            await shell.push("_banned", without_none(**told, expires_at=end), (ban.identity,))
        await shell.commit_fact(state, tuple(e for e in effects if not isinstance(e, Remove)))
        return sid

    def _take_serial(self) -> int:
        serial = self.gate.next_serial
        self.gate = evolve(self.gate, next_serial=serial + 1)
        return serial

    def _void_tokens(self, room: str, identity: str | None) -> None:
        self.gate = self.gate.void_tokens(room, identity, self.clock.monotonic())

    def _name_of(self, identity: str) -> str | None:
        members = (state.members.get(identity) for state in self.rooms.all().values())
        return next((one.name for one in members if one is not None and one.name), None)
