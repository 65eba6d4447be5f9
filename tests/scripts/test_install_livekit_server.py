"""The installer of livekit-server: idempotent, clear about failures, and tidy after them."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from utd_rx.engine.livekit_server import tools_folder

SCRIPT: Final = Path(__file__).parents[2] / "scripts" / "install_livekit_server.py"

GO: Final = """#!/bin/sh
if [ "$1" = env ]; then echo go{version}; exit 0; fi
echo "go: downloading example.org/module v1.0.0"
{build}
"""
BUILDS: Final = """mkdir -p "$GOBIN"
printf '#!/bin/sh\\necho livekit-server version {version}\\n' > "$GOBIN/server"
chmod +x "$GOBIN/server"
"""


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with a shell and no Go; programs go into its `bin`."""
    (tmp_path / "bin").mkdir()
    for program in ("chmod", "mkdir"):
        (tmp_path / "bin" / program).symlink_to(shutil.which(program) or program)
    monkeypatch.delenv("UTD_RX_LIVEKIT_SERVER", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def install(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_the_server_is_built_once_into_the_folder_where_utd_rx_looks(machine: Path) -> None:
    go = executable(
        machine / "bin/go", GO.format(version="1.26.1", build=BUILDS.format(version="1.13.5"))
    )
    first = install()
    assert first.returncode == 0, first.stderr
    server = tools_folder() / "livekit-server"
    assert str(server) in first.stdout
    assert server.exists()
    go.unlink()
    second = install()
    assert (second.returncode, second.stdout) == (
        0,
        f"livekit-server 1.13.5 is installed: {server}\n",
    )
    assert list(tools_folder().iterdir()) == [server]


def test_another_version_in_the_folder_is_replaced(machine: Path) -> None:
    server = executable(
        tools_folder() / "livekit-server", "#!/bin/sh\necho livekit-server version 1.9.12\n"
    )
    executable(
        machine / "bin/go", GO.format(version="1.27.0", build=BUILDS.format(version="1.13.5"))
    )
    answer = install()
    assert answer.returncode == 0, answer.stderr
    assert f"Replacing {server}, which is 1.9.12" in answer.stdout
    assert "1.13.5" in server.read_text()


def test_a_server_of_the_users_own_is_left_alone(machine: Path) -> None:
    own = executable(
        machine / "bin/livekit-server", "#!/bin/sh\necho livekit-server version 1.9.12\n"
    )
    answer = install()
    assert answer.returncode == 0
    assert f"{own} is used, livekit-server 1.9.12" in answer.stdout
    assert "tested with 1.13.5" in answer.stdout
    assert not tools_folder().exists()


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        ("echo no network >&2; exit 1", "no network"),
        (BUILDS.format(version="1.13.4"), "version 1.13.4, not 1.13.5"),
        ("exit 0", "version None, not 1.13.5"),
    ],
)
def test_a_failed_build_says_why_and_leaves_nothing(machine: Path, build: str, reason: str) -> None:
    executable(machine / "bin/go", GO.format(version="1.26.1", build=build))
    answer = install()
    assert answer.returncode == 1
    assert answer.stderr.startswith("livekit-server was not installed: ")
    assert reason in answer.stderr
    assert "Traceback" not in answer.stderr
    assert list(tools_folder().iterdir()) == []


def test_another_folder_can_be_named(machine: Path) -> None:
    executable(
        machine / "bin/go", GO.format(version="1.26.1", build=BUILDS.format(version="1.13.5"))
    )
    answer = install("--to", str(machine / "here"))
    assert answer.returncode == 0, answer.stderr
    assert (machine / "here/livekit-server").exists()
    assert not tools_folder().exists()
