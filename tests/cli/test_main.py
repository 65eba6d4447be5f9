"""What all commands of `utd-rx` have in common."""

from __future__ import annotations

import argparse

import pytest

from utd_rx.cli import COMMANDS, devices, main


@pytest.mark.parametrize("moment", ["add_arguments", "run"])
def test_ctrl_c_is_one_word_and_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], moment: str
) -> None:
    def interrupt(_: argparse.ArgumentParser | argparse.Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(devices, moment, interrupt)
    assert main(["devices"]) == 130
    assert capsys.readouterr() == ("", "interrupted\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert COMMANDS[command] in " ".join(capsys.readouterr().out.split())
