"""The example of docs/live.md runs as it stands, with the engine that the page names."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.pages import names_of
from utd_rx import TestPattern, ToneSource, UTDStreamClient
from utd_rx.engine import LocalEngine
from utd_rx.testing.contracts import PATIENCE

CAMERA = TestPattern(64, 36, 5.0)


async def test_a_viewer_raises_a_hand_is_seen_and_sees_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = names_of("live.md")
    async with LocalEngine() as engine:

        def client() -> UTDStreamClient:
            return UTDStreamClient(**engine.credentials, microphone=ToneSource())

        async with client() as sara, client() as mona, asyncio.timeout(PATIENCE):
            hosting = asyncio.create_task(page["host"](sara, "show", CAMERA))
            async with await page["watch"](mona, "show", CAMERA):
                await hosting
    told = capsys.readouterr().out.splitlines()
    assert "host: Mona has raised a hand" in told
    assert "host: 1 watching" in told
    assert [line for line in told if line.startswith("viewer")] == [
        "viewer: off the stage",
        "viewer: it is over",
    ]
