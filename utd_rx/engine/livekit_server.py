"""The real livekit-server as a child process on loopback, with the interface of `EmbeddedSfu`.

Ports are chosen here, because the server does not report those it binds; another process may take
one meanwhile, so a start is tried a few times. The server counts as ready when it answers an API
call signed with its own secret and refuses one signed with another: a stranger on the same port,
who cannot tell them apart, does not. The configuration (docs/livekit.md, "Running livekit-server")
travels in the environment, which other users cannot read, and never on the command line, which they
can.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import jwt
from attrs import evolve

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict, invalid

if TYPE_CHECKING:  # its package would load the whole embedded SFU
    from utd_rx.engine.sfu.options import SfuOptions

_log = logging.getLogger(__name__)

INSTALL_HINT: Final = "install it with: make livekit-server"

START_TIMEOUT: Final = 20.0  # ready in under 1 s when the machine is idle
_START_TRIES: Final = 5
_POLL_INTERVAL: Final = 0.05
_LOG_LINES: Final = 200
_ERROR_LOG_LINES: Final = 15
# The first SIGTERM waits for every participant to leave, the second one sends them away.
STOP_SIGNALS: Final = ((signal.SIGTERM, 0.1), (signal.SIGTERM, 3.0), (signal.SIGKILL, 5.0))

# Runs between fork and the server: only there can the kernel be told to end the child with its
# parent, and `preexec_fn` would run Python in a fork of a process full of native threads. "Parent"
# is the thread that forked: a server started on a loop in a thread of its own ends with that.
_DIE_WITH_PARENT: Final = """
import os, sys
parent, binary = int(sys.argv[1]), sys.argv[2]
if sys.platform == "linux":
    import ctypes, signal
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it ended before the line above
        sys.exit(1)
os.execve(binary, [binary], os.environ)
"""


def tools_folder() -> Path:
    """Return where the project keeps tools it installed: a cache, outside the repository."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "utd-rx" / "tools"


def find_livekit_server() -> Path | None:
    """Return that of `UTD_RX_LIVEKIT_SERVER`, the PATH or the project's tools; None without one."""
    if named := os.environ.get("UTD_RX_LIVEKIT_SERVER"):
        if not _is_executable(Path(named)):
            raise invalid(f"UTD_RX_LIVEKIT_SERVER is {named!r}, which is no executable file")
        return Path(named)
    if on_path := shutil.which("livekit-server"):
        return Path(on_path)
    installed = tools_folder() / "livekit-server"
    return installed if _is_executable(installed) else None


def _is_executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def server_config(options: SfuOptions, port: int, udp_port: int) -> dict[str, Any]:
    """Return the configuration that keeps a server on loopback and away from public STUN hosts."""
    config: dict[str, Any] = {
        "port": port,
        "bind_addresses": [options.host],
        "keys": {options.api_key: options.api_secret},
        "rtc": {
            "tcp_port": 0,
            "udp_port": udp_port,
            "use_external_ip": False,
            "node_ip": options.host,
            "enable_loopback_candidate": True,
            "interfaces": {"includes": ["lo"]},
            # Nobody listens there; an empty list makes clients ask public hosts instead.
            "stun_servers": [f"{options.host}:3478"],
        },
        "room": {
            "auto_create": True,
            "enable_remote_unmute": True,
            "empty_timeout": _whole_seconds(options.empty_timeout),
            "departure_timeout": _whole_seconds(options.departure_timeout),
        },
        "video": {"dynacast_pause_delay": f"{options.dynacast_pause_delay}s"},
        "enable_data_tracks": True,
        "logging": {"level": "info"},
    }
    if options.webhook_urls:
        config["webhook"] = {"api_key": options.api_key, "urls": list(options.webhook_urls)}
    return config


def _whole_seconds(seconds: float) -> int:
    # The server counts whole seconds and takes 0 for its default.
    return max(1, round(seconds))


class LiveKitServer:
    """One livekit-server that lives from `start` to `aclose`, and no longer than this process."""

    def __init__(self, options: SfuOptions, *, binary: Path | None = None) -> None:
        self._options = options
        self._binary = binary
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._log_tail: deque[str] = deque(maxlen=_LOG_LINES)
        self._port = 0
        self._closing: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def url(self) -> str:
        return f"ws://{self._address}"

    @property
    def api_url(self) -> str:
        return f"http://{self._address}"

    @property
    def _address(self) -> str:
        if self._port == 0:
            raise conflict(ConflictReason.NOT_JOINED, "livekit-server was not started")
        return f"{self._options.host}:{self._port}"

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Start the server and return when it answers; cancelling leaves no process behind."""
        if self._process is not None or self._is_closed:
            raise conflict(ConflictReason.ALREADY, "livekit-server starts only once")
        binary = self._binary or find_livekit_server()
        if binary is None:
            message = f"livekit-server not found; {INSTALL_HINT}"
            raise UTDStreamException(message, code=UTDErrorCode.NOT_FOUND)
        if not _is_loopback(self._options.host):
            raise invalid(
                f"livekit-server is started on loopback only, not on {self._options.host!r}; "
                "use 127.0.0.1, or run one yourself and give its URL, key and secret"
            )
        deadline = time.monotonic() + START_TIMEOUT
        for _ in range(_START_TRIES):
            if await self._try_start(binary, deadline):
                return
        message = f"livekit-server found no free port in {_START_TRIES} tries{self._log_text()}"
        raise conflict(ConflictReason.BUSY, message)

    async def aclose(self) -> None:
        """Stop the server in at most 9 s; idempotent, and goes on when this is cancelled."""
        self._is_closed = True
        if self._closing is None:
            self._closing = asyncio.create_task(self._stop(), name="livekit-server stop")
        await asyncio.shield(self._closing)

    async def _try_start(self, binary: Path, deadline: float) -> bool:
        """Start one process; False when a port was taken meanwhile and another try makes sense."""
        options = self._options
        port = free_port(options.host, socket.SOCK_STREAM, options.port)
        udp_port = free_port(options.host, socket.SOCK_DGRAM, options.udp_port)
        self._log_tail.clear()
        try:
            # The process exists before the await returns, so a cancelled await would lose it.
            spawn = asyncio.ensure_future(_spawn(binary, server_config(options, port, udp_port)))
            try:
                self._process = await asyncio.shield(spawn)
            except asyncio.CancelledError:
                self._process = await spawn
                raise
            reading = self._read_log(self._process)
            self._reader = asyncio.create_task(reading, name="livekit-server log")
            is_ready = await self._until_ready(self._process, self._reader, port, deadline)
        except BaseException:
            await self._stop()
            raise
        if is_ready:
            self._port = port
        else:
            await self._stop()
        return is_ready

    async def _until_ready(
        self, process: asyncio.subprocess.Process, reader: asyncio.Task[None], port: int, end: float
    ) -> bool:
        """Return True when the server answers, False when one of its ports was taken."""
        url = f"http://{self._options.host}:{port}/twirp/livekit.RoomService/ListRooms"
        timeout = aiohttp.ClientTimeout(total=2.0)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                if process.returncode is not None:
                    await reader
                    if any("address already in use" in line for line in self._log_tail):
                        return False
                    message = f"livekit-server ended while starting{self._log_text()}"
                    raise UTDStreamException(message, code=UTDErrorCode.SERVER)
                ours = self._options
                try:
                    answers = [
                        await _status(session, url, _authorization(signed))
                        for signed in (ours, evolve(ours, api_secret=token_hex(32)))
                    ]
                    if answers == [200, 401]:
                        return True
                    if answers[0] in (200, 401):  # another server, with other keys or with none
                        return False
                except (aiohttp.ClientError, TimeoutError):
                    pass  # not yet; the deadline below decides
                if time.monotonic() > end:
                    message = (
                        f"livekit-server did not answer in {START_TIMEOUT:.0f} s{self._log_text()}"
                    )
                    raise UTDStreamException(message, code=UTDErrorCode.TIMEOUT)
                await asyncio.sleep(_POLL_INTERVAL)

    async def _read_log(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # a line beyond the reader's limit; its rest follows
                continue
            if not line:
                return
            text = line.decode(errors="replace").rstrip().replace(self._options.api_secret, "***")
            self._log_tail.append(text)
            _log.debug("livekit-server: %s", text)

    def _log_text(self) -> str:
        tail = list(self._log_tail)[-_ERROR_LOG_LINES:]
        return "" if not tail else "; its log ends with:\n" + "\n".join(tail)

    async def _stop(self) -> None:
        process, reader = self._process, self._reader
        if process is None:
            return
        for number, patience in STOP_SIGNALS:
            if process.returncode is not None:
                break
            try:
                process.send_signal(number)
                await asyncio.wait_for(process.wait(), patience)
            except ProcessLookupError:
                await process.wait()
            except TimeoutError:
                continue
        if reader is not None:
            await reader  # ends with the process's output


def _is_loopback(host: str) -> bool:
    try:
        return IPv4Address(host).is_loopback
    except ValueError:
        return False


def free_port(host: str, kind: socket.SocketKind, wanted: int = 0) -> int:
    """Return a port that nobody listens on: any, or `wanted` unless that is 0; `BUSY` if taken."""
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind is socket.SOCK_STREAM:  # connections of an earlier server may still be ending
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, wanted))
        except OSError as error:
            message = f"port {wanted} is taken on {host} ({kind.name})"
            raise conflict(ConflictReason.BUSY, message) from error
        port: int = probe.getsockname()[1]
        return port


async def _spawn(binary: Path, config: Mapping[str, Any]) -> asyncio.subprocess.Process:
    # Only what a program needs to run: the server takes settings from two dozen variables.
    kept = ("HOME", "PATH", "TMPDIR", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment["LIVEKIT_CONFIG"] = json.dumps(config)  # JSON is YAML
    return await asyncio.create_subprocess_exec(
        *_command(binary),
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,  # a terminal's Ctrl-C is for us, who then stop it in order
    )


def _command(binary: Path) -> tuple[str, ...]:
    """Return what starts it so that it ends with this process."""
    if not getattr(sys, "frozen", False):
        python = (sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT)
        return (*python, str(os.getpid()), str(binary))
    # A frozen program is no Python: it would start itself once more.
    setpriv = shutil.which("setpriv")
    return (*((setpriv, "--pdeathsig", "KILL") if setpriv else ()), str(binary))


async def _status(session: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> int:
    async with session.post(url, json={}, headers=headers) as reply:
        return reply.status


def _authorization(options: SfuOptions) -> dict[str, str]:
    now = int(time.time())
    claims = {"iss": options.api_key, "nbf": now - 60, "exp": now + 60, "video": {"roomList": True}}
    token = jwt.encode(claims, options.api_secret, algorithm="HS256")
    return {"Authorization": f"Bearer {token}"}
