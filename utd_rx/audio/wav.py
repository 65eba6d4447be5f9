"""Reading WAV files, whoever wrote them: integer and float PCM to int16.

The standard library's `wave` refuses float, and before Python 3.12 also the "extensible" header
that most programs write for 24 bits, so the RIFF chunks are walked here (Microsoft, "Multimedia
Programming Interface and Data Specifications 1.0", and mmreg.h). Reading is tolerant: a file cut
short, or never finished by its recorder, gives the sound that is there.
"""

from __future__ import annotations

import io
import stat
import struct
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat, Samples

MAX_DECODED_BYTES: Final = 256 * 2**20
"""Largest file in bytes of int16, 46 minutes of mono at 48 kHz: it is held in memory."""

_MAX_CHUNKS: Final = 1000
"""A real file has a handful; a hostile one could make us seek for ever."""

_RIFF: Final = struct.Struct("<4sI4s")
_CHUNK: Final = struct.Struct("<4sI")
_LAYOUT: Final = struct.Struct("<HHIIHH")  # encoding, channels, rate, byte rate, block, bits
_EXTENSIBLE_LAYOUT: Final = 40
_SUBFORMAT_TAIL: Final = bytes.fromhex("000000001000800000aa00389b71")

_PCM: Final = 1
_FLOAT: Final = 3
_EXTENSIBLE: Final = 0xFFFE

_ENCODINGS: Final[dict[tuple[int, int], str]] = {
    (_PCM, 8): "u1",
    (_PCM, 16): "<i2",
    (_PCM, 24): "u1",  # three bytes a sample, put together in _to_int16
    (_PCM, 32): "<i4",
    (_FLOAT, 32): "<f4",
    (_FLOAT, 64): "<f8",
}

_CHUNK_SAMPLES: Final = 2**18
"""Converted at a time, so that a big file costs little more memory than its result."""


@frozen
class WavHeader:
    """Where the sound of a WAV file is and how it is written.

    Args:
        format: Rate and channels.
        encoding: 1 for integers, 3 for floats.
        bits: Per sample.
        data_start: Bytes from the start of the file.
        sample_count: Samples per channel that are really there.
    """

    format: AudioFormat
    encoding: int
    bits: int
    data_start: int
    sample_count: int

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.sample_count / self.format.sample_rate


def read_wav_header(path: Path) -> WavHeader:
    """Return what a WAV file says about itself.

    Raises:
        UTDStreamException: `VALIDATION`, when the file is missing, unreadable, no WAV file, of a
            kind that is not supported, too big, or without a single sample.
    """
    with _open(path) as file:
        return _read_header(file, path)


def read_wav(path: Path) -> tuple[AudioFormat, Samples]:
    """Return a WAV file's format and its samples, int16 `(samples, channels)`, read-only.

    8, 24 and 32 bit integers and 32 and 64 bit floats are converted; floats beyond ±1 clip.

    Raises:
        UTDStreamException: As `read_wav_header`.
    """
    with _open(path) as file:
        header = _read_header(file, path)
        channels = header.format.channels
        sample_bytes = header.bits // 8
        flat: Samples = np.empty(header.sample_count * channels, dtype=np.int16)
        file.seek(header.data_start)
        done = 0
        try:
            while done < len(flat):
                raw = file.read(min(_CHUNK_SAMPLES, len(flat) - done) * sample_bytes)
                raw = raw[: len(raw) - len(raw) % sample_bytes]
                if not raw:
                    break  # truncated since its size was taken
                values = _to_int16(raw, header)
                flat[done : done + len(values)] = values
                done += len(values)
        except OSError as error:
            raise _refused(path, f"cannot be read: {error.strerror}") from error
    samples = flat[: done - done % channels].reshape(-1, channels)
    if not len(samples):
        raise _refused(path, "has no sound in it")
    samples.flags.writeable = False
    return header.format, samples


def wav_header(format: AudioFormat, data_bytes: int) -> bytes:  # noqa: A002 - as elsewhere
    """Return the 44 bytes that precede `data_bytes` of int16 samples."""
    block = 2 * format.channels
    layout = _LAYOUT.pack(
        _PCM, format.channels, format.sample_rate, format.sample_rate * block, block, 16
    )
    chunks = b"WAVE" + _CHUNK.pack(b"fmt ", len(layout)) + layout + _CHUNK.pack(b"data", data_bytes)
    return _CHUNK.pack(b"RIFF", len(chunks) + data_bytes) + chunks


def audio_format(sample_rate: int, channels: int, what: str) -> AudioFormat:
    """Return the format, with an error that says what to do when it is not a possible one.

    Raises:
        UTDStreamException: `VALIDATION`.
    """
    try:
        return AudioFormat(sample_rate, channels)
    except ValueError as error:
        raise UTDStreamException(
            f"{what} has {sample_rate} Hz and {channels} channel(s); needed are a multiple of "
            "100 Hz from 8,000 to 192,000 and 1 or 2 channels: convert it first, for example "
            "with `ffmpeg -i in.wav -ar 48000 -ac 1 out.wav`",
            code=UTDErrorCode.VALIDATION,
        ) from error


def _open(path: Path) -> BinaryIO:
    try:
        # Asked first, because opening a named pipe would wait for its writer.
        if not stat.S_ISREG(path.stat().st_mode):
            raise _refused(path, "is not a regular file")
        return path.open("rb")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise _refused(path, f"cannot be opened: {reason}") from error


def _read_header(file: BinaryIO, path: Path) -> WavHeader:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    riff, _, wave = _RIFF.unpack(file.read(_RIFF.size).ljust(_RIFF.size, b"\0"))
    if riff != b"RIFF" or wave != b"WAVE":
        raise _refused(path, "is not a WAV file")
    layout: tuple[AudioFormat, int, int] | None = None
    for _ in range(_MAX_CHUNKS):
        head = file.read(_CHUNK.size)
        if len(head) < _CHUNK.size:
            break
        name, length = _CHUNK.unpack(head)
        start = file.tell()
        if name == b"fmt ":
            layout = _parse_layout(file.read(min(length, _EXTENSIBLE_LAYOUT)), path)
        elif name == b"data" and layout is not None:
            return _locate(path, *layout, start, min(length, size - start))
        file.seek(start + length + length % 2)
    raise _refused(path, "has no sound in it")


def _parse_layout(body: bytes, path: Path) -> tuple[AudioFormat, int, int]:
    if len(body) < _LAYOUT.size:
        raise _refused(path, "has a header that is cut short")
    encoding, channels, rate, _, block, bits = _LAYOUT.unpack_from(body)
    if encoding == _EXTENSIBLE and body[26:] == _SUBFORMAT_TAIL:
        encoding = int.from_bytes(body[24:26], "little")
    if (encoding, bits) not in _ENCODINGS or block != channels * bits // 8:
        raise _refused(
            path,
            f"holds {bits} bit samples of encoding {encoding}, not PCM of 8, 16, 24 or 32 bits "
            "or 32 or 64 bit floats: convert it, for example with "
            "`ffmpeg -i in.wav -c:a pcm_s16le out.wav`",
        )
    return audio_format(rate, channels, str(path)), encoding, bits


def _locate(
    path: Path,
    format: AudioFormat,  # noqa: A002 - the word of AudioInput.format
    encoding: int,
    bits: int,
    start: int,
    length: int,
) -> WavHeader:
    sample_count = length // (format.channels * bits // 8)
    if sample_count <= 0:
        raise _refused(path, "has no sound in it")
    if sample_count * format.channels * 2 > MAX_DECODED_BYTES:
        raise _refused(
            path,
            f"is longer than {MAX_DECODED_BYTES // 2**20} MiB of int16, and a file is held in "
            "memory: cut it into pieces",
        )
    return WavHeader(format, encoding, bits, start, sample_count)


def _to_int16(raw: bytes, header: WavHeader) -> Samples:
    values = np.frombuffer(raw, dtype=_ENCODINGS[header.encoding, header.bits])
    if header.encoding == _FLOAT:
        return float_to_int16(values)
    if header.bits == 8:
        return ((values.astype(np.int16) - 128) << 8).astype(np.int16)
    if header.bits == 24:
        # Little-endian: the upper two bytes are the int16.
        upper: Samples = values.reshape(-1, 3)[:, 1:].copy().view("<i2")[:, 0].astype(np.int16)
        return upper
    top: Samples = (values >> (header.bits - 16)).astype(np.int16)
    return top


def float_to_int16(values: npt.NDArray[np.floating[Any]]) -> Samples:
    """Return floats, full scale ±1, as int16 of the same shape; beyond clips, NaN becomes 0."""
    with np.errstate(invalid="ignore"):
        limited = np.clip(np.nan_to_num(values, posinf=1.0, neginf=-1.0), -1.0, 1.0)
    rounded: Samples = np.minimum(np.rint(limited * 32768.0), 32767.0).astype(np.int16)
    return rounded


def _refused(path: Path, why: str) -> UTDStreamException:
    return UTDStreamException(f"{path} {why}", code=UTDErrorCode.VALIDATION)
