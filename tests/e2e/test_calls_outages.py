"""Calls in bad times: a party is killed, and the signal socket is cut."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.house import PATIENCE
from tests.e2e.phones import Detour, Exchange, Phone, agreed, heard, hears
from tests.rtc.proxy import proxied
from utd_rx import UTDCallEndReason, UTDCallStatus

R, S = UTDCallEndReason, UTDCallStatus

NOTICED: Final = 22.0
"""Until a media server says that somebody died, at most ("Resuming" in docs/livekit.md)."""

AWAY: Final = 30.0
"""For which the engine waits for who is away (docs/contract.md, "Calls")."""

CUT_SECONDS: Final = 5.0


@asynccontextmanager
async def elsewhere(exchange: Exchange, *arguments: str) -> AsyncIterator[Process]:
    """A user in a process of its own."""
    engine = exchange.engine
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("caller.py")),
        *(engine.base_url, engine.app_id, engine.app_key, *arguments),
        stdout=PIPE,
        stderr=DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def said(process: Process, line: str) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        assert (await process.stdout.readline()).decode() == f"{line}\n"


async def killed(exchange: Exchange, phone: Phone, other: str, process: Process) -> float:
    """Kill one side of a call; return the seconds until the engine knows that it is away."""
    call = phone.session.call.value
    assert call is not None
    await hears(phone.session, other)
    await exchange.knows(call, other)
    loop = asyncio.get_running_loop()
    process.kill()
    died_at = loop.time()
    await exchange.misses(call, other)
    return loop.time() - died_at


async def lost(phone: Phone) -> None:
    """Wait until the other side of a call has heard of its end."""
    await phone.stands(S.ENDED)
    assert phone.session.end_reason.value is R.PEER_LOST
    await phone.session.connected.until(False, timeout=PATIENCE)
    assert phone.session.failure.value is None


@pytest.mark.realtime
async def test_a_party_that_is_killed_ends_the_call_in_time(exchange: Exchange) -> None:
    """At once: a caller, a callee, and a caller who is not answered yet."""
    ben, dora, fred = [await exchange.phone(who) for who in ("ben", "dora", "fred")]
    async with (
        elsewhere(exchange, "died", "ben") as caller,
        elsewhere(exchange, "died too") as callee,
        elsewhere(exchange, "died early", "fred") as ringing,
    ):
        await said(ringing, "dialled")
        await fred.session.ringing((await fred.rung("died early")).call_id)
        ringing.kill()
        await said(caller, "dialled")
        await ben.session.accept((await ben.rung("died")).call_id)
        await said(caller, "active")
        await said(callee, "signed in")
        await dora.session.start("died too")
        await said(callee, "active")
        took = await asyncio.gather(
            killed(exchange, ben, "died", caller), killed(exchange, dora, "died too", callee)
        )
    print(f"the engine heard after {took[0]:.1f} s of a caller, {took[1]:.1f} s of a callee")
    assert max(took) < NOTICED
    assert (ben.session.status.value, dora.session.status.value) == (S.ACTIVE, S.ACTIVE)
    exchange.clock.skip(AWAY)
    await asyncio.gather(lost(ben), lost(dora))
    await fred.stands(S.MISSED)
    assert fred.session.end_reason.value is R.RING_TIMEOUT
    await fred.silent()
    await exchange.empty()


class Cut:
    """A call of two, of whom `victim` is cut off from news while `happens` does, and then knows."""

    def __init__(self, victim: Phone, happens: Awaitable[object], known: Awaitable[object]) -> None:
        self.victim = victim
        self.happens = happens
        self.known = known


async def idle(exchange: Exchange, victim: Phone, other: Phone) -> Cut:
    return Cut(victim, other.session.start(victim.identity), victim.rung(other.identity))


async def rings_until_cancelled(exchange: Exchange, victim: Phone, other: Phone) -> Cut:
    await other.session.start(victim.identity)
    await victim.rung(other.identity)
    return Cut(victim, other.session.end(), victim.silent())


async def is_ringing_until_cancelled(exchange: Exchange, victim: Phone, other: Phone) -> Cut:
    await ringing(other, victim)
    ended = agreed(other, victim, S.ENDED, R.CALLER_CANCELLED)
    return Cut(victim, other.session.end(), ended)


async def is_answered_elsewhere(exchange: Exchange, victim: Phone, other: Phone) -> Cut:
    call_id = await ringing(other, victim)
    tablet = await exchange.phone(victim.identity)

    async def known() -> None:
        await victim.stands(S.ENDED)
        assert victim.session.end_reason.value is R.ANSWERED_ELSEWHERE
        await victim.silent()
        await heard(tablet, other)

    return Cut(victim, tablet.session.accept(call_id), known())


async def dials_until_it_rings(exchange: Exchange, victim: Phone, other: Phone) -> Cut:
    call = await victim.session.start(other.identity)
    return Cut(victim, other.session.ringing(call.call_id), victim.stands(S.RINGING))


async def waits_until_answered(exchange: Exchange, victim: Phone, other: Phone) -> Cut:
    return Cut(victim, other.session.accept(await ringing(victim, other)), heard(victim, other))


async def waits_until_declined(exchange: Exchange, victim: Phone, other: Phone) -> Cut:
    declining = other.session.reject(await ringing(victim, other))
    return Cut(victim, declining, agreed(victim, other, S.REJECTED, R.REJECTED))


async def talks_until_hung_up(exchange: Exchange, victim: Phone, other: Phone) -> Cut:
    await exchange.talking(victim, other)
    return Cut(victim, other.session.end(), agreed(victim, other, S.ENDED, R.CALLEE_HANGUP))


async def talks_on(exchange: Exchange, victim: Phone, other: Phone) -> Cut:
    await exchange.talking(other, victim)
    return Cut(victim, heard(victim, other), heard(victim, other))


async def ringing(caller: Phone, callee: Phone) -> str:
    """Have one call the other, at whom it rings."""
    call = await caller.session.start(callee.identity)
    await callee.rung(caller.identity)
    await callee.session.ringing(call.call_id)
    await caller.stands(S.RINGING)
    return call.call_id


@pytest.mark.realtime(waits=True)
@pytest.mark.timeout(200)
async def test_a_signal_socket_that_is_cut_for_a_while_loses_no_news(exchange: Exchange) -> None:
    states = [idle, rings_until_cancelled, is_ringing_until_cancelled, is_answered_elsewhere,
              dials_until_it_rings, waits_until_answered, waits_until_declined,
              talks_until_hung_up, talks_on]  # fmt: skip
    async with proxied(exchange.engine.base_url) as proxy:
        cuts: list[Cut] = []
        for number, state in enumerate(states):
            victim = await exchange.phone(f"victim{number}", signal=Detour(proxy.url))
            other = await exchange.phone(f"other{number}")
            await victim.client.signal_connected.until(True, timeout=PATIENCE)
            cuts.append(await state(exchange, victim, other))
        proxy.cut()
        for cut in cuts:
            await cut.victim.client.signal_connected.until(False, timeout=PATIENCE)
        await asyncio.gather(*(cut.happens for cut in cuts))
        await asyncio.sleep(CUT_SECONDS)
        assert not any(cut.victim.client.signal_connected.value for cut in cuts)
        proxy.mend()
        await asyncio.gather(*(cut.known for cut in cuts))
        for cut in cuts:
            await cut.victim.client.signal_connected.until(True, timeout=PATIENCE)
