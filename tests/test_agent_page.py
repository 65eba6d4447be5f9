"""The example of docs/agent.md runs as it stands, with the agent that the page names."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.pages import names_of
from utd_rx import ToneSource, WavRecorder
from utd_rx.audio import read_wav
from utd_rx.engine import LocalAgent
from utd_rx.testing.contracts import PATIENCE


async def test_one_talks_to_an_agent_and_hears_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    talk = names_of("agent.md")["talk"]
    heard = tmp_path / "heard.wav"
    async with LocalAgent() as agent, asyncio.timeout(PATIENCE):
        with WavRecorder(heard) as speaker:
            microphone = ToneSource(level_dbfs=-60.0)  # nobody speaks
            await talk(agent.api_key, "any", agent.base_url, microphone, speaker)
        call = await agent.next_call()
    assert list(call.tools) == ["weather"]
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "status: idle"
    assert "status: speaking" in told
    assert "user: Is it sunny in Vienna?" in told
    assert "assistant: Is it sunny in Vienna?" in told  # an echo
    assert told[-1] == "status: closed"
    assert read_wav(heard)[1].any()
