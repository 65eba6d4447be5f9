"""What a voice costs in the mix: CPU per second of sound, at 1 to 64 voices, to `rtc.AudioMixer`.

`python -m benchmarks.mixer [--rounds N]`, also `python -m benchmarks.audio --only mixer`. No device
and no room: frames are pushed and the mix is pulled as fast as it goes, in the pieces that a
speaker pulls, and processor time is what counts. "Catching up" is a voice that is played 3 % faster
after a stall, when all of them are.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

import numpy as np
from livekit import rtc

from benchmarks.support import print_machine, print_table, ratio, spread
from utd_rx.audio.jitter import MAX_DEPTH, WINDOW
from utd_rx.audio.mixer import Mixer
from utd_rx.audio.playing import SLIP
from utd_rx.models.audio import AudioFormat, AudioFrame
from utd_rx.ports.audio import SPEAKER_BLOCK

VOICES: Final = (1, 8, 32, 64)
RATE: Final = 48_000
FRAME: Final = RATE // 100
PIECE: Final = round(SPEAKER_BLOCK * RATE)
SECONDS: Final = 3.0
_SOUND: Final = np.random.default_rng(6).integers(-200, 200, (FRAME, 1)).astype(np.int16)


def mixed(voices: int, *, is_behind: bool = False) -> float:
    """Return ms of CPU per voice and second of sound, by utd_rx."""
    mixer = Mixer(AudioFormat(RATE, 1), SLIP)  # as a speaker's
    frame = AudioFrame(_SOUND, RATE)
    everybody = [mixer.add(str(number), 1.0) for number in range(voices)]
    for voice in everybody:
        voice(frame)
        voice(frame)

    def turns(count: int) -> None:
        for _ in range(count):
            for voice in everybody:
                voice(frame)
            for _ in range(FRAME // PIECE):
                mixer.pull(PIECE)

    turns(round(100 * 8 * WINDOW))  # what the begin left is worked off
    if is_behind:
        for voice in everybody:
            for _ in range(round(100 * MAX_DEPTH / 2)):
                voice(frame)
        turns(round(100 * WINDOW))
    # 60 ms at 3 % take two seconds, of which the first has just been waited for.
    seconds = WINDOW if is_behind else SECONDS
    begin = time.process_time()
    turns(round(100 * seconds))
    return 1000 * (time.process_time() - begin) / voices / seconds


def rival(voices: int) -> float:
    """Return the same of `rtc.AudioMixer`, with streams that never let it wait."""

    async def stream() -> AsyncIterator[rtc.AudioFrame]:
        data = _SOUND.tobytes()
        while True:
            yield rtc.AudioFrame(data, RATE, 1, FRAME)

    async def run() -> float:
        mixer = rtc.AudioMixer(RATE, 1)
        for _ in range(voices):
            mixer.add_stream(stream())
        pieces = 0
        begin = time.process_time()
        async for _ in mixer:
            pieces += 1
            if pieces == round(SECONDS * 10):  # it mixes 100 ms at a time
                break
        used = time.process_time() - begin
        await mixer.aclose()
        return used

    return 1000 * asyncio.run(run()) / voices / SECONDS


WAYS: Final[dict[str, Callable[[int], float]]] = {
    "utd_rx": mixed,
    "utd_rx, catching up": lambda voices: mixed(voices, is_behind=True),
    "rtc.AudioMixer": rival,
}


def run(rounds: int) -> None:
    """Measure every way at every number of voices, in turn."""
    print_machine("before")
    taken: dict[tuple[str, int], list[float]] = {}
    for _ in range(rounds):
        for voices in VOICES:
            for name, way in WAYS.items():
                taken.setdefault((name, voices), []).append(way(voices))
    rows = [("voices", *WAYS, "ratio")]
    for voices in VOICES:
        of = ratio(taken["utd_rx", voices], taken["rtc.AudioMixer", voices])
        figures = (spread(taken[name, voices], 2) for name in WAYS)
        rows.append((str(voices), *figures, "-" if of is None else f"{of:.2f}"))
    print("ms of CPU per voice and second of sound")
    print_table(rows)
    print_machine("after")


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    run(parser.parse_args().rounds)


if __name__ == "__main__":
    main()
