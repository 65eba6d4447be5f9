"""What all commands of `utd-rx` have in common."""

from __future__ import annotations

import errno
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


@pytest.mark.parametrize("name", ["engine", "demo"])
def test_who_stops_reading_ends_a_command_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr("utd_rx.cli.engine.serve", broken)
    monkeypatch.setattr("utd_rx.cli.demo.runner.run_demo", broken)
    with pytest.raises(SystemExit) as ended:
        main([name])
    assert (ended.value.code, capsys.readouterr()) == (1, ("", ""))


def test_a_file_that_is_not_there_makes_no_sense(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["demo", "--wav", "no.wav"], ["replay", "no.jsonl"]):
        assert main(arguments) == 2
        assert "does not exist" in capsys.readouterr().err


def test_a_demo_that_failed_says_the_code_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise UTDStreamException("it is over", code=UTDErrorCode.NETWORK)

    monkeypatch.setattr("utd_rx.cli.demo.runner.run_demo", fail)
    assert main(["demo"]) == 1
    assert capsys.readouterr().err.count("NETWORK") == 1
