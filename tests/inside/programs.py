"""Programs of their own, which the tests here start, kill and listen to."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any, Self

from utd_rx.engine import LocalEngine

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
"""Seconds to wait for something that must happen; not a promise about how fast."""


class Program:
    """One that runs: `python -m tests.inside.NAME`, in the project's root."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def start(cls, name: str, *arguments: str, **environment: str) -> Self:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", f"tests.inside.{name}", *arguments),
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        return cls(process)

    @classmethod
    async def start_at(cls, engine: LocalEngine, name: str, *arguments: str) -> Self:
        return await cls.start(name, engine.base_url, engine.app_id, engine.app_key, *arguments)

    async def say(self, text: str = "") -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{text}\n".encode())
        await self.process.stdin.drain()

    async def hear(self) -> Any:
        """Return the next line that it prints, as JSON."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            line = await self.process.stdout.readline()
        return json.loads(line or await self._complaint())

    async def end(self) -> tuple[int, str]:
        """Wait for its end, and return the exit status and what it said on standard error."""
        assert self.process.stdin is not None
        assert self.process.stderr is not None
        self.process.stdin.close()
        async with asyncio.timeout(PATIENCE):
            said = (await self.process.stderr.read()).decode()
            return await self.process.wait(), said

    async def kill(self) -> None:
        """End it, whatever it does, if it has not ended."""
        if self.process.returncode is None:
            self.process.kill()
        await self.end()

    async def _complaint(self) -> str:
        raise AssertionError(await self.end())
