"""A program that asks for more and less of a video while its track goes, and must survive it
(docs/livekit.md, "Tracks that go meanwhile").

Run by `test_defects`: `python -m tests.rtc.switch_videos <url> <token> <token>`.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from itertools import cycle

from livekit import rtc

from tests.rtc.bench import Ear
from utd_rx.models import events as ev
from utd_rx.models.participant import TrackSource
from utd_rx.rtc import ffi
from utd_rx.rtc.reception import publication
from utd_rx.rtc.room import UTDRoom
from utd_rx.video import TestPattern

ROUNDS = 2
"""Of which one ended the process, when there was a moment in which it could."""

ASKING = 8
"""Threads that ask at once, so that at any time some of them wait for WebRTC's own."""


def asking(ask: Callable[[bool], None], is_over: threading.Event) -> threading.Thread:
    """Return a thread that asks for a track and for nothing in turns, with no pause."""

    def run() -> None:
        for is_on in cycle((False, True)):
            if is_over.is_set():
                return
            ask(is_on)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


async def let_go_while_asked(there: rtc.RemoteTrackPublication) -> None:
    """Unsubscribe while all threads ask; return when each has asked again since."""
    track, is_over = there.track, threading.Event()
    assert track is not None
    asked = asyncio.Semaphore(0)
    loop = asyncio.get_running_loop()

    def ask(is_on: bool) -> None:
        ffi.switch(track, is_on)
        ffi.ask_size(there, 320, 180)
        loop.call_soon_threadsafe(asked.release)

    threads = [asking(ask, is_over) for _ in range(ASKING)]
    for is_subscribed in (True, False):
        if not is_subscribed:
            there.set_subscribed(False)
        for _ in range(4 * ASKING):
            await asked.acquire()
    is_over.set()
    for thread in threads:
        await asyncio.to_thread(thread.join)


async def main(url: str, seen: str, sees: str) -> None:
    """Let a video go and take it again, round after round."""
    async with UTDRoom() as ann, UTDRoom(adaptive_stream=False) as bob:
        ear = Ear(bob)
        await bob.connect(url, sees)
        await ann.connect(url, seen)
        track = await ann.publish(TestPattern(320, 180, 15), TrackSource.CAMERA)
        for number in range(ROUNDS):
            await ear.wait(ev.TrackSubscribed)
            ear.heard.clear()
            there = bob.room and publication(bob.room, track.sid)
            assert there
            await let_go_while_asked(there)
            print(number, flush=True)
            there.set_subscribed(True)
        await ear.wait(ev.TrackSubscribed)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
