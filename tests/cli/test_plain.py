"""What is told of values: to a reader in a line no terminal obeys, to a machine without secrets."""

from __future__ import annotations

import json

import pytest

from utd_rx import (
    ChatMessage,
    UTDCall,
    UTDCallStatus,
    UTDErrorCode,
    UTDSeat,
    UTDSeatGrid,
    UTDStageMember,
    UTDStreamException,
    UTDStreamType,
)
from utd_rx.cli.options import fail
from utd_rx.cli.plain import chat_line, json_line, line_of
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.role import UTDRole

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm5hIn0.c2lnbmF0dXJlc2lnbmF0dXJl"
GRID = UTDSeatGrid((UTDSeat(0, "hana"), UTDSeat(1)))


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (GRID, "it: hana, ·"),
        (None, "it: -"),
        ((), "it: -"),
        (UTDSeat(2), "it: 2"),
        (UTDCallStatus.RINGING, "it: ringing"),
        (FrozenMap({"hana": UTDRole.HOST}), "it: hana host"),
        ((UTDStageMember("a\x1b[2Jb"),), "it: a\ufffd[2Jb"),
    ],
)
def test_a_value_is_one_line(value: object, line: str) -> None:
    assert line_of("it", value) == line


def test_what_others_write_is_one_line_that_no_terminal_obeys() -> None:
    message = ChatMessage("1", "look\n\x1b]0;title\x07 \u202e here " + TOKEN, "ev\x07il")
    line = chat_line(message)
    assert line.isprintable()
    assert line.startswith("ev\ufffdil: look ")
    assert "eyJ" not in line


def test_a_machine_gets_whole_values_but_no_credentials() -> None:
    call = UTDCall("c", UTDCallStatus.ACTIVE, UTDStreamType.AUDIO_CALL, token=TOKEN, url="wss://x")
    error = UTDStreamException("no", code=UTDErrorCode.FORBIDDEN)
    told = json.loads(json_line(call=call, grid=GRID, failure=error))
    assert told["grid"]["seats"][0]["identity"] == "hana"
    assert (told["call"]["status"], told["call"]["type"]) == ("active", "audio_call")
    assert (told["failure"]["code"], told["failure"]["message"]) == ("forbidden", "no")
    assert not {"token", "url"} & set(told["call"])


@pytest.mark.parametrize("name", ["a\ud800b", "a\x1b[2J\x9b\x7f", "\u202eevil", "müller 日本 👩‍🚀"])
def test_a_line_for_machines_is_printable_and_whole(name: str) -> None:
    line = json_line(state="people", value=[name])
    assert line.isprintable()
    assert json.loads(line)["value"] == [name]


def test_a_command_fails_in_one_line_that_no_terminal_obeys(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert fail("join", 1, "no: \x1b[31m\r\nutd-rx: all is well\ud800") == 1
    assert capsys.readouterr().err == "utd-rx join: no: \ufffd[31m utd-rx: all is well\ufffd\n"
