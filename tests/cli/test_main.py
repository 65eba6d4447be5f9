"""What all commands of `utd-rx` have in common."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from utd_rx import __version__
from utd_rx.audio import devices
from utd_rx.cli import COMMANDS, group, main
from utd_rx.errors import UTDErrorCode, UTDStreamException


def test_ctrl_c_is_one_word_and_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for where, name in ((devices, "list_devices"), (group, "import_module"), (group, "run")):
        with monkeypatch.context() as patch:
            patch.setattr(where, name, interrupt)
            assert main(["devices"]) == 130
        told = capsys.readouterr()
        assert (told.out, told.err.strip()) == ("", "interrupted")


def test_an_error_of_the_sdk_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = UTDStreamException("no such room", code=UTDErrorCode.NOT_FOUND)

    @click.command()
    def command() -> int:
        raise error

    monkeypatch.setattr("utd_rx.cli.replay.command", command)
    assert main(["replay"]) == 1
    assert capsys.readouterr() == ("", "utd-rx replay: no such room\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert main([command, "--help"]) == 0
    assert f"Usage: utd-rx {command}" in capsys.readouterr().out


def test_bare_it_lists_its_commands_and_imports_none_of_them() -> None:
    command = "import sys; from utd_rx.cli import main; early = [*sys.modules]; main([])"
    told = f"{command}; print(*early); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True)
    *listed, early, loaded = done.stdout.splitlines()
    # What comes before `main` is not in its care: there Ctrl-C is a traceback of Python's.
    assert not {"typing", "contextlib", "click"} & set(early.split())
    assert {line.split()[0] for line in listed if line.strip()} >= set(COMMANDS)
    assert not {"livekit", "numpy", "rich", "aiohttp", "reactivex"} & set(loaded.split())


def test_it_tells_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete_it(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    assert main(["completion", shell]) == 0
    assert "_UTD_RX_COMPLETE" in capsys.readouterr().out
