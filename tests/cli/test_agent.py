"""`utd-rx agent`: what it shows, what is typed, and that Ctrl-C leaves cleanly."""

from __future__ import annotations

import asyncio
import io
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from utd_rx.agent.session import AtomsAgentSession
from utd_rx.audio import read_wav, speech_path
from utd_rx.cli import main
from utd_rx.cli.agent import KEY
from utd_rx.cli.agent_screen import Look, TalkScreen, meter, spoken, standing
from utd_rx.cli.conversation import Conversation
from utd_rx.cli.keyboard import Typing
from utd_rx.models.agent import AgentRole, AgentStatus, AgentTurn
from utd_rx.testing.agent_socket import FakeAgentSocket


class Terminal(io.StringIO):
    """What a terminal shows of what is written to it: lines, and the two codes that are used."""

    def isatty(self) -> bool:
        return True

    @property
    def shown(self) -> list[str]:
        lines, row = [""], 0
        for part in self.getvalue().replace("\r\x1b[2K", "\0").replace("\x1b[1A", "\1"):
            match part:
                case "\0":
                    lines[row] = ""
                case "\1":
                    row -= 1
                case "\n":
                    row += 1
                    lines += [""] * (row == len(lines))
                case sign:
                    lines[row] += sign
        return lines


def test_lines_that_stay_are_above_those_that_change() -> None:
    terminal = Terminal()
    screen = TalkScreen(terminal, width=20)
    screen.show(["growing", "status"])
    screen.say("said")
    screen.show(["status 2"])
    screen.say("said more")
    assert terminal.shown[:3] == ["said", "said more", "status 2"]
    assert not any(terminal.shown[3:])
    screen.close()
    assert not any(terminal.shown[2:])


def test_a_line_that_changes_shows_its_end_where_it_is_too_long() -> None:
    terminal = Terminal()
    TalkScreen(terminal, width=10).show(["abcdefghijklmno"])
    assert terminal.shown == ["…hijklmno"]


def test_where_there_is_no_terminal_only_lines_stay() -> None:
    out = io.StringIO()
    screen = TalkScreen(out)
    screen.show(["status"])
    screen.say("said")
    screen.close()
    assert out.getvalue() == "said\n"


def test_a_turn_is_one_line_that_no_terminal_obeys() -> None:
    turn = AgentTurn(AgentRole.ASSISTANT, "well\n\x1b[2J then", is_final=True, was_cut=True)
    assert spoken(turn) == "agent: well \ufffd[2J then —"


def test_how_things_stand_is_one_line() -> None:
    look = Look(AgentStatus.SPEAKING, True, True, True, -25.0, None, "hel")
    line = standing(look)
    for part in ("[speaking]", "you #####.....", "muted", "agent", "talks", "> hel"):
        assert part in line
    assert (meter(0.0), meter(-90.0), meter(None)) == ("#" * 10, "." * 10, " " * 10)


class Typist:
    """What became of what was typed."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.typing = Typing(
            {"m": lambda: self.told.append("mute")},
            lambda line: self.told.append(f"text {line}"),
            lambda: self.told.append("leave"),
        )

    def press(self, keys: str) -> list[str]:
        for key in keys:
            self.typing.press(key)
        return self.told


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("m", ["mute"]),
        ("hum\r", ["text hum"]),
        (" me\n", ["text me"]),
        ("\r \r", []),
        ("ab\x7fc\x08d\r", ["text ad"]),
        ("\x7f\x1b\x04", ["leave"]),
        ("a\x04\r", ["text a"]),
    ],
)
def test_keys_are_commands_on_an_empty_line(keys: str, told: list[str]) -> None:
    assert Typist().press(keys) == told


def test_elsewhere_a_line_is_a_key_or_a_text() -> None:
    typist = Typist()
    for line in ("m\n", "  \n", "hum\n"):
        typist.typing.take(line)
    assert typist.told == ["mute", "text hum"]


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        ([], f"set {KEY}"),
        (["--local", "--mode", "chat", "--variable", "name"], "NAME=TEXT"),
        (["--base-url", "http://example.com", "a"], "base_url"),
    ],
)
def test_what_makes_no_sense_is_said_in_one_line(
    argv: list[str],
    why: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv(KEY, raising=False)
    if argv:
        monkeypatch.setenv(KEY, "sk_secret")
    assert main(["agent", *argv, "--mode", "chat"]) == 2
    told = capsys.readouterr().err
    assert why in told
    assert "sk_secret" not in told
    assert told.count("\n") == 1


async def test_why_there_is_no_session_yet_is_shown_once() -> None:
    socket, stopped, out = FakeAgentSocket(), asyncio.Event(), io.StringIO()
    socket.refuse(503)
    async with AtomsAgentSession("sk_0123456789", "any", socket=socket) as session:
        conversation = Conversation(session, TalkScreen(out), None, None, stopped.set)
        running = asyncio.create_task(conversation.run(stopped))
        await session.failure.until(lambda failure: failure is not None)
        stopped.set()
        await running
    assert out.getvalue().count("  !! 503: the agent opens no WebSocket: HTTP 503\n") == 1


def shown_until(fd: int, *wanted: str) -> Iterator[str]:
    """What the program writes to its terminal until all of this was there, piece by piece."""
    seen = ""
    while not all(one in seen for one in wanted):
        piece = os.read(fd, 4096).decode(errors="replace")
        seen += piece
        yield piece


def test_one_talks_to_the_local_agent_and_leaves_with_ctrl_c(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    heard = tmp_path / "heard.wav"
    command = [sys.executable, "-W", "error", "-m", "utd_rx"]
    program = subprocess.Popen(
        [*command, "agent", "--local", "--microphone", speech_path(), "--speaker", heard],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=Path(__file__).parents[2],
        start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # its terminal
    )
    os.close(theirs)
    try:
        "".join(shown_until(ours, "[listening]"))
        os.write(ours, b"hello\rm")
        told = "".join(shown_until(ours, "agent: hello", "muted"))
        assert "you: hello" in told
        os.write(ours, b"\x03")
        assert program.wait(10) == 0
        assert read_wav(heard)[1].any()
    finally:
        program.kill()
        program.wait()
        os.close(ours)
