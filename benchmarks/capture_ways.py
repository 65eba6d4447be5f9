"""What `benchmarks.capture` runs in processes of its own: `python -m benchmarks.capture_ways NAME`.

Commands come as lines on standard input: "report" prints the times that were noted since the last
one as a line of JSON, "busy" makes the event loop work half of its time, "spin" starts a thread
that never yields; the end of the input ends it.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final, TypeAlias

import numpy as np
import sounddevice
from livekit import rtc

from tests.support.pulse import CABLE_A
from utd_rx.audio.microphone import Microphone
from utd_rx.audio.switching import hold
from utd_rx.models.audio import AudioFormat, AudioFrame, Samples
from utd_rx.rtc.feeder import Feeder
from utd_rx.rtc.receiver import TrackSound

RATE: Final = 48_000
FRAME: Final = 480
BLOCK: Final = 240
LOUD: Final = 8_000
REFRACTORY: Final = 0.1
GAPS: Final = (0.7, 1.1)
"""Seconds between two clicks: longer than any delay, never twice the same."""

CLICK: Final = np.tile(np.repeat(np.array([24_000, -24_000], np.int16), 24), 2)


class Ear:
    """Notes when the beginning of each click is in the taker's hands."""

    def __init__(self) -> None:
        self.onsets: list[float] = []

    def hear(self, samples: Samples) -> None:
        """Take a frame, now."""
        now = time.monotonic()
        is_new = not self.onsets or now - self.onsets[-1] > REFRACTORY
        if is_new and np.abs(samples).max() > LOUD:
            self.onsets.append(now)

    def take(self) -> list[float]:
        """Return what was noted so far, and begin anew."""
        taken, self.onsets = self.onsets, []
        return taken


Ears: TypeAlias = dict[str, Ear]


class Cutter:
    """Cuts blocks into frames of 10 ms."""

    def __init__(self, ear: Ear) -> None:
        self._ear = ear
        self._rest: Samples = np.zeros(0, np.int16)

    def push(self, block: Samples) -> None:
        self._rest = np.concatenate([self._rest, block])
        while len(self._rest) >= FRAME:
            self._ear.hear(self._rest[:FRAME])
            self._rest = self._rest[FRAME:]


def device() -> int:
    """Return the cable's number."""
    return next(n for n, d in enumerate(sounddevice.query_devices()) if d["name"] == CABLE_A)


async def clicks(stack: AsyncExitStack) -> Ears:
    """Play clicks into the cable."""
    pending = np.zeros(0, np.int16)

    def play(data: Any, count: int, *_: object) -> None:
        nonlocal pending
        while len(pending) < count:
            gap = np.zeros(round(random.uniform(*GAPS) * RATE), np.int16)
            pending = np.concatenate([pending, CLICK, gap])
        data[:], pending = pending[:count].tobytes(), pending[count:]

    stream = sounddevice.RawOutputStream(RATE, BLOCK, device(), 1, "int16", "low", callback=play)
    stack.enter_context(stream)
    return {}


async def callback(stack: AsyncExitStack) -> Ears:
    """Frames are cut and handed on in PortAudio's callback."""
    ear = Ear()
    cutter = Cutter(ear)

    def take(data: Any, *_: object) -> None:
        cutter.push(np.frombuffer(data, np.int16))

    stream = sounddevice.RawInputStream(RATE, BLOCK, device(), 1, "int16", "low", callback=take)
    stack.enter_context(stream)
    return {"heard": ear}


async def blocking(stack: AsyncExitStack) -> Ears:
    """A thread reads 10 ms at a time."""
    ear = Ear()
    stream = sounddevice.RawInputStream(RATE, BLOCK, device(), 1, "int16", "low")
    stack.enter_context(stream)

    def take() -> None:
        while True:
            ear.hear(np.frombuffer(stream.read(FRAME)[0], np.int16))

    threading.Thread(target=take, daemon=True).start()
    return {"heard": ear}


async def rtmixer(stack: AsyncExitStack) -> Ears:
    """A callback in C fills a ring; a thread looks into it every 2 ms."""
    import rtmixer as mixer

    ear = Ear()
    cutter = Cutter(ear)
    ring = mixer.RingBuffer(4, 16_384)
    recorder = mixer.Recorder(
        device=device(), channels=1, blocksize=BLOCK, samplerate=RATE, latency="low"
    )
    stack.enter_context(recorder)
    recorder.record_ringbuffer(ring)

    def take() -> None:
        while True:
            sound = np.frombuffer(ring.read(), np.float32)
            cutter.push((sound * 32_767).astype(np.int16))
            time.sleep(0.002)

    threading.Thread(target=take, daemon=True).start()
    return {"heard": ear}


async def ring_and_thread(stack: AsyncExitStack) -> Ears:
    """`Microphone`: a callback fills a ring and cuts the frames, or else a thread does."""
    ear = Ear()
    stream = await Microphone(CABLE_A, block=BLOCK / RATE).open(
        lambda frame: ear.hear(frame.samples)
    )
    stack.push_async_callback(stream.aclose)
    return {"heard": ear}


async def native_call(stack: AsyncExitStack) -> Ears:
    """`Feeder`: the thread that has a frame hands it to LiveKit."""
    feeder = Feeder(AudioFormat(), print)
    stack.push_async_callback(feeder.aclose)
    feeder.start()
    return hand_over(stack, feeder.source, feeder.put)


async def event_loop(stack: AsyncExitStack) -> Ears:
    """The event loop hands frames to LiveKit, one after the other."""
    loop, frames = asyncio.get_running_loop(), asyncio.Queue[AudioFrame]()
    source = rtc.AudioSource(RATE, 1, queue_size_ms=0)
    stack.push_async_callback(source.aclose)

    async def write() -> None:
        while True:
            frame = await frames.get()
            await source.capture_frame(rtc.AudioFrame(frame.samples.tobytes(), RATE, 1, FRAME))

    stack.callback(asyncio.create_task(write()).cancel)
    return hand_over(
        stack, source, lambda frame: loop.call_soon_threadsafe(frames.put_nowait, frame)
    )


def hand_over(
    stack: AsyncExitStack, source: rtc.AudioSource, put: Callable[[AudioFrame], object]
) -> Ears:
    """A thread has frames for LiveKit; what is noted is how long each click takes through it."""
    heard, sent = Ear(), Ear()
    reception = TrackSound("loop", lambda frame: heard.hear(frame.samples))
    stack.push_async_callback(reception.aclose)
    reception.attach(rtc.LocalAudioTrack.create_audio_track("loop", source))

    def send() -> None:
        click = np.zeros((FRAME, 1), np.int16)
        click[: len(CLICK), 0] = CLICK
        quiet = np.zeros((FRAME, 1), np.int16)
        due, until_click = time.monotonic(), 0
        while True:
            frame = quiet if until_click else click
            sent.hear(frame)
            put(AudioFrame(frame, RATE))
            until_click = (until_click or round(random.uniform(*GAPS) * 100)) - 1
            due += 0.01
            time.sleep(max(0.0, due - time.monotonic()))

    threading.Thread(target=send, daemon=True).start()
    return {"heard": heard, "sent": sent}


WAYS: Final[dict[str, Callable[[AsyncExitStack], Awaitable[Ears]]]] = {
    "clicks": clicks,
    "reference": callback,
    "callback": callback,
    "callback, ring, thread": ring_and_thread,
    "blocking read": blocking,
    "rtmixer": rtmixer,
    "native call": native_call,
    "event loop": event_loop,
}


def spin() -> None:
    """Never yield."""
    while True:
        pass


async def work() -> None:
    """Keep the loop busy for 20 ms of every 40."""
    while True:
        until = time.monotonic() + 0.02
        while time.monotonic() < until:
            pass
        await asyncio.sleep(0.02)


async def run(name: str) -> None:
    """Take sound one way until standard input ends."""
    hold()  # as an open device does: the switch interval is not what is compared
    async with AsyncExitStack() as stack:
        ears = await WAYS[name](stack)
        print("ready", flush=True)
        working: asyncio.Task[None] | None = None
        while command := (await asyncio.to_thread(sys.stdin.readline)).strip():
            if command == "report":
                print(json.dumps({name: ear.take() for name, ear in ears.items()}), flush=True)
            elif command == "busy":
                working = asyncio.create_task(work())
            elif command == "spin":
                if working is not None:
                    working.cancel()
                threading.Thread(target=spin, daemon=True).start()
        # A busy thread may abort native code while the interpreter goes down
        # (docs/livekit.md, "Aborts at exit").
        os._exit(0)


if __name__ == "__main__":
    if os.getpriority(os.PRIO_PROCESS, 0) < 0 and sys.argv[1] not in ("clicks", "reference"):
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    asyncio.run(run(sys.argv[1]))
