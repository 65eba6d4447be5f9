"""The bearer that calls carry, and how it is kept fresh."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable
from math import inf
from typing import Final, TypeAlias, TypeVar

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.token import UTDSessionResponse, UTDTokenResponse
from utd_rx.ports.clock import SYSTEM_CLOCK, Clock
from utd_rx.protocol.wire.tokens import lifetime_of

RENEW_AHEAD: Final = 60.0
"""Seconds before its end at which a bearer is renewed: twice what a call may take in all."""

Minted: TypeAlias = UTDTokenResponse | UTDSessionResponse

T = TypeVar("T")


class Bearer:
    """One actor's bearer, renewed before it ends, and when the engine refuses it.

    Its end is counted on the monotonic clock, from when it came and by its own two claims: it does
    not matter whose wall clock is wrong. All calls that wait for a renewal share one mint, and its
    failure. Who was kicked can mint again, who is banned cannot (docs/contract.md, "Bearers").
    """

    def __init__(
        self, mint: Callable[[], Awaitable[Minted]], *, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.identity: str | None = None
        """Who acts by it, where its mint said so."""
        self._mint = mint
        self._clock = clock
        self._token = ""
        self._ends_at = self._renew_at = -inf
        self._renewing = asyncio.Lock()
        self._tries = 0
        self._failure: UTDStreamException | None = None

    async def carry(self, call: Callable[[str], Awaitable[T]]) -> T:
        """Return what `call` does with the bearer; call again with a fresh one after a 401, which
        says that the engine did nothing. A second one is raised."""
        token = await self._current()
        try:
            return await call(token)
        except UTDStreamException as error:
            if error.code is not UTDErrorCode.UNAUTHORIZED:
                raise
        return await call(await self._after(token))

    async def fresh(self, refused: str | None = None) -> str:
        """Return a bearer that holds, for what is no call, and another one than was `refused`."""
        token = await self._current()
        return await self._after(token) if token == refused else token

    async def mint(self) -> Minted:
        """Renew it, whatever it is, and return the whole reply; when this fails it stays."""
        async with self._renewing:
            return await self._renew()

    async def _current(self) -> str:
        if self._clock.now() < self._renew_at:
            return self._token
        try:
            return await self._after(self._token)
        except UTDStreamException:
            if self._clock.now() >= self._ends_at:
                raise
            # It still holds, and the next call shall not wait for the mint again.
            self._renew_at = self._ends_at
            return self._token

    async def _after(self, old: str) -> str:
        """Return a bearer other than `old`, from one mint for all who ask meanwhile."""
        tries = self._tries
        async with self._renewing:
            if self._token != old:
                return self._token
            if self._failure is not None and self._tries != tries:
                raise copy.copy(self._failure)
            return (await self._renew()).user_token

    async def _renew(self) -> Minted:
        try:
            reply = await self._mint()
        except UTDStreamException as error:
            self._tries += 1
            self._failure = copy.copy(error)
            raise
        self._tries += 1
        self._failure = None
        self.identity = reply.identity if isinstance(reply, UTDSessionResponse) else None
        self._token = reply.user_token
        lifetime = lifetime_of(self._token)
        self._ends_at = self._clock.now() + (inf if lifetime is None else lifetime)
        self._renew_at = self._ends_at - min(RENEW_AHEAD, (lifetime or inf) / 2)
        return reply
