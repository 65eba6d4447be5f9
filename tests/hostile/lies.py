"""A lie is a row: its name, how it is told, what comes of it, and what others may suffer of it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from attrs import frozen

T = TypeVar("T")
"""How a kind of liar tells a lie."""

C = TypeVar("C")
"""What comes of it for whom it is told."""

ROOT: Final = Path(__file__).resolve().parents[2]
_PATIENCE: Final = 60.0


@frozen
class Suffering:
    """What the pair beside a lie may suffer of it."""

    lost: int = 0
    """Bursts of sound that are not heard, or too late (`pair.LATE`)."""

    delay: float = 0.15
    """Seconds that sound comes later than before, at most; before, it is 0.04 to 0.12 late."""

    stall: float = 0.1
    """Seconds that the pair's loop may stand still."""


NOTHING: Final = Suffering()


@frozen
class Lie(Generic[T, C]):
    """A row of a liar's table."""

    name: str
    tell: T
    comes: C
    pair: Suffering = NOTHING
    is_apart: bool = False
    """Whether it is told to somebody in another process than the pair's: it keeps native code busy
    on the threads that all rooms of a process share (docs/livekit.md, "One worker"), or is heard
    where no other joins ("Sent away at once")."""


class Liar:
    """A liar's process; `ready` is what it said when it was ready."""

    def __init__(self, process: asyncio.subprocess.Process, ready: dict[str, Any]) -> None:
        self.pid = process.pid
        self.ready = ready


@asynccontextmanager
async def liar(module: str, **arguments: object) -> AsyncIterator[Liar]:
    """Run `python -m module` for the length of the block, which then calls `serve_until_told`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(arguments).encode() + b"\n")
        line = await asyncio.wait_for(process.stdout.readline(), _PATIENCE)
        assert line, f"{module} did not start"
        yield Liar(process, json.loads(line))
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), _PATIENCE)
        except TimeoutError:
            process.kill()
            await process.wait()


def arguments() -> dict[str, Any]:
    """Return, in a liar's process, what it was started with."""
    told: dict[str, Any] = json.loads(sys.stdin.readline())
    return told


async def serve(**ready: object) -> None:
    """Say, in a liar's process, that it is ready, and serve until whoever started it is done."""
    print(json.dumps(ready), flush=True)
    await asyncio.to_thread(sys.stdin.read)
