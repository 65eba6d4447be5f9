"""A program that asks for more and less of a video while its track goes, then whatever can be
asked of what is gone, and must survive it (docs/livekit.md, "Tracks that go meanwhile").

Run by `test_defects`: `python -m tests.rtc.switch_videos <url> <token> <token>`.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from itertools import cycle

from livekit import rtc

from tests.rtc.bench import Ear
from utd_rx.models import events as ev
from utd_rx.models.participant import TrackSource
from utd_rx.rtc import ffi, streams
from utd_rx.rtc.reception import publication
from utd_rx.rtc.room import UTDRoom
from utd_rx.video import TestPattern

PATTERN = TestPattern(320, 180, 15)

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


async def let_go_while_asked(there: rtc.RemoteTrackPublication, track: rtc.Track) -> None:
    """Unsubscribe while all threads ask; return when each has asked again since."""
    is_over = threading.Event()
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


async def ask_of_what_is_gone(
    room: rtc.Room, there: rtc.RemoteTrackPublication, video: rtc.Track, own: rtc.LocalVideoTrack
) -> None:
    """Ask each request that is made anywhere: of a remote video, of `room` and of its track."""
    local, exchange = room.local_participant, streams.exchange()
    asks: tuple[Callable[[], object], ...] = (
        partial(ffi.switch, video, True),
        partial(ffi.ask_size, there, 320, 180),
        *(partial(there.set_subscribed, is_wanted) for is_wanted in (True, False)),
        *(own.mute, own.unmute),
    )
    for ask in asks:
        with suppress(AssertionError):  # as LiveKit says that there is none
            ask()
    with suppress(AssertionError):
        await exchange.close(exchange.open_video(video, lambda picture: None, lambda: None))
    answers = [
        *(track.get_stats() for track in (video, own)),
        *(room.get_rtc_stats(), local.publish_data(b"x"), local.unpublish_track(own.sid)),
    ]
    with suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            await asyncio.gather(*answers, return_exceptions=True)


async def joined(url: str, token: str, stack: AsyncExitStack) -> tuple[UTDRoom, rtc.Room]:
    """Return a room, and LiveKit's own."""
    room = await stack.enter_async_context(UTDRoom(adaptive_stream=False))
    await room.connect(url, token)
    assert room.room is not None
    return room, room.room


async def subscribed(ear: Ear, room: rtc.Room) -> tuple[rtc.RemoteTrackPublication, rtc.Track]:
    """Return the next publication that is subscribed, and its track."""
    sid = (await ear.wait(ev.TrackSubscribed)).track.sid
    ear.heard.clear()
    there = publication(room, sid)
    assert there is not None
    assert there.track is not None
    return there, there.track


async def main(url: str, seen: str, sees: str) -> None:
    """Let a video go, round after round; ask of the last one, and again when the room is left."""
    async with AsyncExitStack() as stack:
        bob, bobs = await joined(url, sees, stack)
        ear = Ear(bob)
        ann, _ = await joined(url, seen, stack)
        for number in range(ROUNDS):
            sid = (await ann.publish(PATTERN, TrackSource.CAMERA)).sid
            there, track = await subscribed(ear, bobs)
            await let_go_while_asked(there, track)
            print(number, flush=True)
            await ann.unpublish(sid)
        await ear.wait(ev.TrackUnpublished, lambda event: event.track.sid == there.sid)
        sid = (await bob.publish(PATTERN, TrackSource.CAMERA)).sid
        own = bobs.local_participant.track_publications[sid].track
        assert isinstance(own, rtc.LocalVideoTrack)
        await bob.unpublish(sid)
        await ask_of_what_is_gone(bobs, there, track, own)
        await bob.disconnect()
        await ask_of_what_is_gone(bobs, there, track, own)
        print("gone", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
