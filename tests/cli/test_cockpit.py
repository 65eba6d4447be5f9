"""A session in a terminal: what is typed is done, what is refused is told, and it ends."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from utd_rx.cli.cockpit import Cockpit
from utd_rx.cli.display import LineDisplay
from utd_rx.errors import UTDErrorCode, UTDStreamException


class Session:
    """What of one is typed at, and how it ends."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.out = io.StringIO()
        self.over = asyncio.Event()
        keys = {"l": self.leave, "f": self.fail}
        self.cockpit = Cockpit(
            LineDisplay(self.out), keys, self.write, lambda line: line, patience=0.01
        )

    async def leave(self) -> None:
        self.done.append("leave")

    async def fail(self) -> None:
        raise UTDStreamException("taken", code=UTDErrorCode.CONFLICT)

    async def write(self, line: str) -> None:
        for _ in range(9 * (line == "slow")):
            await asyncio.sleep(0)
        self.done.append(line)
        if line == "stay":
            await asyncio.Event().wait()


@pytest.fixture
def typist(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Where to write what is typed."""
    read, write = os.pipe()
    with os.fdopen(read) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield write
    os.close(write)


def end(typist: int) -> None:
    """End the pipe, so that the last line has no end."""
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), typist)


async def test_a_script_is_done_in_its_order_and_to_its_end(typist: int) -> None:
    session = Session()
    os.write(typist, b"slow\nl\nhello\nq")
    end(typist)
    await session.cockpit.run(session.over.wait())
    assert session.done == ["slow", "leave", "hello"]


async def test_lines_are_keys_and_texts_until_q(typist: int) -> None:
    session = Session()
    os.write(typist, b"l\n hello \nf\nstay\nnever\nq\n")
    await session.cockpit.run(session.over.wait())
    assert session.done == ["leave", "hello", "stay"]
    assert session.out.getvalue() == "  !! taken\n"


async def test_it_ends_with_the_session(typist: int) -> None:
    session = Session()
    session.over.set()
    await session.cockpit.run(session.over.wait())
    assert session.done == []


async def test_sigterm_leaves_like_q(typist: int) -> None:
    session = Session()
    asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGTERM)
    await session.cockpit.run(session.over.wait())
    assert not session.over.is_set()


async def test_what_it_lasts_for_may_fail(typist: int) -> None:
    session = Session()
    with pytest.raises(UTDStreamException, match="taken"):
        await session.cockpit.run(session.fail())
