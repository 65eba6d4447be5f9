"""`Process`: somebody's program in a world: a client, its way to the network, its sessions."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from utd_rx.client import UTDStreamClient
from utd_rx.sessions.session import UTDSession
from utd_rx.testing.world.network import Link

S = TypeVar("S", bound=UTDSession[Any])


class Process:
    """What runs as `identity`."""

    def __init__(self, identity: str, link: Link, client: UTDStreamClient) -> None:
        self.identity = identity
        self.link = link
        self.client = client
        self._sessions: list[UTDSession[Any]] = []
        self._is_signed_in = False

    def keep(self, session: S) -> S:
        """Close a session together with the rest."""
        self._sessions.append(session)
        return session

    async def sign_in(self) -> None:
        """Authenticate, once."""
        if not self._is_signed_in:
            await self.client.authenticate(self.identity)
            self._is_signed_in = True

    async def aclose(self) -> None:
        """Close everything; sessions that the app made itself are its own."""
        await asyncio.gather(*(session.aclose() for session in self._sessions))
        await self.client.aclose()
