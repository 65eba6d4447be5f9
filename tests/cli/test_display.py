"""Where a session is shown: a picture and lines on a terminal, lines elsewhere, JSON."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest
from rich.console import Console
from rich.text import Text

from utd_rx.cli.display import JsonDisplay, LineDisplay, LiveDisplay, display
from utd_rx.cli.progress import notice, progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_elsewhere_each_change_is_a_line_once() -> None:
    out = io.StringIO()
    lines = LineDisplay(out)
    for value in (1, 1, 2):
        lines.state("seat", value)
    lines.event("chat", "hi", "anna: hi")
    lines.draw(Text)
    assert out.getvalue() == "seat: 1\nseat: 2\nanna: hi\n"


def test_a_recording_has_times_of_its_own() -> None:
    out = io.StringIO()
    LineDisplay(out, lambda: 1.5).event("chat", "hi", "anna: hi")
    assert out.getvalue() == "   1.50 s  anna: hi\n"


def test_a_machine_reads_one_object_a_line() -> None:
    out = io.StringIO()
    machine = JsonDisplay(out, lambda: 2.0)
    machine.state("seat", None)
    machine.event("chat", "hi\n", "anna: hi")
    assert [json.loads(line) for line in out.getvalue().splitlines()] == [
        {"at": 2.0, "state": "seat", "value": None},
        {"at": 2.0, "event": "chat", "value": "hi\n"},
    ]


@pytest.mark.parametrize("has_color", [True, False])
def test_a_terminal_has_a_picture_below_the_lines(
    has_color: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_color:
        monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    picture = LiveDisplay(Console(file=out, force_terminal=True, width=50, color_system="standard"))
    picture.draw(lambda: Text("how it stands", style="green"))
    picture.event("chat", "", "anna: [bold]hi[/]")
    picture.state("seat", 1)
    picture.close()
    shown = out.getvalue()
    assert "anna: [bold]hi[/]\n" in shown
    assert "seat" not in shown
    assert ("\x1b[32m" in shown) == has_color


def test_without_a_terminal_there_is_no_picture() -> None:
    assert isinstance(display(as_json=False), LineDisplay)
    assert isinstance(display(as_json=True), JsonDisplay)


def test_who_reads_no_more_ends_it_quietly() -> None:
    program = (
        "from utd_rx.cli.display import display\n"
        "shown = display(as_json=False)\n"
        "while True: shown.event('chat', '', 'anna: hi')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(20) != 0
    assert process.stderr.read() == b""
    process.stderr.close()


def test_progress_is_there_at_once_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Terminal()
    monkeypatch.setattr(sys, "stderr", out)
    with progress("joining"):
        assert out.getvalue() == "joining …"
        notice("no speaker")
    assert out.getvalue() == "joining …\r\x1b[2Kno speaker\n\r\x1b[2K"


def test_progress_is_for_terminals(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("joining"):
        notice("no speaker")
    assert capsys.readouterr() == ("", "no speaker\n")
