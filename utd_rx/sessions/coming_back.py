"""What the rules ask for when a session has lost its connection: another one, or its place back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from attrs import frozen

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.encryption import Encryption
from utd_rx.models.events import RoomSnapshot
from utd_rx.ports.clock import Clock, sleep_until
from utd_rx.ports.engine import EnginePort
from utd_rx.ports.room import RoomPort
from utd_rx.protocol.connection import NOBODY, displaced, is_own_place
from utd_rx.protocol.facts import connection as facts
from utd_rx.protocol.wire.tokens import metadata_in, serial_in_metadata
from utd_rx.sessions.rules_runner import Handlers
from utd_rx.sessions.runner import Runner

ASK_EVERY: Final = 3.0
"""Seconds between looks at who holds the place, while a join takes its time: most take 0.1 s."""

EMPTY_FOR: Final = 1.0
"""Seconds that a place is empty until nobody came: the media server puts one out, then one in."""

Connect: TypeAlias = Callable[[Encryption | None], Awaitable[RoomSnapshot]]
"""Connects, encrypted with these keys."""


@frozen(eq=False)
class ComingBack:
    """One session's; its `fresh_token` is what it connects anew with, None for the last one, and
    `connect` connects with its keys."""

    _runner: Runner[Any]
    _room: RoomPort
    _fresh_token: Callable[[bool], Awaitable[str | None]]
    _connect: Callable[[Connect], Awaitable[RoomSnapshot]]

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
            token = await self._fresh_token(effect.mints)
            return await self._connect(lambda keys: self._room.reconnect(token, encryption=keys))

        if await self._runner.reconnect(effect.epoch, connect()):
            await self._room.disconnect()


@frozen(eq=False)
class OwnPlace:
    """Whose the identity of one session is, as its engine says.

    Two that join as one identity at the same moment push each other out before either stands, and
    LiveKit tells neither: it waits for 15 s (docs/livekit.md, "Joins at the same moment").
    """

    _runner: Runner[Any]
    _engine: EnginePort
    _clock: Clock

    @property
    def handlers(self) -> Handlers:
        return {facts.AskPlace: self._ask_place}

    async def _ask_place(self, effect: facts.AskPlace) -> None:
        """Ask who holds this identity now: whoever joined later keeps the place."""
        local = self._runner.session.roster.local
        theirs, is_ours = None, False
        if local is not None:
            theirs = await self._theirs(local.identity)
            if theirs is NOBODY:  # the one who came may not be told of yet
                await sleep_until(self._clock, self._clock.now() + EMPTY_FOR)
                theirs = await self._theirs(local.identity)
            is_ours = is_own_place(local.metadata, theirs)
        self._runner.offer(facts.PlaceAsked(effect.epoch, is_ours))

    async def join(
        self, identity: str, token: str, connect: Callable[[], Awaitable[RoomSnapshot]]
    ) -> RoomSnapshot:
        """Connect; give up when a later join holds the place, and try again when an earlier does.

        Raises:
            UTDStreamException: `CONFLICT`, replaced; or what connecting failed with.
        """
        own = metadata_in(token)
        if serial_in_metadata(own) is None:
            return await connect()
        try:
            return await self._unless_replaced(identity, own, connect())
        except UTDStreamException as error:
            if error.code is not UTDErrorCode.TIMEOUT:
                raise
            theirs = await self._theirs(identity)
            if is_own_place(theirs or "", own):
                raise displaced() from error
            if not is_own_place(own, theirs) or theirs is NOBODY:
                raise
        return await self._unless_replaced(identity, own, connect())

    async def _unless_replaced(
        self, identity: str, own: str, connecting: Awaitable[RoomSnapshot]
    ) -> RoomSnapshot:
        joining = asyncio.ensure_future(connecting)
        try:
            while not (await asyncio.wait((joining,), timeout=ASK_EVERY))[0]:
                if is_own_place(await self._theirs(identity) or "", own):
                    raise displaced()
            return joining.result()
        finally:
            if joining.cancel():
                await asyncio.wait((joining,))

    async def _theirs(self, identity: str) -> str | None:
        """Return the metadata of whoever holds it, `NOBODY`, or None where that is not known."""
        try:
            return await self._engine.participant_metadata(self._runner.room_name, identity)
        except UTDStreamException as error:
            return NOBODY if error.code is UTDErrorCode.NOT_FOUND else None
