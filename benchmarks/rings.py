"""What a frame costs on its way from one process to the other: `python -m benchmarks.rings`.

Against the same frame pickled through a socket, as `multiprocessing.Pipe` sends it; both ends take
turns on one thread, and CPU is counted, so that neither a busy machine nor the scheduler says much.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from utd_rx.media.frames import FrameReader, FrameWriter
from utd_rx.media.loop_reader import LoopReader
from utd_rx.media.pictures import PictureReader, PictureWriter
from utd_rx.media.ring import RingShape
from utd_rx.models.audio import AudioFrame
from utd_rx.models.video import VideoFrame

SOUND = AudioFrame(np.ones((480, 1), np.int16), 48_000, 1.0)


def picture(width: int, height: int) -> VideoFrame:
    """A picture of that size."""
    return VideoFrame(np.ones((height, width, 3), np.uint8), 1.0)


def announcing(reader: LoopReader[Any]) -> Callable[[RingShape, tuple[int, int]], None]:
    """What tells a reader of a ring."""

    def announce(shape: RingShape, descriptors: tuple[int, int]) -> None:
        memory, bell = map(os.dup, descriptors)
        reader.attach(shape, memory, bell)

    return announce


def cpu(count: int, turn: Callable[[], object]) -> float:
    """Microseconds of CPU of one turn."""
    turn()
    began = time.thread_time()
    for _ in range(count):
        turn()
    return 1e6 * (time.thread_time() - began) / count


def through_a_ring(frame: Any, count: int) -> float:
    """Of both ends together."""
    came: list[Any] = []
    reader: LoopReader[Any]
    if isinstance(frame, AudioFrame):
        reader = FrameReader(came.extend)
        sound = FrameWriter(announcing(reader))
        writer: Any = sound
        write = partial(sound.write, (frame,))
    else:
        reader = PictureReader(came.append)
        writer = pictures = PictureWriter(announcing(reader))
        write = partial(pictures.write, frame)

    def turn() -> None:
        write()
        reader.drain()
        came.clear()

    taken = cpu(count, turn)
    reader.stop()
    writer.close()
    return taken


def through_a_pipe(frame: Any, count: int) -> float:
    """The same by `multiprocessing.Pipe`; a thread reads what does not fit into a socket."""
    ours, theirs = multiprocessing.Pipe()
    if isinstance(frame, AudioFrame):

        def turn() -> None:
            ours.send(frame)
            theirs.recv()

        with ours, theirs:
            return cpu(count, turn)
    with ours, theirs, multiprocessing.Pool(1) as pool:
        # A process beside it writes, and what it takes is asked of it.
        began = time.thread_time()
        written = pool.apply_async(_write, (theirs, frame, count))
        for _ in range(count):
            ours.recv()
        read = time.thread_time() - began
        return 1e6 * read / count + written.get()


def _write(end: Any, frame: Any, count: int) -> float:
    return cpu(count - 1, lambda: end.send(frame))


async def measure(rounds: int) -> None:
    """Print a row for each kind of frame."""
    print(f"{'µs of CPU, both ends':<24}{'ring':>8}{'pickled':>10}{'ratio':>8}")
    for name, frame, count in (
        ("10 ms of 48 kHz", SOUND, 5_000),
        ("640 × 360", picture(640, 360), 200),
        ("1920 × 1080", picture(1920, 1080), 50),
    ):
        rings, pipes = [], []
        for _ in range(rounds):
            rings.append(through_a_ring(frame, count))
            pipes.append(through_a_pipe(frame, count))
        ring, pipe = statistics.median(rings), statistics.median(pipes)
        print(f"{name:<24}{ring:>8.1f}{pipe:>10.1f}{ring / pipe:>8.2f}")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    asyncio.run(measure(arguments.parse_args().rounds))
