"""A port for the child of a test."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable

from utd_rx.media.hosted_speaker import HostedVoice
from utd_rx.models.audio import AudioFrame
from utd_rx.models.devices import DeviceKey
from utd_rx.ports import living

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"


class Talker:
    """Says things, lives and dies."""

    def __init__(self) -> None:
        self.is_closed = False

    async def pid(self) -> tuple[int, int, int]:
        return os.getpid(), os.getsid(0), os.getppid()

    async def path(self) -> list[str]:
        return sys.path

    async def log(self, text: str) -> None:
        logging.getLogger("utd_rx.talker").warning("%s", text)

    async def garble(self, text: str) -> None:
        logging.getLogger("utd_rx.talker").warning(f"{text} %d", "no number")  # noqa: G004 - as somebody may

    async def level(self) -> int:
        return logging.getLogger("utd_rx.talker").getEffectiveLevel()

    async def interrupt(self) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        return "alive"

    async def abort(self) -> None:
        sys.stderr.write(f"thread 'main' panicked with {TOKEN}: no way\n")
        os.abort()

    def fail(self) -> None:
        raise LookupError("no way")

    async def stop(self) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    async def spin(self, seconds: float) -> str:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pass
        return "done"

    async def sleep(self) -> None:
        await asyncio.Event().wait()

    async def aclose(self) -> None:
        sys.stderr.write("closed\n")

    async def chatter(self, sink: Callable[[object], None], count: int) -> None:
        for n in range(count):
            sink((n,))


class Quick:
    """A speaker whose voices are in the mix at once."""

    waiting = position = 0.0

    def voice(self, name: str, *, gain: float, margin: float | None) -> Quick:
        return self

    def __call__(self, frame: AudioFrame) -> None:
        self.position += frame.duration


quick = Quick()


def quick_voice() -> HostedVoice:
    key = DeviceKey("speaker")
    living.enter(key, quick)
    return HostedVoice(key, "agent", 1.0, 0.0)
