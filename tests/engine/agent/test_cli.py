"""`utd-rx agent-stub` as a process: one line of JSON, and nothing left after a signal."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import aiohttp
import pytest

from utd_rx.cli import agent_stub as command
from utd_rx.cli import main


async def test_it_announces_itself_serves_its_script_and_leaves_nothing(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text('[[["create"], ["close", {"code": 4000}]]]')
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "utd_rx", "agent-stub", "--port", "0", "--json"),
        *("--api-key", "sk_given", "--script", str(script), "--refuse", "503"),
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        assert process.stdout is not None
        found = json.loads(await process.stdout.readline())
        assert tuple(found) == command.FIELDS
        assert found["api_key"] == "sk_given"
        url = f"{found['base_url']}/atoms/v1/agent/connect?agent_id=a&token=sk_given"
        async with aiohttp.ClientSession() as http:
            async with http.get(url) as reply:
                assert reply.status == 503
            async with http.ws_connect(url) as ws:
                assert (await ws.receive_json())["type"] == "session.created"
                assert (await ws.receive()).data == 4000
        process.send_signal(signal.SIGTERM)
        rest, problems = await process.communicate()
        assert (process.returncode, rest, problems) == (0, b"", b"")
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def run(*arguments: str) -> int:
    return main(["agent-stub", *arguments])


def test_what_makes_no_sense_is_one_clear_line_and_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "script.json"
    assert run("--script", str(script)) == 2
    script.write_text("[[[]]]")
    assert run("--script", str(script)) == 2
    script.write_bytes(b"\xff")
    assert run("--script", str(script)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 3
    for arguments in (("--port", "70000"), ("--speed", "0"), ("--refuse", "200")):
        assert run(*arguments) == 2


def test_a_taken_port_is_one_clear_line_and_1(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert run("--port", port) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert port in captured.err
    assert len(captured.err.splitlines()) == 1
