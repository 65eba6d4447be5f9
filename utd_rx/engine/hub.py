"""The engine's core: every room, ban and mint of one run, behind plain coroutines.

The routes turn HTTP into calls of this class, the webhooks turn the SFU's reports into them; it
knows neither. Rooms are independent and each has its lock; bans and mint serials belong to the
whole engine and change between two awaits, never across one.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve

from utd_rx.engine.clock import Clock, to_iso
from utd_rx.engine.media import Media, MediaParticipant, MediaRoom
from utd_rx.engine.registry import Registry
from utd_rx.engine.room import RoomShell
from utd_rx.engine.rules import bans as ban_rules
from utd_rx.engine.rules import mints as mint_rules
from utd_rx.engine.rules import rooms
from utd_rx.engine.rules.bans import Ban, Bans
from utd_rx.engine.rules.effects import Effect, Remove
from utd_rx.engine.rules.mints import Mints
from utd_rx.engine.rules.refusal import not_found
from utd_rx.engine.rules.roles import Grant, Role
from utd_rx.engine.rules.rooms import Admission, Member, Room, Session
from utd_rx.engine.rules.seat_commands import (
    Actor,
    Command,
)
from utd_rx.engine.tokens import MintedMetadata, read_metadata
from utd_rx.models.seats import UTDSeatGrid

BANNED_SECONDS: Final = 0.2
"""Between `_banned` and the removal, or the message is lost (facts/utd-engine.md §7.2, 12)."""


class Hub:
    """All state of one engine."""

    def __init__(self, app_id: str, media: Media, clock: Clock) -> None:
        self.media = media
        self.clock = clock
        self.rooms = Registry(app_id, media, clock)
        self._bans = Bans()
        self._mints = Mints()

    async def aclose(self) -> None:
        """End every room's tasks. Idempotent."""
        await self.rooms.aclose()

    def refuse_banned(self, identity: str, room: str | None) -> None:
        """Refuse whoever is banned.

        Raises:
            Refusal: 403 with the code of a ban.
        """
        ban_rules.refuse_banned(self._bans, identity, room, self.clock.wall())

    def bans(self, room: str | None) -> tuple[Ban, ...]:
        """Return the active bans, newest first; only those of `room` when one is given."""
        return ban_rules.active(self._bans, self.clock.wall(), room=room)

    # -- commands

    async def mint(self, name: str, asked: Admission) -> tuple[Member, Role, Grant]:
        """Admit somebody to a room, made if needed.

        Raises:
            Refusal: 403 for a banned user, 409, 422, or 503; nothing has changed then.
        """
        async with self.rooms.hold(name) as shell:
            self.refuse_banned(asked.identity, name)
            self._mints, serial = mint_rules.take_serial(self._mints)
            state, member, effects = rooms.admit(
                shell.state, name, asked, serial, self.clock.monotonic()
            )
            await shell.open(state)
            await shell.commit(state, effects)
            role = rooms.role_of(state, asked.identity) or member.role
            return member, role, rooms.grant_of(state, asked.identity)

    async def command_seats(
        self, name: str, identity: str | None, item: Command, *, is_server: bool = False
    ) -> tuple[UTDSeatGrid, UTDSeatGrid]:
        """Carry out a seat command; answers when the SFU has the new permissions.

        Args:
            identity: Who acts; None only for a backend that acts for nobody.
            is_server: Whether a backend vouches for it, which counts as the host.

        Returns:
            The grid before and after.

        Raises:
            Refusal: 403, 404, 409, 422, or 503; nothing has changed then.
        """
        async with self.rooms.hold(name) as shell:
            state = _existing(shell)
            actor = Actor(None) if identity is None else rooms.actor_of(state, identity)
            if is_server:
                actor = evolve(actor, role=Role.HOST)
            before = state.seats.grid
            state, effects = rooms.command_seats(state, actor, item, self.clock.monotonic())
            await shell.commit(state, effects)
            return before, state.seats.grid

    async def kick(self, name: str, actor: Actor, target: str) -> None:
        """Throw somebody out; an old token does not come back, a new mint may.

        Raises:
            Refusal: 403, 404, or 503.
        """
        async with self.rooms.hold(name) as shell:
            state = _existing(shell)
            rooms.refuse_expelling(state, actor, target)
            now = self.clock.monotonic()
            state, effects = rooms.expel(state, target, now)
            await shell.commit(state, effects)
            self._mints = mint_rules.raise_floor(self._mints, name, target, now)

    async def delete_room(self, name: str) -> None:
        """Close a room: everybody is disconnected and every token for it is worthless.

        Raises:
            Refusal: 404, or 503.
        """
        async with self.rooms.hold(name) as shell:
            _existing(shell)
            await self.media.close_room(shell.livekit_name)
            now = self.clock.monotonic()
            self._mints = mint_rules.raise_floor(self._mints, name, None, now)
            shell.close()

    async def ban(self, ban: Ban) -> Ban:
        """Ban somebody; where connected they get `_banned` and are removed.

        Raises:
            Refusal: 503 when the SFU does not answer; the ban holds all the same.
        """
        name = self._name_of(ban.identity) if ban.name is None else ban.name
        self._bans, entry = ban_rules.add(self._bans, evolve(ban, name=name))
        evicted = []
        for room in self.rooms.names() if ban.room is None else (ban.room,):
            async with self.rooms.hold(room) as shell:
                if (sid := await self._evict(shell, entry)) is not None:
                    evicted.append((shell, sid))
        if evicted:
            await self.clock.sleep(BANNED_SECONDS)
        for shell, sid in evicted:
            await shell.remove(entry.identity, sid)
        return entry

    def unban(self, identity: str, room: str | None) -> int:
        """Lift a ban, all of them when `room` is None; returns how many there were."""
        self._bans, lifted = ban_rules.lift(self._bans, identity, room)
        return len(lifted)

    # -- facts from the SFU

    async def participant_joined(self, livekit_room: str, info: MediaParticipant) -> None:
        """A connection came up: throw it out, or make its permission what the engine says."""
        name = self.rooms.engine_name(livekit_room)
        if name is None:
            return
        async with self.rooms.hold(name) as shell:
            minted = read_metadata(info.metadata)
            if self._is_unwelcome(name, info, minted):
                await shell.remove(info.identity, info.sid)
                return
            state = shell.state
            if minted is not None and (state is None or info.identity not in state.members):
                # The room ended or the engine restarted while the token was still good.
                member = Member(info.identity, minted.role, minted.serial, info.name or None)
                state = rooms.restore(state, name, minted.type, member)
            if state is None:
                return
            # Somebody who joined with LiveKit's own key keeps the grants of that token.
            grant = info.grant if minted is not None else None
            session = Session(info.identity, info.sid, grant)
            state, effects = rooms.joined(state, session)
            await shell.commit_fact(state, effects if minted is not None else ())

    async def participant_left(
        self, livekit_room: str, identity: str, sid: str, grace: float
    ) -> None:
        """A connection ended; its seat waits `grace` seconds."""
        name = self.rooms.engine_name(livekit_room)
        if name is None:
            return
        async with self.rooms.hold(name) as shell:
            if shell.state is not None:
                now = self.clock.monotonic()
                state, effects = rooms.left(shell.state, Session(identity, sid), now, grace)
                await shell.commit_fact(state, effects)

    async def room_started(self, found: MediaRoom) -> None:
        """The SFU made its half of a room; it may lack what ours knows."""
        name = self.rooms.engine_name(found.name)
        if name is None:
            return
        async with self.rooms.hold(name) as shell:
            if shell.state is not None and shell.sid != found.sid:
                shell.sid = found.sid
                await shell.republish()

    async def room_finished(self, livekit_room: str, sid: str | None) -> None:
        """The SFU's half ended, and with it the room; not if it was made anew since.

        Args:
            livekit_room: LiveKit's name.
            sid: Of the half that ended; None for whichever there was.
        """
        name = self.rooms.engine_name(livekit_room)
        if name is None:
            return
        async with self.rooms.hold(name) as shell:
            if shell.state is not None and (sid is None or shell.sid in (None, sid)):
                shell.close()

    # -- inside

    async def _evict(self, shell: RoomShell, ban: Ban) -> str | None:
        """Take seat and membership of a banned user and tell them; returns their sid."""
        now = self.clock.monotonic()
        self._mints = mint_rules.raise_floor(self._mints, shell.name, ban.identity, now)
        if shell.state is None:
            return None
        sid = shell.state.sessions.get(ban.identity)
        state, effects = rooms.expel(shell.state, ban.identity, now)
        if sid is not None:
            await shell.push("_banned", banned_push(ban), (ban.identity,))
        await shell.commit_fact(state, tuple(e for e in effects if not _is_removal(e)))
        return sid

    def _is_unwelcome(
        self, name: str, info: MediaParticipant, minted: MintedMetadata | None
    ) -> bool:
        if ban_rules.find(self._bans, info.identity, name, self.clock.wall()) is not None:
            return True
        # No serial: a token made with LiveKit's own key, whose holder rules the SFU anyway.
        return minted is not None and mint_rules.is_stale(
            self._mints, name, info.identity, minted.serial
        )

    def _name_of(self, identity: str) -> str | None:
        for state in self.rooms.all().values():
            member = state.members.get(identity)
            if member is not None and member.name is not None:
                return member.name
        return None


def banned_push(ban: Ban) -> dict[str, object]:
    """Return the payload of `_banned` (facts/utd-engine.md §3.8)."""
    fields = {
        "identity": ban.identity,
        "room_name": ban.room,
        "reason": ban.reason,
        "expires_at": None if ban.expires_at is None else to_iso(ban.expires_at),
    }
    return {key: value for key, value in fields.items() if value is not None}


def _existing(shell: RoomShell) -> Room:
    if shell.state is None:
        raise not_found(f"there is no room {shell.name!r}")
    return shell.state


def _is_removal(effect: Effect) -> bool:
    return isinstance(effect, Remove)
