"""Reading WAV files, whoever wrote them: integer and float PCM to int16.

The standard library's `wave` refuses float, and before Python 3.12 the "extensible" header, too, so
the RIFF chunks are walked here (Microsoft, "Multimedia Programming Interface and Data
Specifications 1.0", mmreg.h, and EBU Tech 3306 for RF64). A file cut short, or never finished by
its recorder, gives the sound that is there.
"""

from __future__ import annotations

import io
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from attrs import evolve, frozen

from utd_rx.audio.convert import playable, resample, to_pcm
from utd_rx.errors import UTDErrorCode, UTDStreamException, invalid
from utd_rx.models.audio import AudioFormat, Samples

MAX_DECODED_BYTES: Final = 256 * 2**20  # of int16, in memory: 46 minutes of mono at 48 kHz
_MAX_CHUNKS: Final = 1000  # a real file has a handful; a hostile one could make us seek for ever
_KINDS: Final = (b"RIFF", b"RF64", b"BW64")  # the last two have sizes of 64 bits, in `ds64`
_UNKNOWN_SIZES: Final = (0, 0xFFFFFFFF)  # whoever writes them comes back, or says it elsewhere

_RIFF: Final = struct.Struct("<4sI4s")
_CHUNK: Final = struct.Struct("<4sI")
_LAYOUT: Final = struct.Struct("<HHIIHH")  # encoding, channels, rate, byte rate, block, bits
_EXTENSIBLE_LAYOUT: Final = 40
_SUBFORMAT_TAIL: Final = bytes.fromhex("000000001000800000aa00389b71")
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_ENCODINGS: Final[dict[tuple[int, int], str]] = {
    (_PCM, 8): "u1",
    (_PCM, 16): "<i2",
    (_PCM, 24): "u1",  # three bytes a sample, put together in _to_int16
    (_PCM, 32): "<i4",
    (_FLOAT, 32): "<f4",
    (_FLOAT, 64): "<f8",
}

_CONVERT: Final = (
    "convert it first, for example with `ffmpeg -i in.wav -ar 48000 -ac 1 -c:a pcm_s16le out.wav`"
)

_CHUNK_SAMPLES: Final = 2**18  # converted at a time: a big file costs little more than its result


@frozen
class WavHeader:
    """Where the sound of a WAV file is, how it is written, and the `format` it is delivered in."""

    format: AudioFormat
    sample_rate: int  # in Hz; not that of `format` where it has to be converted
    encoding: int
    bits: int
    data_start: int = 0  # bytes from the start of the file
    sample_count: int = 0  # per channel, that are really there

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.sample_count / self.sample_rate


def read_wav_header(path: Path) -> WavHeader:
    """Return what a WAV file says about itself; refused as a `WavSource` of it is."""
    with _open(path) as file:
        return _read_header(file, path)


def read_wav(path: Path, *, loop: bool = False) -> tuple[AudioFormat, Samples]:
    """Return a WAV file's format and its samples, int16 `(samples, channels)`, read-only.

    8, 24 and 32 bit integers and 32 and 64 bit floats are converted; floats beyond ±1 clip. So is
    a rate without frames of 10 ms.

    Args:
        path: The file.
        loop: It is going to be repeated without a gap.

    Raises:
        UTDStreamException: `VALIDATION`, when the file is missing, unreadable, no WAV file, of a
            kind that is not supported, too big, or without a single sample; `FEATURE_DISABLED`,
            when its rate has to be converted and soxr is not installed.
    """
    with _open(path) as file:
        header = _read_header(file, path)
        channels = header.format.channels
        sample_bytes = header.bits // 8
        flat: Samples = np.empty(header.sample_count * channels, dtype=np.int16)
        file.seek(header.data_start)
        done = 0
        while done < len(flat):
            raw = file.read(min(_CHUNK_SAMPLES, len(flat) - done) * sample_bytes)
            raw = raw[: len(raw) - len(raw) % sample_bytes]
            if not raw:
                break  # truncated since its size was taken
            values = _to_int16(raw, header)
            flat[done : done + len(values)] = values
            done += len(values)
    samples = flat[: done - done % channels].reshape(-1, channels)
    if not len(samples):
        raise _refused(path, "has no sound in it")
    rate = header.format.sample_rate
    samples = resample(samples, header.sample_rate, rate, loop=loop)
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


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    """Open a file to read; also what fails while it is read is `VALIDATION`."""
    try:
        # Asked first, because opening a named pipe would wait for its writer.
        is_file = stat.S_ISREG(path.stat().st_mode)
        file = path.open("rb") if is_file else None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise _refused(path, f"cannot be opened: {reason}") from error
    if file is None:
        raise _refused(path, "is not a regular file")
    try:
        with file:
            yield file
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror}") from error


def _read_header(file: BinaryIO, path: Path) -> WavHeader:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    kind, _, wave = _RIFF.unpack(file.read(_RIFF.size).ljust(_RIFF.size, b"\0"))
    if kind not in _KINDS or wave != b"WAVE":
        raise _refused(path, f"is not a WAV file: {_CONVERT}")
    layout: WavHeader | None = None
    said = 0  # the size of the sound, where 32 bits are too few for it
    for _ in range(_MAX_CHUNKS):
        head = file.read(_CHUNK.size)
        if len(head) < _CHUNK.size:
            break
        name, length = _CHUNK.unpack(head)
        start = file.tell()
        if name == b"fmt ":
            layout = _parse_layout(file.read(min(length, _EXTENSIBLE_LAYOUT)), path)
        elif name == b"ds64":
            said = int.from_bytes(file.read(16)[8:], "little")
        elif name == b"data" and layout is not None:
            there = size - start
            if length in _UNKNOWN_SIZES and not _is_chunk(file.read(_CHUNK.size), there):
                length = said or there
            if length:
                return _locate(path, layout, start, min(length, there))
        _seek_next(file, start + length, is_odd=length % 2 == 1)
    raise _refused(path, "has no sound in it")


def _is_chunk(head: bytes, there: int) -> bool:
    """Whether this is the head of a chunk that fits into what is there, and no sound."""
    if len(head) < _CHUNK.size:
        return False
    name, length = _CHUNK.unpack(head)
    return _is_name(name) and length <= there - _CHUNK.size


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(32 <= byte < 127 for byte in name)


def _seek_next(file: BinaryIO, end: int, *, is_odd: bool) -> None:
    """Go to the next chunk: behind one of odd length there is a pad byte, which some forget."""
    file.seek(end)
    if is_odd:
        ahead = file.read(5)
        is_padded = ahead[1:] in (b"fmt ", b"data") or not _is_name(ahead[:4])
        file.seek(end + is_padded)


def _parse_layout(body: bytes, path: Path) -> WavHeader:
    if len(body) < _LAYOUT.size:
        raise _refused(path, "has a header that is cut short")
    encoding, channels, rate, _, block, bits = _LAYOUT.unpack_from(body)
    if encoding == _EXTENSIBLE and body[26:] == _SUBFORMAT_TAIL:
        encoding = int.from_bytes(body[24:26], "little")
    if (encoding, bits) not in _ENCODINGS or block != channels * bits // 8:
        raise _refused(
            path,
            f"holds {bits} bit samples of encoding {encoding}, not PCM of 8, 16, 24 or 32 bits "
            f"or 32 or 64 bit floats: {_CONVERT}",
        )
    try:
        return WavHeader(playable(rate, channels), rate, encoding, bits)
    except UTDStreamException as error:
        if error.code is not UTDErrorCode.VALIDATION:
            raise
        raise _refused(path, f"cannot be played: {error.message}; {_CONVERT}") from error


def _locate(path: Path, layout: WavHeader, start: int, length: int) -> WavHeader:
    channels, rate = layout.format.channels, max(layout.sample_rate, layout.format.sample_rate)
    sample_count = length // (channels * layout.bits // 8)
    if sample_count <= 0:
        raise _refused(path, "has no sound in it")
    if sample_count * rate // layout.sample_rate * channels * 2 > MAX_DECODED_BYTES:
        raise _refused(
            path,
            f"is longer than {MAX_DECODED_BYTES // 2**20} MiB of int16, and a file is held in "
            "memory: cut it into pieces",
        )
    return evolve(layout, data_start=start, sample_count=sample_count)


def _to_int16(raw: bytes, header: WavHeader) -> Samples:
    values = np.frombuffer(raw, dtype=_ENCODINGS[header.encoding, header.bits])
    if header.bits == 24:  # little-endian: as the upper three bytes of 32 bits
        values = np.pad(values.reshape(-1, 3), ((0, 0), (1, 0))).view("<i4")[:, 0]
    return to_pcm(values)


def _refused(path: Path, why: str) -> UTDStreamException:
    return invalid(f"{path} {why}")
