"""`Process`: somebody's program in a world: a client, its way to the network, its sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from utd_rx.client import UTDStreamClient
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.sessions.call import UTDCallSession
from utd_rx.sessions.session import UTDSession
from utd_rx.testing import pictures
from utd_rx.testing.world.devices import VirtualCamera, VirtualMicrophone
from utd_rx.testing.world.network import Link

S = TypeVar("S", bound=UTDSession[Any])


class Process:
    """What runs as `identity`, with its devices."""

    def __init__(self, identity: str, link: Link, make: Callable[..., UTDStreamClient]) -> None:
        self.identity = identity
        self.link = link
        self.microphone = VirtualMicrophone()
        self.camera = VirtualCamera()
        self.client = make(microphone=self.microphone)
        self._sessions: list[UTDSession[Any]] = []
        self._is_signed_in = False

    def keep(self, session: S) -> S:
        """Close a session together with the rest."""
        self._sessions.append(session)
        pictures.watch(session, self.identity)
        return session

    async def sign_in(self) -> None:
        """Authenticate, once."""
        if not self._is_signed_in:
            await self.client.authenticate(self.identity)
            self._is_signed_in = True

    def call_session(self, type_: UTDStreamType) -> UTDCallSession:
        """Return a session for calls, with the devices that its type has."""
        camera = self.camera if type_ is UTDStreamType.VIDEO_CALL else None
        return self.keep(self.client.call_session(type_, camera=camera))

    async def aclose(self) -> None:
        """Close everything; sessions that the app made itself are its own."""
        await asyncio.gather(*(session.aclose() for session in self._sessions))
        await self.client.aclose()
