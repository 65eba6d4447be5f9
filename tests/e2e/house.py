"""A local engine, and users who join its rooms over real LiveKit connections."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, TypeVar, Unpack

from utd_rx import UTDAudioRoomSession, UTDSession, UTDStreamClient, WavSource
from utd_rx.audio import speech_path
from utd_rx.engine import LocalEngine
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.ports.engine import JoinRequest
from utd_rx.ports.room import RoomPort
from utd_rx.ports.signal import SignalPort
from utd_rx.rest import UTDApi, UTDApiClient
from utd_rx.rooms import AudioRoomOptions

S = TypeVar("S", bound=UTDSession[Any])

PATIENCE = 30.0
"""Seconds to wait for something that must happen; not a promise about how fast."""


class House:
    """A running engine and everybody who came."""

    def __init__(self, engine: LocalEngine, stack: AsyncExitStack) -> None:
        self.engine = engine
        self._stack = stack

    async def client(
        self,
        *,
        app_key: str | None = None,
        make_room: Callable[[], RoomPort] | None = None,
        signal: SignalPort | None = None,
    ) -> UTDStreamClient:
        """Return a client of this engine; it is closed with the house."""
        client = UTDStreamClient(
            self.engine.app_id,
            app_key or self.engine.app_key,
            base_url=self.engine.base_url,
            token_base_url=self.engine.token_base_url,
            microphone=WavSource(speech_path(), loop=True),
            make_room=make_room,
            signal=signal,
        )
        return await self._stack.enter_async_context(client)

    async def api(self, identity: str, room: str = "lobby") -> UTDApi:
        """Return the REST side of somebody who has minted and need not be in the room."""
        rest = UTDApiClient(
            self.engine.base_url, app_id=self.engine.app_id, app_key=self.engine.app_key
        )
        self._stack.push_async_callback(rest.aclose)
        return UTDApi(rest).acting_as(JoinRequest(identity, room, UTDStreamType.AUDIO_ROOM))

    async def join(
        self, identity: str, room: str = "lobby", **options: Unpack[AudioRoomOptions]
    ) -> UTDAudioRoomSession:
        """Join as `identity` with a client of its own; left with the house."""
        client = await self.client()
        return await self.enter(await client.join_audio_room(identity, room, **options))

    async def enter(self, session: S) -> S:
        """Have `session` left with the house."""
        await self._stack.enter_async_context(session)
        return session
