"""Senders and viewers for `benchmarks.video`, each in a process of its own; see `tracks_peers`.

Commands: "count" tells the frames so far, by track, "times" when each of the last numbers of a test
pattern was made or seen, by who made it, "unseen" the bytes of those tracks that nobody looks at.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Final

import numpy as np
from livekit import rtc

from benchmarks.tracks_peers import Values, serve
from utd_rx.models.events import RoomEvent, TrackSubscribed
from utd_rx.models.participant import TrackSource
from utd_rx.models.video import Pixels, VideoFrame, VideoSink
from utd_rx.rtc.room import UTDRoom
from utd_rx.video import TestPattern, read_counter

KEPT: Final = 90
"""Numbers whose time is kept, of each sender."""


class Times:
    """Counts frames, and keeps when each of the last numbers was there."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.times: defaultdict[str, dict[int, float]] = defaultdict(dict)

    def take(self, track: str, sender: str, number: int | None) -> None:
        """One more frame of a track."""
        self.counts[track] += 1
        if number is not None:
            times = self.times[sender]
            times.setdefault(number, time.monotonic())
            if len(times) > KEPT:
                del times[next(iter(times))]

    def count(self) -> Values:
        return {"frames": dict(self.counts)}

    async def answer(self, command: str) -> Values:
        assert command == "times"
        return dict(self.times)


class TimedPattern:
    """A test pattern that says when it made what."""

    def __init__(self, pattern: TestPattern, sender: str, times: Times) -> None:
        self.format = pattern.format
        self._pattern, self._sender, self._times = pattern, sender, times

    async def open(self, sink: VideoSink) -> Any:
        def take(frame: VideoFrame) -> None:
            self._times.take(self._sender, self._sender, read_counter(frame))
            sink(frame)

        return await self._pattern.open(take)


async def send(stack: AsyncExitStack, values: Values) -> Times:
    """Participants that each send a test pattern, to nobody who does not look."""
    times = Times()
    for name, token in zip(values["names"], values["tokens"], strict=True):
        room = UTDRoom()
        stack.push_async_callback(room.aclose)
        await room.connect(values["url"], token, auto_subscribe=False)
        pattern = TestPattern(640, 360, values["fps"])
        await room.publish(TimedPattern(pattern, name, times), TrackSource.CAMERA)
    return times


class Viewer(Times):
    """utd_rx: looks at the tracks of some senders and at no others."""

    def __init__(self) -> None:
        super().__init__()
        self._rooms: list[UTDRoom] = []
        self._looking: set[asyncio.Task[int]] = set()

    @classmethod
    async def begin(cls, stack: AsyncExitStack, values: Values) -> Viewer:
        viewer = cls()
        for number, token in enumerate(values["tokens"]):
            room = UTDRoom()
            stack.push_async_callback(room.aclose)
            room.listen(partial(viewer.hear, room, number, values["looked_at"]))
            await room.connect(values["url"], token)
            viewer._rooms.append(room)
        return viewer

    def hear(
        self,
        room: UTDRoom,
        number: int,
        looked_at: Sequence[str],
        events: tuple[RoomEvent, ...],
    ) -> None:
        for event in events:
            if isinstance(event, TrackSubscribed) and event.identity in looked_at:
                track, sender = f"{number} {event.identity}", event.identity
                looking = room.look(event.track.sid, partial(self.see, track, sender))
                self._looking.add(asyncio.create_task(looking))

    def see(self, track: str, sender: str, frame: VideoFrame) -> None:
        self.take(track, sender, read_counter(frame))

    async def answer(self, command: str) -> Values:
        if command != "unseen":
            return await super().answer(command)
        received = [(n, await room.statistics()) for n, room in enumerate(self._rooms)]
        return {
            f"{n} {one.identity}": one.bytes
            for n, told in received
            for one in told.tracks
            if f"{n} {one.identity}" not in self.counts
        }


async def stream(stack: AsyncExitStack, values: Values, *, converts: bool) -> Times:
    """`rtc.VideoStream`, one per track, as its documentation has it; either it delivers RGB, or
    each of its frames is converted."""
    times, tasks = Times(), set[asyncio.Task[None]]()
    form = None if converts else rtc.VideoBufferType.RGB24

    async def look(track: rtc.Track, name: str, sender: str) -> None:
        async for event in rtc.VideoStream(track, format=form):
            frame = event.frame
            if converts:
                frame = frame.convert(rtc.VideoBufferType.RGB24)
            pixels: Pixels = np.frombuffer(frame.data, np.uint8)
            pixels = pixels.reshape(frame.height, frame.width, 3)
            times.take(name, sender, read_counter(pixels))

    def subscribed(number: int, track: rtc.Track, _: object, who: rtc.RemoteParticipant) -> None:
        if who.identity in values["looked_at"]:
            name = f"{number} {who.identity}"
            tasks.add(asyncio.create_task(look(track, name, who.identity)))

    for number, token in enumerate(values["tokens"]):
        room = rtc.Room()
        room.on("track_subscribed", partial(subscribed, number))
        await room.connect(values["url"], token)
        stack.push_async_callback(room.disconnect)
    return times


PEERS: Final[dict[str, Callable[[AsyncExitStack, Values], Awaitable[Times]]]] = {
    "senders": send,
    "utd_rx": Viewer.begin,
    "rtc.VideoStream, RGB": partial(stream, converts=False),
    "rtc.VideoStream, converted": partial(stream, converts=True),
}


async def run() -> None:
    """Run a peer until standard input ends."""
    values: Values = json.loads(sys.stdin.readline())
    peer = await PEERS[values["peer"]](AsyncExitStack(), values)
    print(json.dumps({}), flush=True)
    threading.Thread(target=serve, args=(peer, asyncio.get_running_loop())).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(run())
