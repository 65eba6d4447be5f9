"""What the rules ask for when a session has lost its connection: another one, or its place back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from attrs import frozen

from utd_rx.errors import UTDStreamException
from utd_rx.models.events import RoomSnapshot
from utd_rx.ports.engine import EnginePort
from utd_rx.ports.room import RoomPort
from utd_rx.protocol.connection import is_own_place
from utd_rx.protocol.facts import connection as facts
from utd_rx.sessions.rules_runner import Handlers
from utd_rx.sessions.runner import Runner


@frozen(eq=False)
class ComingBack:
    """One session's; its `fresh_token` is what it connects anew with, None for the last one."""

    _runner: Runner[Any]
    _room: RoomPort
    _fresh_token: Callable[[bool], Awaitable[str | None]]

    @property
    def handlers(self) -> Handlers:
        return {
            facts.DisconnectRoom: lambda _: self._room.disconnect(),
            facts.Rejoin: self._rejoin,
        }

    async def _rejoin(self, effect: facts.Rejoin) -> None:
        """Connect anew; an engine mints a fresh token only when the last one is worthless.

        A mint would let somebody back in who was kicked, once that token has expired: as theirs
        would when they join again.
        """

        async def connect() -> RoomSnapshot:
            return await self._room.reconnect(await self._fresh_token(effect.mints))

        if await self._runner.reconnect(effect.epoch, connect()):
            await self._room.disconnect()


@frozen(eq=False)
class OwnPlace:
    """Whose the identity of one session is, as its engine says."""

    _runner: Runner[Any]
    _engine: EnginePort

    @property
    def handlers(self) -> Handlers:
        return {facts.AskPlace: self._ask_place}

    async def _ask_place(self, effect: facts.AskPlace) -> None:
        """Ask who holds this identity now: whoever joined later keeps the place."""
        local, theirs = self._runner.session.roster.local, None
        if local is not None:
            with suppress(UTDStreamException):
                room = self._runner.room_name
                theirs = await self._engine.participant_metadata(room, local.identity)
        is_ours = local is not None and is_own_place(local.metadata, theirs)
        self._runner.offer(facts.PlaceAsked(effect.epoch, is_ours))
