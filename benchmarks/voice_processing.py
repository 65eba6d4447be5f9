"""Compare a microphone's voice processing with a bare `rtc.AudioProcessingModule`, frame by frame.

Per kind of processing, 48 kHz mono, speech that is played and comes back as an echo 50 ms later and
10 dB softer: microseconds per frame of 10 ms (reference and microphone together), beside one
thread that never yields too; the delay it adds; how far the echo is turned down, second by second.
Run it as `python -m benchmarks.voice_processing`.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
import numpy.typing as npt
from livekit import rtc

from utd_rx.audio import read_wav, speech_path
from utd_rx.audio.playing import Tap
from utd_rx.audio.processing import ProcessingStage
from utd_rx.audio.switching import hold, release
from utd_rx.models.audio import AudioFormat, AudioFrame, Samples
from utd_rx.models.voice_processing import VoiceProcessing

FORMAT: Final = AudioFormat()
SIZE: Final = FORMAT.samples_per_frame
SECONDS: Final = 8
ROUNDS: Final = 3
ECHO_DELAY: Final = 0.05
ECHO_GAIN: Final = 0.3

KINDS: Final = {
    "off": VoiceProcessing(),
    "high-pass": VoiceProcessing(high_pass=True),
    "noise": VoiceProcessing(noise_suppression=True),
    "gain": VoiceProcessing(gain_control=True),
    "echo": VoiceProcessing(echo_cancellation=True),
    "all": VoiceProcessing(
        echo_cancellation=True, noise_suppression=True, gain_control=True, high_pass=True
    ),
}

Step = Callable[[Samples, Samples], Samples]
"""Takes what is played and what is heard, returns what the microphone gives."""


async def utd_rx_step(processing: VoiceProcessing) -> Step:
    """Return the path of a `Microphone` with a `Speaker` as its reference."""
    tap = Tap(FORMAT)
    stage = ProcessingStage(tap.listen, lambda: 0.01)
    await stage.use(processing)

    def step(played: Samples, heard: Samples) -> Samples:
        now = time.monotonic()
        tap.push(played, now + 0.02)
        return stage.push(AudioFrame(heard, FORMAT.sample_rate, now)).samples

    return step


async def bare_step(processing: VoiceProcessing) -> Step:
    """Return what an app writes by hand."""
    module = rtc.AudioProcessingModule(
        echo_cancellation=processing.echo_cancellation,
        noise_suppression=processing.noise_suppression,
        high_pass_filter=processing.high_pass,
        auto_gain_control=processing.gain_control,
    )

    def step(played: Samples, heard: Samples) -> Samples:
        if processing.echo_cancellation:
            module.process_reverse_stream(_frame(played))
            module.set_stream_delay_ms(30)
        frame = _frame(heard)
        module.process_stream(frame)
        return np.frombuffer(frame.data, np.int16).reshape(-1, 1)

    return step


def _frame(samples: Samples) -> rtc.AudioFrame:
    return rtc.AudioFrame(bytearray(samples.tobytes()), FORMAT.sample_rate, 1, SIZE)


def sound() -> tuple[Samples, Samples]:
    """Return what is played and what is heard of it, `(n, 1)` each."""
    _, speech = read_wav(speech_path())
    count = SECONDS * FORMAT.sample_rate
    played = np.tile(speech, (count // len(speech) + 1, 1))[:count]
    late = np.zeros((round(ECHO_DELAY * FORMAT.sample_rate), 1), np.int16)
    echo = np.concatenate([late, played])[:count] * ECHO_GAIN
    return played, np.rint(echo).astype(np.int16)


def run(step: Step, played: Samples, heard: Samples) -> tuple[Samples, list[float]]:
    """Return what came out, and the seconds that each frame took."""
    out, taken = [], []
    for start in range(0, len(played), SIZE):
        begin = time.perf_counter()
        out.append(step(played[start : start + SIZE], heard[start : start + SIZE]))
        taken.append(time.perf_counter() - begin)
    return np.concatenate(out), taken


@contextmanager
def busy_thread() -> Iterator[None]:
    """Keep the GIL as busy as it gets, at the switch interval of an open device."""
    ended = False

    def spin() -> None:
        while not ended:
            pass

    thread = threading.Thread(target=spin)
    hold()
    thread.start()
    try:
        yield
    finally:
        ended = True
        thread.join()
        release()


def added_delay(out: Samples, given: Samples) -> float:
    """Return by how many seconds `out` is later, from the band that no kind takes away."""
    count = 1 << 18
    spectra = [np.fft.rfft(x[-2 * FORMAT.sample_rate :, 0], count) for x in (out, given)]
    frequency = np.fft.rfftfreq(count, 1 / FORMAT.sample_rate)
    band = (frequency > 500) & (frequency < 6_000)
    match: npt.NDArray[np.float64] = np.fft.irfft(spectra[0] * np.conj(spectra[1]) * band, count)
    return int(np.argmax(match[: count // 2])) / FORMAT.sample_rate


def attenuation(out: Samples, given: Samples) -> list[float]:
    """Return in dB, second by second, how much softer `out` is."""
    seconds = [x[:, 0].astype(float).reshape(SECONDS, -1) for x in (out, given)]
    power = [np.mean(np.square(x), axis=1) + 1e-3 for x in seconds]
    return [float(value) for value in 10 * np.log10(power[1] / power[0])]


async def main() -> int:
    """Print the table."""
    played, heard = sound()
    silence = np.zeros_like(played)
    print("              utd_rx, µs    bare, µs  ratio  busy thread, mean / max   adds, ms")
    for name, processing in KINDS.items():
        costs: dict[str, list[float]] = {"utd_rx": [], "bare": []}
        for _ in range(ROUNDS):
            for peer, make in (("utd_rx", utd_rx_step), ("bare", bare_step)):
                step = await make(processing)
                costs[peer].append(statistics.median(run(step, played, heard)[1]) * 1e6)
        with busy_thread():
            some = 400 * SIZE
            busy = run(await utd_rx_step(processing), played[:some], heard[:some])[1]
        late = added_delay(run(await utd_rx_step(processing), silence, played)[0], played)
        ours, bare = statistics.median(costs["utd_rx"]), statistics.median(costs["bare"])
        print(
            f"{name:10} {ours:12.1f} {bare:12.1f}   {ours / bare:4.2f}"
            f" {statistics.fmean(busy) * 1e6:16.0f} / {max(busy) * 1e6:7.0f} {late * 1e3:10.1f}"
        )
    out, _ = run(await utd_rx_step(KINDS["echo"]), played, heard)
    seconds = " ".join(f"{value:.0f}" for value in attenuation(out, heard))
    print(f"echo softer by, dB, second by second: {seconds}")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
