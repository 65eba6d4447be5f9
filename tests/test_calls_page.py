"""The example of docs/calls.md runs as it stands, with the engine that the page names."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.pages import names_of
from utd_rx import ToneSource, UTDStreamClient
from utd_rx.engine import LocalEngine
from utd_rx.testing.contracts import PATIENCE


async def test_one_dials_the_other_picks_up_and_a_third_hears_that_they_are_busy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = names_of("calls.md")
    async with LocalEngine() as engine:

        def client() -> UTDStreamClient:
            return UTDStreamClient(**engine.credentials, microphone=ToneSource())

        async with client() as anna, client() as ben, client() as carl, asyncio.timeout(PATIENCE):
            await anna.authenticate("anna", name="Anna")
            await ben.authenticate("ben")
            dialling = asyncio.create_task(page["dial"](anna, "ben"))
            await ben.ringing_calls.until(bool)
            await carl.authenticate("carl")
            await page["dial"](carl, "ben")
            assert capsys.readouterr().out.endswith("caller: BUSY\nben is on another call\n")
            await page["pick_up"](ben)
            await dialling
    told = capsys.readouterr().out.splitlines()
    assert [line for line in told if line.startswith("callee")] == [
        "callee: Anna calls about lunch",
        "callee: in a call with anna",
    ]
    *_, active, ended, over = (line for line in told if line.startswith("caller"))
    assert (active, ended) == ("caller: ACTIVE", "caller: ENDED")
    assert over.startswith("caller: over, CALLEE_HANGUP after ")
