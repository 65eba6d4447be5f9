"""docs/cli.md tells of every command, key and exit status."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from utd_rx.cli import COMMANDS, call, join, live
from utd_rx.cli.demo.runner import TOO_BUSY

PAGE = (Path(__file__).parents[2] / "docs/cli.md").read_text(encoding="utf-8")


def section(name: str) -> str:
    return PAGE.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_told(command: str) -> None:
    assert re.search(rf"`{command}[ `]", PAGE)


@pytest.mark.parametrize("hint", [join.HINT, live.HINT, call.HINT])
def test_every_key_is_told(hint: str) -> None:
    keys = set(re.findall(r"(?<![\w'])[a-z](?![\w'])", hint)) - {"a"}
    told = set(re.findall(r"`(\w)`", section("Keys")))
    assert keys <= told
    assert {"m", "q"} <= keys


def test_the_exit_statuses_are_told() -> None:
    assert re.findall(r"^\| (\d+) \|", section("Exit status"), re.M) == [
        *("0", "1", "2", str(TOO_BUSY), "130")
    ]
