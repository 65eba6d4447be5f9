"""docs/cli.md tells every command, key and exit status; what any page types is understood."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pages import PAGES
from utd_rx.cli import COMMANDS, call, join, live
from utd_rx.cli.demo.runner import TOO_BUSY
from utd_rx.cli.group import commands

TYPED = re.compile(r"^(?:.*[ /])?utd-rx (.+)$", re.M)
"""The last command of a line of a shell's block."""

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


def command_lines() -> Iterator[tuple[str, list[str]]]:
    for page in PAGES:
        if page.name == "tree.md":  # the docstrings of modules
            continue
        text = page.read_text(encoding="utf-8")
        blocks = "".join(re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S))
        blocks += "".join(re.findall(r"^    utd-rx .*\n", text, re.M))
        for line in (*re.findall(r"`utd-rx ([a-z][^`\n]+)`", text), *TYPED.findall(blocks)):
            yield page.name, shlex.split(line, comments=True)


def test_every_command_line_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVEKIT_URL", "wss://media.example")  # which some take for granted
    lines = [line for line in command_lines() if len(line[1]) > 1]
    assert len(lines) > 12
    for page, (name, *arguments) in lines:
        with commands.make_context("utd-rx", [name]) as context:
            command = commands.get_command(context, name)
            assert command is not None, f"{page}: utd-rx {name}"
            command.make_context(name, arguments, parent=context)
