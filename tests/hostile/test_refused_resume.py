"""Whose token is refused when the connection is made anew asks for another, or is told so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from aiohttp import web

from tests.engine.sfu.clients import token
from tests.hostile.lying_server import LyingProxy, served
from tests.support.sfu import RunningSfu
from utd_rx import UTDConnectionState, UTDErrorCode, open_room

pytestmark = pytest.mark.long

PATIENCE = 20.0


class Choosy(LyingProxy):
    """Tells no lie, and lets in only whose token it takes; all in the beginning."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.takes: Callable[[str], bool] = lambda _: True
        self.refused = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection."""
        if self.takes(request.headers.get("Authorization", "").removeprefix("Bearer ")):
            return await super().handle(request)
        self.refused += 1
        return web.Response(status=401, text="invalid token: token is expired (exp)")


async def test_a_resume_that_is_refused_is_a_join_with_a_new_token(sfu: RunningSfu) -> None:
    proxy = Choosy(sfu.url)
    minted: list[str] = []

    async def mint() -> str:
        minted.append(token(sfu, "ann", "room"))
        return minted[-1]

    async with (
        served(proxy) as (url, cut),
        open_room(f"{url}/nothing", token_source=mint) as room,
    ):
        first = len(minted)
        # Nor the one that the media server gave it meanwhile.
        proxy.takes = lambda token: token in minted[first:]
        cut()
        states = room.connection_state
        await states.until(UTDConnectionState.RECONNECTING, timeout=PATIENCE)
        await states.until(UTDConnectionState.CONNECTED, timeout=PATIENCE)
    assert proxy.refused


async def test_whose_token_is_refused_for_good_is_told_so_in_words(sfu: RunningSfu) -> None:
    proxy, worn = Choosy(sfu.url), token(sfu, "ann", "room")
    async with served(proxy) as (url, cut), open_room(f"{url}/nothing", worn) as room:
        proxy.takes = lambda _: False
        cut()
        async with asyncio.timeout(PATIENCE):
            failure = await room.failure.until(lambda found: found is not None)
        assert failure is not None
        assert failure.code is UTDErrorCode.UNAUTHORIZED
        assert "refused the token" in failure.message
        assert worn not in str(failure)
