"""Every public value is of its declared types, or is refused where it is made."""

from __future__ import annotations

import pickle
from enum import Enum
from fractions import Fraction
from functools import cache
from numbers import Real
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import attrs
import numpy as np
import pytest

from tests.models.test_values import model_classes
from utd_rx.audio import speech_path
from utd_rx.audio.microphone import MicrophoneInput
from utd_rx.audio.sources import ArraySource, ToneSource, WavSource
from utd_rx.errors import UTDStreamException
from utd_rx.models.audio import AudioFormat, AudioFrame
from utd_rx.models.chat import ChatMessage
from utd_rx.models.encryption import Encryption
from utd_rx.models.events import ParticipantConnected
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import LocalParticipant, Participant, RemoteParticipant
from utd_rx.models.seats import UTDSeat, UTDSeatGrid
from utd_rx.models.video import VideoFrame
from utd_rx.ports.engine import JoinRequest
from utd_rx.rest.policy import RetryPolicy, Timeouts
from utd_rx.testing.sound import AudioComparison
from utd_rx.video import Camera, Screen, TestPattern

OTHERS = (
    ArraySource, AudioComparison, Camera, JoinRequest, MicrophoneInput, RetryPolicy, Screen,
    TestPattern, Timeouts, ToneSource,
)  # fmt: skip
"""What else an app makes or sees."""
CONVERTED = ("samples", "block", "backend", "region")
"""What checks itself, in words of its own."""
RINGS = ("key", "keys")
"""What takes keys as text and bytes as well (tests/models/test_encryption.py)."""
FIELDS = [
    (cls, field.name)
    for cls in (*model_classes(), *OTHERS)
    for field in attrs.fields(cls)
    if field.name not in CONVERTED or cls not in OTHERS
    if field.name not in RINGS or cls is not Encryption
]
SAMPLES = np.zeros((480, 1), np.int16)
PIXELS = np.zeros((36, 64, 3), np.uint8)
NUMBER_OF = {"sample_rate": 16_000, "level_dbfs": 0, "width": 640, "height": 360, "rotation": 90}
"""Where 2 is none that is taken."""
ANYTHING: tuple[Any, ...] = (
    None,
    True,
    7,
    1.5,
    "text",
    b"bytes",
    [],
    ["text"],
    {},
    {"text": "text"},
    object(),
    str,
    (7,),
    (None,),
    FrozenMap({7: "text"}),
    FrozenMap({"text": 7}),
    np.zeros(3),
    np.zeros((480, 1)),
    np.float64(1.5),
    np.bool_(True),
    Fraction(3, 2),
    10**400,
)


_hints = cache(get_type_hints)


def declared(cls: Any, name: str) -> Any:
    return _hints(cls)[name]


def kind_of(wanted: Any) -> Any:
    """What is declared, without its parameters: `NDArray` may be an alias of its own."""
    kind = get_origin(wanted) or wanted
    aliased = getattr(kind, "__value__", kind)
    return get_origin(aliased) or aliased


def fits(wanted: Any, value: Any) -> bool:
    """What a value may be, written apart from what checks it."""
    kind = kind_of(wanted)
    if kind in (Union, UnionType):
        return any(fits(one, value) for one in get_args(wanted))
    if kind is np.ndarray:
        return value is SAMPLES
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is float:
        return isinstance(value, Real) and not isinstance(value, bool) and value < 2**53
    if not isinstance(value, kind):
        return False
    parts = get_args(wanted)
    if kind is tuple:
        return all(fits(parts[0], entry) for entry in value)
    if kind is FrozenMap:
        return all(fits(parts[0], k) and fits(parts[1], v) for k, v in value.items())
    return True


def example(wanted: Any) -> Any:
    """A value of a declared type."""
    kind = kind_of(wanted)
    if kind in (Union, UnionType):
        return example(next(one for one in get_args(wanted) if one is not NoneType))
    if kind is np.ndarray:
        return SAMPLES
    if kind in (int, float, str, bytes, bool, tuple, FrozenMap, object):
        return kind()
    if kind is UTDStreamException:
        return UTDStreamException("it failed")
    return next(iter(kind)) if issubclass(kind, Enum) else made(kind)


def made(cls: Any, **changes: Any) -> Any:
    given = {
        field.name: example(declared(cls, field.name))
        for field in attrs.fields(cls)
        if field.default is attrs.NOTHING
    }
    if cls in (AudioFrame, ArraySource):
        given["sample_rate"] = 48_000
    if cls is Encryption:
        given["key"] = "key"
    if cls is VideoFrame:
        given["pixels"] = PIXELS
    return cls(**{**given, **changes})


@pytest.mark.parametrize(("cls", "name"), FIELDS, ids=lambda part: getattr(part, "__name__", part))
def test_what_is_of_another_type_is_refused_by_name(cls: Any, name: str) -> None:
    wanted = declared(cls, name)
    wrong = [value for value in ANYTHING if not fits(wanted, value)]
    assert len(wrong) > 10
    value = made(cls)
    for other in wrong:
        with pytest.raises(ValueError, match=rf"\.{name}( holds)? must be "):
            made(cls, **{name: other})
        with pytest.raises(ValueError, match="must be "):
            attrs.evolve(value, **{name: other})
    assert repr(pickle.loads(pickle.dumps(value))) == repr(value)


NUMBERS = [(cls, name) for cls, name in FIELDS if fits(declared(cls, name), 7)]


@pytest.mark.parametrize(("cls", "name"), NUMBERS, ids=lambda part: getattr(part, "__name__", part))
def test_numbers_of_libraries_become_pythons(cls: Any, name: str) -> None:
    kind = float if fits(declared(cls, name), 1.5) else int
    number = NUMBER_OF.get(name, 2)
    for make in (float, np.int32, np.uint16, np.int64, np.float32, np.float64, Fraction):
        value = getattr(made(cls, **{name: make(number)}), name)
        assert (value, type(value)) == (number, kind)
    for other in (float("nan"), float("inf"), np.float64("nan")) if kind is int else ():
        with pytest.raises(ValueError, match=f"{name} must be int"):
            made(cls, **{name: other})


def test_the_rate_that_a_device_tells_is_taken() -> None:
    """`sounddevice.query_devices()` gives 48000.0: 0 frames, and 2,000 lines of log."""
    assert AudioFormat(48_000.0).samples_per_frame == 480  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"sample_rate must be int, not 48000\.5"):
        AudioFormat(48_000.5)  # type: ignore[arg-type]


def test_so_does_sound_without_a_card() -> None:
    assert ArraySource(SAMPLES, 48_000.0).format == AudioFormat()  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"WavSource\.path must be str or Path, not int"):
        WavSource(5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"WavSource\.loop must be bool, not str"):
        WavSource(speech_path(), loop="no")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"backend is one of portaudio, platform, not "):
        MicrophoneInput(backend=["portaudio"])  # type: ignore[arg-type]


def test_a_subclass_is_what_its_base_is_and_not_the_reverse() -> None:
    me = LocalParticipant("me")
    assert Participant("me").identity == me.identity
    assert isinstance(RemoteParticipant("ana"), Participant)
    with pytest.raises(ValueError, match="participant must be RemoteParticipant, not Local"):
        ParticipantConnected(me)  # type: ignore[arg-type]


def test_no_error_shows_what_was_refused() -> None:
    """It may be a secret; a number is none."""
    with pytest.raises(ValueError, match="text must be str, not bytes") as raised:
        ChatMessage("1", b"s3cr3t", "ana")  # type: ignore[arg-type]
    assert "s3cr3t" not in str(raised.value)


def test_what_a_tuple_holds_is_looked_at() -> None:
    with pytest.raises(ValueError, match=r"what UTDSeatGrid\.seats holds must be UTDSeat, not int"):
        UTDSeatGrid((UTDSeat(0), 1))  # type: ignore[arg-type]
