"""Make `utd_rx/audio/data/speech.wav`: four seconds that sound and measure like speech.

A voice is summed up from the harmonics of a gliding pitch, weighted by the resonances (formants)
of vowels that run into each other; fricatives are bands of noise, stops are bursts. Nothing is
recorded, so nobody's voice or licence is in it, and nothing repeats, so a delay can be measured
without doubt.

    python scripts/make_speech.py [path]
"""

from __future__ import annotations

import sys
import wave
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

RATE: Final = 48_000
SECONDS: Final = 4.0
PEAK_DBFS: Final = -6.0
TARGET: Final = Path(__file__).parents[1] / "utd_rx" / "audio" / "data" / "speech.wav"

Signal = npt.NDArray[np.float64]

FORMANTS: Final = {
    # Hz of the first four resonances of a grown-up's vowels (Peterson and Barney 1952, rounded).
    "a": (750, 1150, 2500, 3500),
    "e": (500, 1850, 2500, 3500),
    "i": (290, 2250, 2950, 3600),
    "o": (500, 880, 2450, 3400),
    "u": (320, 900, 2250, 3350),
    "@": (520, 1450, 2450, 3450),
}
BANDWIDTHS: Final = (70, 100, 140, 200)
FORMANT_GAINS: Final = (1.0, 0.55, 0.3, 0.18)

FRICATIVES: Final = {
    # Band in Hz and loudness.
    "s": (4500.0, 11000.0, 0.16),
    "f": (1500.0, 9000.0, 0.07),
    "x": (1800.0, 5500.0, 0.12),
    "t": (2500.0, 8500.0, 0.25),
    "k": (1200.0, 4500.0, 0.25),
}


class Syllable(NamedTuple):
    """One syllable: when its vowel begins, how long, from which vowel to which, and around it."""

    start: float
    length: float
    vowels: str
    pitch: float
    onset: str = ""
    coda: str = ""


SENTENCE: Final = (
    Syllable(0.26, 0.17, "@i", 192, onset="s"),
    Syllable(0.51, 0.13, "ea", 212, onset="t"),
    Syllable(0.67, 0.24, "ai", 228),
    Syllable(1.02, 0.11, "u@", 200, onset="f"),
    Syllable(1.18, 0.21, "oe", 189, onset="k", coda="s"),
    # A pause to breathe, in which nothing may be heard.
    Syllable(1.83, 0.15, "ie", 220, onset="x"),
    Syllable(2.02, 0.28, "ao", 244),
    Syllable(2.41, 0.12, "@u", 207, onset="t"),
    Syllable(2.58, 0.18, "ei", 194, onset="s"),
    Syllable(2.84, 0.14, "oa", 182, onset="k"),
    Syllable(3.07, 0.19, "ue", 171, onset="f"),
    Syllable(3.34, 0.27, "a@", 156, onset="x", coda="f"),
)


def make_speech() -> npt.NDArray[np.int16]:
    """Return the sound, int16 `(192000,)`."""
    # NumPy promises that RandomState gives the same numbers for ever (NEP 19).
    random = np.random.RandomState(20_260_901)
    time = np.arange(round(RATE * SECONDS)) / RATE
    sound = np.zeros_like(time)
    pitch = _pitch(time, random)
    for syllable in SENTENCE:
        sound += _voice(time, pitch, syllable, random)
        if syllable.onset:
            sound += _noise(time, syllable.start, syllable.onset, random)
        if syllable.coda:
            end = syllable.start + syllable.length
            sound += _noise(time, end + _NOISE_SECONDS[syllable.coda], syllable.coda, random)
    sound *= 10 ** (PEAK_DBFS / 20) / np.max(np.abs(sound))
    return np.rint(sound * 32_768).astype(np.int16)


_NOISE_SECONDS: Final = {"s": 0.09, "f": 0.07, "x": 0.07, "t": 0.025, "k": 0.03}


def _pitch(time: Signal, random: np.random.RandomState) -> Signal:
    """Return the pitch in Hz: a melody through the syllables, vibrato, and a slow random walk.

    It is a woman's: Opus takes away what is below 100 Hz or so, and turns the phase above.
    """
    at = [s.start + s.length / 2 for s in SENTENCE]
    melody = np.interp(time, at, [s.pitch for s in SENTENCE])
    vibrato = 0.02 * np.sin(2 * np.pi * 5.3 * time)
    steps = np.cumsum(random.standard_normal(len(time) // 480 + 2)) * 0.006
    steps -= np.linspace(steps[0], steps[-1], len(steps))
    walk = np.interp(time, np.arange(len(steps)) * 480 / RATE, steps)
    return melody * (1 + vibrato + walk)


def _voice(
    time: Signal, pitch: Signal, syllable: Syllable, random: np.random.RandomState
) -> Signal:
    """Return the voiced part of a syllable, and the breath in it."""
    voice = np.zeros_like(time)
    first = round(syllable.start * RATE)
    last = round((syllable.start + syllable.length) * RATE)
    place = np.linspace(0, 1, last - first)
    envelope = np.sin(np.pi * place**0.7) ** 0.8
    envelope[-1] = 0.0
    glide = 0.5 - 0.5 * np.cos(np.pi * np.clip((place - 0.2) / 0.6, 0, 1))
    begin, end = FORMANTS[syllable.vowels[0]], FORMANTS[syllable.vowels[1]]
    formants = [a + (b - a) * glide for a, b in zip(begin, end, strict=True)]
    f0 = pitch[first:last]
    phase = 2 * np.pi * np.cumsum(f0) / RATE
    total = np.zeros(last - first)
    for harmonic in range(1, 90):
        frequency = harmonic * f0
        # A voice raised a little: the glottis' 12 dB an octave less, and the lips' 6 dB more.
        total += _tract(frequency, formants) / harmonic**0.8 * np.sin(harmonic * phase)
    breath = _band(random.standard_normal(last - first), 1500, 9000)
    voice[first:last] = envelope * (total + 0.015 * breath * (1 + np.cos(phase)))
    return voice


def _tract(frequency: Signal, formants: list[Signal]) -> Signal:
    """Return the gain of the vocal tract at `frequency`, moving with the formants."""
    gain = np.full_like(frequency, 0.004)
    for formant, width, weight in zip(formants, BANDWIDTHS, FORMANT_GAINS, strict=True):
        gain += weight / np.sqrt(1 + ((frequency - formant) / width) ** 2)
    return gain


def _noise(time: Signal, end: float, kind: str, random: np.random.RandomState) -> Signal:
    """Return a consonant that is over at `end`, where the vowel begins."""
    low, high, loudness = FRICATIVES[kind]
    noise = np.zeros_like(time)
    last = round(end * RATE)
    first = last - round(_NOISE_SECONDS[kind] * RATE)
    place = np.linspace(0, 1, last - first)
    envelope = (1 - place) ** 2 if kind in "tk" else np.sin(np.pi * place) ** 0.6
    envelope[0] = envelope[-1] = 0.0
    noise[first:last] = loudness * envelope * _band(random.standard_normal(last - first), low, high)
    return noise


def _band(noise: Signal, low: float, high: float) -> Signal:
    """Return noise limited to a band, with soft edges, at an RMS of 1."""
    frequency = np.fft.rfftfreq(len(noise), 1 / RATE)
    gain = 1 / np.sqrt(
        (1 + (low / np.maximum(frequency, 1.0)) ** 8) * (1 + (frequency / high) ** 8)
    )
    shaped = np.fft.irfft(np.fft.rfft(noise) * gain, len(noise))
    loudness = float(np.sqrt(np.mean(np.square(shaped))))
    return shaped / loudness


def main() -> None:
    """Write the file."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(make_speech().astype("<i2").tobytes())
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
