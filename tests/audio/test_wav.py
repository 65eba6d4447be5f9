"""Reading WAV files: what is converted, what is tolerated, what is refused and how."""

from __future__ import annotations

import io
import os
import struct
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from utd_rx.audio import wav
from utd_rx.audio.convert import to_pcm
from utd_rx.audio.sources import WavSource
from utd_rx.audio.wav import read_wav, read_wav_header, wav_header
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat, Samples

RAMP = np.array([0, 1, -1, 256, -256, 12_345, -12_345, 32_767, -32_768], dtype=np.int16)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack("<4sI", name, len(body)) + body + b"\0" * (len(body) % 2)


def layout(encoding: int, bits: int, rate: int = 48_000, channels: int = 1) -> bytes:
    block = channels * bits // 8
    return struct.pack("<HHIIHH", encoding, channels, rate, rate * block, block, bits)


def riff(*chunks: bytes) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def file_of(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "sound.wav"
    path.write_bytes(content)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(UTDStreamException) as caught:
        read_wav_header(path)
    assert caught.value.code is UTDErrorCode.VALIDATION
    assert str(path) in caught.value.message
    with pytest.raises(UTDStreamException):
        read_wav(path)
    return caught.value.message


@pytest.mark.parametrize(
    ("encoding", "bits", "raw", "expected"),
    [
        (1, 8, (RAMP // 256 + 128).astype(np.uint8).tobytes(), RAMP // 256 * 256),
        (1, 16, RAMP.astype("<i2").tobytes(), RAMP),
        (1, 24, b"".join(b"\x7f" + struct.pack("<h", n) for n in RAMP.tolist()), RAMP),
        (1, 32, (RAMP.astype("<i4") * 65_536 + 999).tobytes(), RAMP),
        (3, 32, (RAMP / 32_768).astype("<f4").tobytes(), RAMP),
        (3, 64, (RAMP / 32_768).astype("<f8").tobytes(), RAMP),
    ],
)
@pytest.mark.parametrize("is_extensible", [False, True])
def test_every_sample_type_becomes_int16(
    tmp_path: Path, encoding: int, bits: int, raw: bytes, expected: Samples, is_extensible: bool
) -> None:
    head = layout(encoding, bits)
    if is_extensible:
        tail = bytes.fromhex("000000001000800000aa00389b71")
        head = layout(0xFFFE, bits) + struct.pack("<HHIH", 22, bits, 4, encoding) + tail
    path = file_of(tmp_path, riff(chunk(b"fmt ", head), chunk(b"data", raw)))
    format_, samples = read_wav(path)
    assert format_ == AudioFormat(48_000, 1)
    assert samples.dtype == np.int16
    assert samples[:, 0].tolist() == expected.tolist()
    assert not samples.flags.writeable


def test_other_chunks_are_passed_over(tmp_path: Path) -> None:
    path = file_of(
        tmp_path,
        riff(
            chunk(b"LIST", b"odd"),
            chunk(b"fmt ", layout(1, 16, channels=2)),
            chunk(b"fact", b"1234"),
            chunk(b"data", RAMP[:8].tobytes()),
            chunk(b"id3 ", b"tail"),
        ),
    )
    format_, samples = read_wav(path)
    assert format_ == AudioFormat(48_000, 2)
    assert samples.tolist() == RAMP[:8].reshape(4, 2).tolist()


@pytest.mark.parametrize("claimed", [2**32 - 1, 10_000])
def test_a_recording_cut_short_gives_what_is_there(tmp_path: Path, claimed: int) -> None:
    data = struct.pack("<4sI", b"data", claimed) + RAMP.tobytes() + b"\1"
    path = file_of(tmp_path, riff(chunk(b"fmt ", layout(1, 16)), data))
    assert read_wav_header(path).sample_count == len(RAMP)
    assert read_wav(path)[1][:, 0].tolist() == RAMP.tolist()


@pytest.mark.parametrize("is_said", [True, False])
def test_a_recorder_that_never_came_back_leaves_its_sound(tmp_path: Path, is_said: bool) -> None:
    """Its sizes are 0, or only that of the sound is."""
    content = riff(chunk(b"fmt ", layout(1, 16)), struct.pack("<4sI", b"data", 0) + RAMP.tobytes())
    path = file_of(tmp_path, content if is_said else content[:4] + bytes(4) + content[8:])
    assert read_wav(path)[1][:, 0].tolist() == RAMP.tolist()


def test_an_empty_sound_is_no_sound_whatever_follows(tmp_path: Path) -> None:
    head = chunk(b"fmt ", layout(1, 16)), chunk(b"data", b"")
    assert "no sound" in refusal(file_of(tmp_path, riff(*head, chunk(b"LIST", b"INFO1234"))))
    again = file_of(tmp_path, riff(*head, chunk(b"data", RAMP.tobytes())))
    assert read_wav(again)[1][:, 0].tolist() == RAMP.tolist()


@pytest.mark.parametrize("kind", [b"RF64", b"BW64"])
def test_a_file_with_sizes_of_64_bits_is_read(tmp_path: Path, kind: bytes) -> None:
    sizes = struct.pack("<QQQI", 10**10, RAMP.nbytes, len(RAMP), 0)
    body = b"WAVE" + chunk(b"ds64", sizes) + chunk(b"fmt ", layout(1, 16))
    body += struct.pack("<4sI", b"data", 2**32 - 1) + RAMP.tobytes()
    path = file_of(tmp_path, struct.pack("<4sI", kind, 2**32 - 1) + body + chunk(b"tail", b"12"))
    assert read_wav(path)[1][:, 0].tolist() == RAMP.tolist()


@pytest.mark.parametrize("pad", [b"", b"\0", b"p"])
@pytest.mark.parametrize("body", [b"odd", b"o"])
def test_a_chunk_of_odd_length_is_passed_over_padded_or_not(
    tmp_path: Path, pad: bytes, body: bytes
) -> None:
    odd = struct.pack("<4sI", b"LIST", len(body)) + body + pad
    sound = chunk(b"data", np.resize(RAMP, 48).tobytes())  # its length is a letter, too
    for chunks in (
        (odd, chunk(b"fmt ", layout(1, 16)), sound),
        (chunk(b"fmt ", layout(1, 16)), odd, sound),
    ):
        path = file_of(tmp_path, riff(*chunks))
        assert read_wav(path)[1][:, 0].tolist() == np.resize(RAMP, 48).tolist()


def test_a_big_file_is_converted_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wav, "_CHUNK_SAMPLES", 5)
    samples = np.arange(1001, dtype=np.int16)
    path = file_of(tmp_path, riff(chunk(b"fmt ", layout(1, 16)), chunk(b"data", samples.tobytes())))
    assert read_wav(path)[1][:, 0].tolist() == samples.tolist()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a WAV file"),
        (b"RIFF", "not a WAV file"),
        (b"ID3\x03" * 30, "not a WAV file"),
        (riff(), "no sound"),
        (riff(chunk(b"fmt ", layout(1, 16))), "no sound"),
        (riff(chunk(b"fmt ", layout(1, 16)), chunk(b"data", b"")), "no sound"),
        (riff(chunk(b"fmt ", layout(1, 16)), chunk(b"data", b"\1")), "no sound"),
        (riff(chunk(b"data", b"1234")), "no sound"),
        (riff(chunk(b"fmt ", b"short")), "cut short"),
        (riff(chunk(b"fmt ", layout(7, 8)), chunk(b"data", b"1234")), "ffmpeg"),
        (riff(chunk(b"fmt ", layout(1, 12)), chunk(b"data", b"1234")), "12 bit"),
        (riff(chunk(b"fmt ", layout(0xFFFE, 16)), chunk(b"data", b"1234")), "65534"),
        (riff(chunk(b"fmt ", layout(1, 16)), struct.pack("<4sI", b"data", 0)), "no sound"),
        (b"RIFX" + riff(chunk(b"fmt ", layout(1, 16)))[4:], "ffmpeg"),
        (riff(chunk(b"fmt ", layout(1, 16, channels=3)), chunk(b"data", b"1" * 6)), "ffmpeg"),
        (riff(chunk(b"fmt ", layout(1, 16, rate=100)), chunk(b"data", b"1234")), "100 Hz"),
        (riff(chunk(b"fmt ", layout(1, 16, channels=6)), chunk(b"data", b"1" * 12)), "6 channel"),
        (riff(chunk(b"fmt ", layout(1, 16, channels=0)), chunk(b"data", b"1234")), "0 channel"),
    ],
)
def test_what_cannot_be_played_is_refused_with_a_reason(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    assert reason in refusal(file_of(tmp_path, content))


def test_a_file_that_is_not_there_or_not_a_file_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "missing.wav")
    assert "not a regular file" in refusal(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refusal(tmp_path / "pipe")
    assert "null" in refusal(Path("a\0b"))


def test_a_file_over_the_limit_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file_of(tmp_path, wav_header(AudioFormat(), 2**31 - 100))
    os.truncate(path, 2**31)
    assert "cut it into pieces" in refusal(path)
    path.unlink()


def test_a_file_of_endless_chunks_is_refused(tmp_path: Path) -> None:
    assert "no sound" in refusal(file_of(tmp_path, riff(chunk(b"junk", b"") * 5000)))


@given(st.binary(max_size=200))
def test_hostile_bytes_are_refused_or_read_but_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, body: bytes
) -> None:
    path = tmp_path_factory.mktemp("hostile") / "x.wav"
    for content in (body, riff(body), riff(chunk(b"fmt ", layout(1, 24) + body), body)):
        path.write_bytes(content)
        try:
            _, samples = read_wav(path)
        except UTDStreamException as error:
            assert error.code is UTDErrorCode.VALIDATION
        else:
            assert len(samples)


@given(npst.arrays(np.int16, st.integers(1, 300)), st.sampled_from([1, 2]))
def test_the_header_is_that_of_the_standard_library(samples: Samples, channels: int) -> None:
    data = np.repeat(samples, channels).tobytes()
    mine = wav_header(AudioFormat(16_000, channels), len(data)) + data
    with wave.open(io.BytesIO(mine)) as file:
        assert file.getparams()[:4] == (channels, 2, 16_000, len(samples))
        assert file.readframes(len(samples)) == data


@given(npst.arrays(np.float32, st.integers(1, 50), elements=st.floats(width=32)))
def test_floats_clip_and_never_wrap(values: npt.NDArray[np.float32]) -> None:
    converted = to_pcm(values)
    finite = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=2.0, neginf=-2.0)
    assert np.all(np.abs(converted - np.clip(finite * 32_768, -32_768, 32_767)) <= 0.5)


@pytest.mark.parametrize("read", [read_wav_header, read_wav, WavSource])
def test_a_disk_that_fails_after_opening_is_a_typed_error(
    read: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise OSError(5, "Input/output error")

    path = tmp_path / "a.wav"
    path.touch()
    monkeypatch.setattr(Path, "open", lambda *_: Broken())
    with pytest.raises(UTDStreamException, match="cannot be read: Input/output error") as raised:
        read(path)
    assert raised.value.code is UTDErrorCode.VALIDATION
