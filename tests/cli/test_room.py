"""`utd-rx room` as a process, in a room that only LiveKit knows of."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

import pytest
from livekit import api

from tests.cli.test_sessions import until
from tests.rtc.bench import token
from tests.support.sfu import RunningSfu
from utd_rx import (
    Encryption,
    EncryptionState,
    ToneSource,
    UTDErrorCode,
    UTDStreamException,
    open_room,
)
from utd_rx.audio import read_wav
from utd_rx.cli import main
from utd_rx.cli.pictures import picture
from utd_rx.cli.room import signed
from utd_rx.testing import FakeWorld

URL = "wss://x"
SECRET = "s" * 32


async def utd_rx(*arguments: str, **environment: str) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "utd_rx", "room", *arguments, "--json"),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        cwd=Path(__file__).parents[2],
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("sfu_kind", ["embedded"])
async def test_who_is_there_what_is_written_and_how_it_gets_through(
    sfu: RunningSfu, tmp_path: Path
) -> None:
    """With a key and a secret it makes a token of its own."""
    keys = {"LIVEKIT_URL": sfu.url, "LIVEKIT_API_KEY": sfu.api_key}
    keys["LIVEKIT_API_SECRET"] = sfu.api_secret
    arguments = ("--room", "room", "--as", "cli", "--microphone", "speech", "--record", "tape")
    async with open_room(sfu.url, token(sfu, "ana"), microphone=ToneSource()) as ana:
        await ana.set_microphone(True)
        process = await utd_rx(*arguments[:-1], str(tmp_path), **keys)
        assert process.stdin is not None
        track = await until(process, event="track")
        process.stdin.write(b"m\n")
        await until(process, state="microphone_enabled", value=True)
        process.stdin.write(b"hello\ns\n")
        measured = await until(process, event="statistics")
        assert {one["identity"] for one in measured["value"]["tracks"]} == {"ana", "cli"}
        await ana.chat_history.until(lambda history: [one.text for one in history] == ["hello"])
        process.stdin.write(b"q\n")
        _, problems = await process.communicate()
    assert process.returncode == 0, problems
    _, samples = read_wav(Path(track["value"]["path"]))
    assert samples.any()


@pytest.mark.parametrize("sfu_kind", ["embedded"])
@pytest.mark.long
async def test_its_key_is_in_a_file_and_what_another_one_encrypts_is_told(
    sfu: RunningSfu, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("s3cr3t\n")
    right, tone = Encryption("s3cr3t"), ToneSource()
    async with open_room(sfu.url, token(sfu, "ana"), microphone=tone, encryption=right) as ana:
        await ana.set_microphone(True)
        for way in (("--key-file", str(tmp_path / "key")), ()):
            process = await utd_rx(
                *(sfu.url, token(sfu, "cli"), *way), LIVEKIT_E2EE_KEY="" if way else "a guess"
            )
            assert process.stdin is not None
            told = await until(process, event="encryption")
            fits = EncryptionState.OK if way else EncryptionState.DECRYPTION_FAILED
            assert (told["value"]["identity"], told["value"]["encryption"]) == ("ana", fits.value)
            process.stdin.write(b"q\n")
            said, problems = await process.communicate()
            assert process.returncode == 0, problems
            for key in (b"s3cr3t", b"a guess"):
                assert key not in said + problems


def test_a_key_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["room", "wss://x", "a.b.c", "--key-file", "/nowhere/key"]) == 1
    assert "cannot read /nowhere/key" in capsys.readouterr().err


class Joining:
    """What a room is joined with, in place of one."""

    def __init__(self) -> None:
        self.url = self.token = ""
        self.options: dict[str, Any] = {}

    def __call__(self, url: str, token: str, **options: Any) -> Any:
        self.url, self.token, self.options = url, token, options
        raise UTDStreamException("it goes no further", code=UTDErrorCode.NETWORK)

    @property
    def claims(self) -> api.access_token.Claims:
        return api.TokenVerifier("key", SECRET).verify(self.token)


@pytest.fixture
def joining(monkeypatch: pytest.MonkeyPatch) -> Joining:
    for name in ("LIVEKIT_URL", "LIVEKIT_TOKEN", "LIVEKIT_E2EE_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LIVEKIT_API_KEY", "key")
    monkeypatch.setenv("LIVEKIT_API_SECRET", SECRET)
    joining = Joining()
    monkeypatch.setattr("utd_rx.plain_room.open_room", joining)
    return joining


def test_its_token_says_who_joins_under_which_name_and_may_change_it(joining: Joining) -> None:
    assert main(["room", URL, "--room", "r", "--as", "cli", "--name", "Clio"]) == 1
    claims = joining.claims
    assert (claims.identity, claims.name) == ("cli", "Clio")
    assert claims.video is not None
    assert (claims.video.room, claims.video.can_update_own_metadata) == ("r", True)
    assert main(["room", URL, "--room", "r"]) == 1
    assert not joining.claims.name


@pytest.mark.parametrize(
    ("option", "argument", "without", "given"),
    [
        ("--no-subscribe", "auto_subscribe", True, False),
        ("--clear-text", "allow_clear_text", False, True),
    ],
)
def test_a_flag_is_what_it_joins_with(
    joining: Joining, option: str, argument: str, without: bool, given: bool
) -> None:
    for flags, value in (((), without), ((option,), given)):
        assert main(["room", URL, "a.b.c", *flags]) == 1
        assert joining.options[argument] is value


@pytest.mark.parametrize("arguments", [(URL, "a.b.c"), ("a.b.c",), (URL,), ()])
def test_what_is_not_given_is_in_the_environment(
    joining: Joining, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    for name, value, other in (("URL", URL, "wss://y"), ("TOKEN", "a.b.c", "d.e.f")):
        monkeypatch.setenv(f"LIVEKIT_{name}", other if value in arguments else value)
    assert main(["room", *arguments]) == 1
    assert (joining.url, joining.token) == (URL, "a.b.c")


def test_a_key_is_the_bytes_of_a_line(joining: Joining, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\x00key\r\nand more")
    assert main(["room", URL, "a.b.c", "--key-file", str(tmp_path / "key")]) == 1
    assert joining.options["encryption"] == Encryption(b"\xff\x00key")


def test_no_recording_is_written_over(
    joining: Joining,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UTD_APP_ID", "app")
    monkeypatch.setenv("UTD_APP_KEY", "key")
    arguments = ["room", URL, "a.b.c", "--record", str(tmp_path)]
    assert main(arguments) == 1  # there is none yet
    kept = tmp_path / "session.jsonl"
    kept.write_text("kept")
    for again in (arguments, ["record", "friday", "--out", str(tmp_path)]):
        assert main(again) == 2
        assert "holds a recording: choose another folder" in capsys.readouterr().err
    assert kept.read_text() == "kept"


def test_a_token_of_its_own_is_one_of_livekits() -> None:
    made = signed({"iss": "key", "sub": "ana", "exp": 2**33, "video": {"room": "r"}}, "s" * 32)
    claims = api.TokenVerifier("key", "s" * 32).verify(made)
    assert (claims.identity, claims.video and claims.video.room) == ("ana", "r")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("wss://x",), "no token"),
        (("a.b.c",), "no URL"),
        (("wss://x", "a.b.c", "--room", "r"), "are in the token"),
        (("ws://far.example", "a.b.c"), "wss://"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(
    arguments: tuple[str, ...],
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("LIVEKIT_URL", "LIVEKIT_TOKEN", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"):
        monkeypatch.delenv(name, raising=False)
    assert main(["room", *arguments]) == 2
    assert says in capsys.readouterr().err


def test_a_plain_room_has_a_picture() -> None:
    from rich.console import Console

    with FakeWorld() as world:
        ana, _ = world.open_room("ana"), world.open_room("ben")
        world.run(ana.set_microphone(True))
        console = Console(width=50, record=True, file=io.StringIO())
        console.print(picture(ana))
    drawn = console.export_text()
    assert "lobby · connected · 2 here" in drawn
    assert "ben" in drawn
    assert "ana, may speak, microphone on" in drawn
