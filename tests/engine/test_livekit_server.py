"""The launcher of the real server: loopback only, ready when it says so, gone afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
import sys
import textwrap
from pathlib import Path

import aiohttp
import pytest
from aiohttp import test_utils, web

from tests.support.sfu import RunningSfu, SfuKind, fresh_options
from utd_rx.engine import livekit_server
from utd_rx.engine.livekit_server import (
    LiveKitServer,
    find_livekit_server,
    server_config,
    tools_folder,
)
from utd_rx.engine.sfu.options import SfuOptions
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException


def executable(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def python_program(path: Path, body: str) -> Path:
    return executable(path, f"#!{sys.executable}\n" + textwrap.dedent(body))


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without livekit-server, its home in the returned folder."""
    monkeypatch.delenv("UTD_RX_LIVEKIT_SERVER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


class TestFinding:
    def test_nothing_is_found_where_nothing_is(self, nowhere: Path) -> None:
        assert find_livekit_server() is None

    def test_the_variable_comes_before_the_path_and_the_path_before_the_tool_folder(
        self, nowhere: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        installed = executable(nowhere / "cache/utd-rx/tools/livekit-server")
        assert find_livekit_server() == installed
        on_path = executable(nowhere / "bin/livekit-server")
        assert find_livekit_server() == on_path
        named = executable(nowhere / "elsewhere/server")
        monkeypatch.setenv("UTD_RX_LIVEKIT_SERVER", str(named))
        assert find_livekit_server() == named

    def test_a_variable_that_names_nothing_is_an_error_and_not_ignored(
        self, nowhere: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("UTD_RX_LIVEKIT_SERVER", str(nowhere / "missing"))
        with pytest.raises(UTDStreamException, match="UTD_RX_LIVEKIT_SERVER") as caught:
            find_livekit_server()
        assert caught.value.code is UTDErrorCode.VALIDATION

    def test_the_tool_folder_is_in_the_home_without_a_cache_variable(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        assert tools_folder() == Path.home() / ".cache/utd-rx/tools"


class TestRefusals:
    async def test_no_binary_says_how_to_install_it(self, nowhere: Path) -> None:
        with pytest.raises(UTDStreamException, match="make livekit-server") as caught:
            await LiveKitServer(fresh_options()).start()
        assert caught.value.code is UTDErrorCode.NOT_FOUND

    async def test_another_host_than_loopback_is_refused(self, tmp_path: Path) -> None:
        options = SfuOptions("key", "secret", host="0.0.0.0")
        with pytest.raises(UTDStreamException, match="loopback only") as caught:
            await LiveKitServer(options, binary=executable(tmp_path / "server")).start()
        assert caught.value.code is UTDErrorCode.VALIDATION

    async def test_a_server_that_ends_is_reported_with_its_log_but_not_the_secret(
        self, tmp_path: Path
    ) -> None:
        binary = python_program(
            tmp_path / "server",
            """
            import os
            print("could not load", os.environ["LIVEKIT_CONFIG"])
            raise SystemExit(3)
            """,
        )
        options = fresh_options()
        server = LiveKitServer(options, binary=binary)
        with pytest.raises(UTDStreamException, match="could not load") as caught:
            await server.start()
        assert caught.value.code is UTDErrorCode.SERVER
        assert options.api_secret not in caught.value.message

    async def test_a_file_that_cannot_be_run_is_a_typed_error(self, tmp_path: Path) -> None:
        binary = executable(tmp_path / "server", "no program")
        with pytest.raises(UTDStreamException) as caught:
            await LiveKitServer(fresh_options(), binary=binary).start()
        assert caught.value.code is UTDErrorCode.SERVER

    async def test_a_silent_server_times_out_and_is_killed_although_it_ignores_sigterm(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("utd_rx.engine.livekit_server.START_TIMEOUT", 0.5)
        monkeypatch.setattr(
            "utd_rx.engine.livekit_server.STOP_SIGNALS", ((15, 0.1), (15, 0.1), (9, 5.0))
        )
        binary = python_program(
            tmp_path / "server",
            """
            import signal, time
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(60)
            """,
        )
        server = LiveKitServer(fresh_options(), binary=binary)
        with pytest.raises(UTDStreamException, match="did not answer") as caught:
            await server.start()
        assert caught.value.code is UTDErrorCode.TIMEOUT
        assert server.pid is not None
        assert not is_running(server.pid)

    async def test_a_stranger_who_answers_anybody_is_not_taken_for_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def welcome(_request: web.Request) -> web.Response:
            return web.json_response({"rooms": []})

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", welcome)
        stranger = test_utils.TestServer(app)
        await stranger.start_server()
        port = stranger.port or 0
        monkeypatch.setattr(livekit_server, "free_port", lambda *_: port)
        binary = python_program(tmp_path / "server", "import time; time.sleep(60)")
        server = LiveKitServer(fresh_options(), binary=binary)
        try:
            with pytest.raises(UTDStreamException, match="no free port") as caught:
                await server.start()
        finally:
            await stranger.close()
        assert caught.value.reason is ConflictReason.BUSY

    async def test_a_cancelled_start_leaves_no_process(self, tmp_path: Path) -> None:
        mark = tmp_path / "pid"
        binary = python_program(
            tmp_path / "server",
            f"""
            import os, pathlib, time
            pathlib.Path({str(mark)!r}).write_text(str(os.getpid()))
            time.sleep(60)
            """,
        )
        server = LiveKitServer(fresh_options(), binary=binary)
        start = asyncio.create_task(server.start())
        while not (mark.exists() and mark.read_text()):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
        start.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await start
        assert start.cancelled()
        assert not is_running(int(mark.read_text()))
        await server.aclose()

    async def test_the_url_is_unknown_before_the_start(self) -> None:
        with pytest.raises(UTDStreamException, match="not started"):
            _ = LiveKitServer(fresh_options()).url

    async def test_closing_before_the_start_is_fine_and_starting_afterwards_is_not(self) -> None:
        server = LiveKitServer(fresh_options())
        await server.aclose()
        with pytest.raises(UTDStreamException, match="only once"):
            await server.start()


class TestConfiguration:
    def test_webhooks_are_signed_with_the_key(self) -> None:
        options = SfuOptions("key", "secret", webhook_urls=("http://127.0.0.1:9/hook",))
        config = server_config(options, 1, 2)
        assert config["webhook"] == {"api_key": "key", "urls": ["http://127.0.0.1:9/hook"]}

    def test_time_outs_are_whole_seconds_and_never_the_default(self) -> None:
        options = SfuOptions("key", "secret", empty_timeout=0.2, departure_timeout=1.6)
        room = server_config(options, 1, 2)["room"]
        assert (room["empty_timeout"], room["departure_timeout"]) == (1, 2)


@pytest.mark.parametrize(
    "sfu_kind", [pytest.param("livekit", marks=pytest.mark.livekit)], indirect=True
)
class TestRealServer:
    async def test_it_answers_and_is_reached_on_loopback_only(self, sfu: RunningSfu) -> None:
        assert sfu.url.startswith("ws://127.0.0.1:")
        async with aiohttp.ClientSession() as session, session.get(sfu.api_url) as reply:
            assert (reply.status, await reply.text()) == (200, "OK")

    async def test_the_secret_is_not_on_its_command_line(self, sfu_kind: SfuKind) -> None:
        options = fresh_options()
        server = LiveKitServer(options)
        await server.start()
        try:
            arguments = await asyncio.to_thread(Path(f"/proc/{server.pid}/cmdline").read_text)
        finally:
            await server.aclose()
        assert options.api_secret not in arguments

    async def test_closing_twice_at_once_ends_it(self, sfu_kind: SfuKind) -> None:
        server = LiveKitServer(fresh_options())
        await server.start()
        pid = server.pid
        assert pid is not None
        assert is_running(pid)
        await asyncio.gather(server.aclose(), server.aclose())
        await server.aclose()
        assert not is_running(pid)

    async def test_a_taken_port_is_a_conflict_when_it_was_given(self, sfu_kind: SfuKind) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            for taken in (udp, tcp):
                taken.bind(("127.0.0.1", 0))
            tcp.listen()
            port, udp_port = tcp.getsockname()[1], udp.getsockname()[1]
            options = SfuOptions("key", "s" * 40, port=port, udp_port=udp_port)
            with pytest.raises(UTDStreamException, match="taken") as caught:
                await LiveKitServer(options).start()
        assert caught.value.code is UTDErrorCode.CONFLICT

    async def test_a_port_lost_to_another_is_chosen_again(
        self, sfu: RunningSfu, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        taken = int(sfu.url.rpartition(":")[2])
        choose, calls = livekit_server.free_port, []

        def first_the_taken_one(host: str, kind: socket.SocketKind, wanted: int) -> int:
            calls.append(kind)
            return taken if len(calls) == 1 else choose(host, kind, wanted)

        monkeypatch.setattr(livekit_server, "free_port", first_the_taken_one)
        server = LiveKitServer(fresh_options())
        await server.start()
        try:
            assert len(calls) == 4
            assert server.url != sfu.url
        finally:
            await server.aclose()

    async def test_it_ends_with_its_parent(self, sfu_kind: SfuKind) -> None:
        program = """
            import asyncio, os, signal
            from utd_rx.engine.livekit_server import LiveKitServer
            from utd_rx.engine.sfu.options import SfuOptions
            async def main():
                server = LiveKitServer(SfuOptions("key", "s" * 40))
                await server.start()
                print(server.pid, flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
            asyncio.run(main())
        """
        parent = await asyncio.create_subprocess_exec(
            sys.executable, "-c", textwrap.dedent(program), stdout=asyncio.subprocess.PIPE
        )
        out, _ = await parent.communicate()
        assert parent.returncode == -9
        async with asyncio.timeout(5):
            while is_running(int(out)):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)


def is_running(pid: int) -> bool:
    """Say whether the process runs; one that ended and waits for its parent does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
