"""Processes that end, fork, and come back: supervisors, deployments, two of one identity."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from itertools import chain

import pytest

from tests.e2e.house import House
from tests.inside.programs import Program
from tests.inside.twins import race
from tests.support.sfu import is_livekit_missing
from utd_rx.engine import LocalEngine


@pytest.mark.long
@pytest.mark.timeout(300)  # it starts Python twenty times
async def test_a_bot_that_is_killed_and_started_twenty_times_sits_and_speaks_each_time() -> None:
    async with LocalEngine() as engine, AsyncExitStack() as stack:
        await House(engine, stack).join("hana", as_host=True, seat_count=2)

        async def start() -> Program:
            bot = await Program.start_at(engine, "bot_program")
            stack.push_async_callback(bot.kill)
            return bot

        bot = await start()
        for _ in range(20):
            after = await start()  # loads meanwhile
            await bot.say()
            assert await bot.hear() == {"seat": 0, "microphone": True}
            await bot.kill()
            bot = after


@pytest.mark.long
async def test_at_a_signal_a_bot_leaves_before_it_ends() -> None:
    async with LocalEngine() as engine, AsyncExitStack() as stack:
        host = await House(engine, stack).join("hana", as_host=True, seat_count=2)
        bot = await Program.start_at(engine, "bot_program", "leaving")
        stack.push_async_callback(bot.kill)
        await bot.say()
        assert (await bot.hear())["seat"] == 0
        people = host.remote_participants
        await people.until(lambda there: [one.identity for one in there] == ["bot"])
        bot.process.send_signal(signal.SIGTERM)
        assert await bot.end() == (-signal.SIGTERM, "")
        await people.until((), timeout=10)  # a ghost would stay for 15 s and more


@pytest.mark.long
async def test_a_forked_child_is_refused_what_is_its_parent_s_and_ends_in_silence() -> None:
    async with LocalEngine() as engine:
        parent = await Program.start_at(engine, "fork_program")
        told = await parent.hear()
        assert (told["value"], told["grid"]) == (True, 2)
        for name in ("run", "submit"):
            assert told[name].startswith("CONFLICT: this process was forked")
        assert told["leave"].startswith("CONFLICT")
        assert "across fork" in told["join"]
        assert await parent.hear() == {"child": 7, "seat": "parent"}
        assert await parent.end() == (0, "")


@pytest.mark.realtime(waits=True)
@pytest.mark.timeout(180)
async def test_of_two_processes_that_join_as_one_at_once_the_later_stays_and_one_is_told() -> None:
    """On both SFUs, in three rooms each; the one that stays may need 15 s to come back in."""
    kinds = ["embedded"] if is_livekit_missing() else ["embedded", "livekit"]
    ended = await asyncio.gather(*(race(kind) for kind in kinds))
    for first, second in chain(*ended):
        earlier, later = sorted((first, second))
        assert earlier[1:] == (False, ["CONFLICT ConflictReason.REPLACED"])
        assert later[1:] == (True, [])
