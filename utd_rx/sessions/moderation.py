"""What hosts and admins do to others, and what the rules ask the engine about people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from utd_rx.errors import UTDStreamException
from utd_rx.models.ban import UTDBan
from utd_rx.models.participant import TrackSource
from utd_rx.models.role import UTDRole
from utd_rx.ports.engine import EnginePort
from utd_rx.protocol.facts.people import (
    AskBan,
    BanAnswered,
    FetchRole,
    RoleFetched,
    RoleNotFetched,
)
from utd_rx.protocol.promises import ChatIsLocked, HasRole, IsGone, TrackIsMuted
from utd_rx.protocol.waiting import Promise
from utd_rx.sessions.runner import Handlers, Runner

SHOW_TIMEOUT: Final = 10.0
"""Seconds to wait until the room shows what the engine said yes to: with a busy network LiveKit
reports a removal only when its own time-outs are over."""

BANS_PER_PAGE: Final = 100
MAX_BAN_PAGES: Final = 100


class Moderation:
    """The moderation of one session; `UTDSession` documents its commands."""

    def __init__(self, runner: Runner[Any], engine: EnginePort, room_name: str) -> None:
        self._runner = runner
        self._engine = engine
        self._room = room_name

    @property
    def handlers(self) -> Handlers:
        """What to do for each effect about people."""
        return {FetchRole: self._fetch_role, AskBan: self._ask_ban}

    async def mute(self, identity: str, *, audio: bool, video: bool, muted: bool) -> None:
        sources = (TrackSource.MICROPHONE,) * audio + (TrackSource.CAMERA,) * video
        await self._do(
            lambda: self._engine.mute_participant(
                self._room, identity, audio=audio, video=video, muted=muted
            ),
            TrackIsMuted(identity, sources, muted),
        )

    async def kick(self, identity: str) -> None:
        gone = IsGone(identity, self._sid(identity))
        await self._do(lambda: self._engine.kick_participant(self._room, identity), gone)

    async def ban(self, identity: str, *, duration: int | None, reason: str | None) -> None:
        gone = IsGone(identity, self._sid(identity))
        await self._do(
            lambda: self._engine.ban(identity, room=self._room, reason=reason, duration=duration),
            gone,
        )

    async def unban(self, identity: str) -> None:
        self._runner.require_joined()
        await self._engine.unban(identity, room=self._room)

    async def bans(self) -> tuple[UTDBan, ...]:
        self._runner.require_joined()
        found: list[UTDBan] = []
        for page in range(1, MAX_BAN_PAGES + 1):
            bans = await self._engine.bans(page=page, per_page=BANS_PER_PAGE)
            found += [ban for ban in bans if ban.room_name in (None, self._room)]
            if len(bans) < BANS_PER_PAGE:
                break
        return tuple(found)

    async def set_role(self, identity: str, role: UTDRole | str) -> None:
        async def ask() -> None:
            await self._engine.set_role(self._room, identity, role)  # refuses what is no role

        await self._do(ask, lambda: HasRole(identity, UTDRole(role)))

    async def lock_chat(self, locked: bool) -> None:
        await self._do(lambda: self._engine.lock_chat(self._room, locked), ChatIsLocked(locked))

    async def _do(
        self, ask: Callable[[], Awaitable[None]], promise: Promise | Callable[[], Promise]
    ) -> None:
        """Ask the engine, then wait until the room shows it."""
        epoch = self._runner.require_joined()
        await ask()
        shown = promise if isinstance(promise, Promise) else promise()
        await self._runner.wait(shown, epoch, SHOW_TIMEOUT)

    def _sid(self, identity: str) -> str | None:
        who = self._runner.session.roster.remotes.get(identity)
        return None if who is None else who.sid

    async def _fetch_role(self, effect: FetchRole) -> None:
        try:
            role = await self._engine.get_role(self._room, effect.identity)
        except UTDStreamException:
            self._runner.offer(RoleNotFetched(effect.identity))
        else:
            self._runner.offer(RoleFetched(effect.identity, role, effect.generation))

    async def _ask_ban(self, effect: AskBan) -> None:
        """Ask the engine for something every member may have: it says why it refuses."""
        is_banned: bool | None = False
        try:
            await self._engine.get_role(self._room, self._runner.session.identity)
        except UTDStreamException as error:
            # Only what the engine itself refused is a word about the ban.
            is_word = error.status_code is not None and error.status_code < 500
            is_banned = error.is_banned if is_word else None
        self._runner.offer(BanAnswered(effect.epoch, is_banned))
