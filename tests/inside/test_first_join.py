"""A first join loads LiveKit beside the loop, and a demo's last line can be said anywhere."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
from attrs import evolve

from tests.cli.test_demo_report import CLEAR, HEARD, FakeWitness, journal
from utd_rx.cli import main
from utd_rx.cli.demo import runner
from utd_rx.cli.demo.journal import DemoJournal
from utd_rx.cli.demo.room import ROOM, Heard

FIRST_JOIN = """
import asyncio, sys, threading
from utd_rx import UTDRoom, UTDStreamException

class Watch:
    def find_spec(self, name, *_):
        if name in ("livekit", "livekit.rtc", "livekit.rtc.room"):
            print(name, threading.current_thread() is threading.main_thread())

sys.meta_path.insert(0, Watch())

async def join():
    async with UTDRoom() as room:
        try:
            await room.connect("ws://127.0.0.1:1", "a.b.c")
        except UTDStreamException as error:
            print(error.code.name)

asyncio.run(join())
"""


def test_a_first_join_loads_livekit_on_another_thread() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FIRST_JOIN], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines() == [
        "livekit False", "livekit.rtc False", "livekit.rtc.room False", "NETWORK",
    ]  # fmt: skip


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["for a reader", "for a machine"])
def test_a_demo_in_a_folder_that_the_locale_cannot_spell_ends_well(
    options: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(_: str, told: DemoJournal, *__: object) -> Heard:
        told.streams.update(journal().streams)
        return evolve(HEARD, comparison=CLEAR)

    monkeypatch.setitem(runner.STORIES, "room", evolve(ROOM, play=play))
    monkeypatch.setattr(runner, "Witness", lambda: FakeWitness(0.0))
    monkeypatch.setattr(runner, "draw_timeline", lambda *_, **__: None)
    printed = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(printed, "ascii", write_through=True))
    assert main(["demo", "--out", str(tmp_path / "päth"), *options]) == 0
    assert b"p\\xe4th" in printed.getvalue() or b"p\\u00e4th" in printed.getvalue()
