"""`utd-rx engine` as a process: one line of JSON, and nothing left after a signal."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp
import pytest

from tests.support.sfu import SfuKind
from utd_rx import cli
from utd_rx.cli import engine as command
from utd_rx.cli.access import EngineNote
from utd_rx.cli.engine import FIELDS


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "utd_rx", "engine", *arguments, stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def announced(process: Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = await process.stdout.readline()
    found: dict[str, Any] = json.loads(line)
    return found


def children_of(pid: int) -> list[int]:
    """The children of a process; Linux keeps them per thread."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_announces_itself_serves_and_leaves_nothing(
    sfu_kind: SfuKind, number: signal.Signals
) -> None:
    async with running("--json", "--no-page", "--sfu", sfu_kind, "--app-key", "k" * 32) as process:
        found = await announced(process)
        assert tuple(found) == FIELDS
        assert found["page_url"] is None
        assert found["app_key"] == "k" * 32
        headers = {"X-App-Id": found["app_id"], "X-App-Key": found["app_key"]}
        body = {"identity": "mona", "room_name": "r", "type": "audio_room"}
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.post(f"{found['token_base_url']}/api/v1/token", json=body) as reply,
        ):
            assert reply.status == 200
            assert (await reply.json())["url"] == found["livekit_url"]
        children = children_of(process.pid)
        assert bool(children) == (sfu_kind == "livekit")
        process.send_signal(number)
        rest, problems = await process.communicate()
        assert (process.returncode, rest, problems) == (0, b"", b"")
    assert not [pid for pid in children if is_running(pid)]
    for url in (found["base_url"], found["livekit_url"]):
        port = int(url.rpartition(":")[2])
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", port)).close()


async def test_without_json_it_tells_a_developer_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    note = EngineNote()
    async with running("--app-id", "1234567890") as process:
        assert process.stdout is not None
        first = await process.stdout.readline()
        assert b"http://127.0.0.1:" in first
        left = note.read()
        assert left is not None
        assert left.app_id == "1234567890"
        process.send_signal(signal.SIGINT)
        rest, _ = await process.communicate()
        assert b"UTDStreamClient(" in rest
        assert b"1234567890" in rest
        address = first.split()[4].rstrip(b",")
        assert b"in a browser: " + address + b"/#" in rest
    assert process.returncode == 0
    assert note.read() is None


async def test_a_taken_port_is_one_clear_line_and_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with running("--port", str(port)) as process:
            out, problems = await process.communicate()
    assert (process.returncode, out) == (1, b"")
    assert str(port) in problems.decode()
    assert len(problems.decode().splitlines()) == 1


def run(*arguments: str) -> int:
    return cli.main(["engine", *arguments])


def test_a_missing_package_is_one_clear_line_and_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "is_there", lambda module: module != "pylibsrtp")
    assert run() == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "utd-rx engine: missing pylibsrtp; install with: pip install 'utd-rx[engine]'\n"
    )


def test_arguments_that_make_no_sense_are_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--livekit-url", "ws://x") == 2
    assert "go together" in capsys.readouterr().err
    assert run("--rate-limit", "0") == 2
    assert "at least 1" in capsys.readouterr().err
    assert run("--webhook-url", "example.com/hooks") == 2
    assert "webhook_url" in capsys.readouterr().err
    assert run("--host-grace", "0") == 2
    assert "host_grace" in capsys.readouterr().err
    for arguments in (("--port", "70000"), ("--rate-limit", "few"), ("--sfu", "other")):
        assert run(*arguments) == 2


def test_every_package_it_looks_for_is_there() -> None:
    assert cli.missing((*command.NEEDED, *command.NEEDED_EMBEDDED)) == []
    assert cli.missing(("json", "no_such_package.module")) == ["no_such_package.module"]


def test_ctrl_c_while_it_loads_ends_it_quietly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Loading(ModuleType):
        @property
        def EngineOptions(self) -> Any:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "utd_rx.engine", Loading("utd_rx.engine"))
    assert run() == 0
    assert capsys.readouterr() == ("", "")
