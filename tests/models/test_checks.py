"""What is handed over is refused unless it is what is declared: nothing is sent by halves."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from fractions import Fraction
from typing import Any, cast

import numpy as np
import pytest

from utd_rx import ArraySource, Microphone, Speaker, ToneSource, UTDStreamClient, WavRecorder
from utd_rx.audio.levels import AudioLevel, LevelMeter
from utd_rx.engine import EngineOptions
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat, AudioFrame
from utd_rx.models.checks import identities, payload
from utd_rx.ports.audio import check_block, check_gain
from utd_rx.rest import Timeouts
from utd_rx.state import combine_state
from utd_rx.state.operators import throttle
from utd_rx.testing.audio import FakeAudio
from utd_rx.testing.clock import FakeClock


@pytest.mark.parametrize(
    "several", [["bob"], ("bob", "ana"), {"bob"}, {"bob": 1}, [], iter(["bob", "ana"])]
)
def test_several_identities_are_a_tuple(several: Any) -> None:
    names = list(several) if not hasattr(several, "__next__") else ["bob", "ana"]
    assert identities(several) == tuple(names)


@pytest.mark.parametrize(
    ("one", "says"),
    [
        ("bob", r"to=\['bob'\]"),
        ("", r"to=\[''\]"),
        (b"bob", "not bytes"),
        (7, "not int"),
        (None, "not NoneType"),
        ([b"bob"], "not b'bob'"),
        ([None], "not None"),
        (["bob", ""], "not ''"),
    ],
)
def test_one_identity_or_none_is_not_several(one: Any, says: str) -> None:
    with pytest.raises(UTDStreamException, match=says) as raised:
        identities(one)
    assert raised.value.code is UTDErrorCode.VALIDATION


def test_the_argument_is_called_by_its_name() -> None:
    with pytest.raises(UTDStreamException, match=r"write except_=\['bob'\] for one"):
        identities("bob", "except_")


@pytest.mark.parametrize("data", [b"x", bytearray(b"x"), memoryview(b"x"), memoryview(b"xy")[:1]])
def test_a_payload_is_bytes_that_do_not_change_any_more(data: Any) -> None:
    assert payload(data) == b"x"
    assert type(payload(data)) is bytes


@pytest.mark.parametrize("data", ["x", 7, [120], None, np.zeros(1)])
def test_what_is_no_bytes_is_refused(data: Any) -> None:
    with pytest.raises(UTDStreamException, match="encode it first") as raised:
        payload(data)
    assert raised.value.code is UTDErrorCode.VALIDATION


WRONG: list[Callable[[], object]] = [
    lambda: EngineOptions(silent_update_interval=cast("Any", "x")),
    lambda: EngineOptions(app_id=cast("Any", 5)),
    lambda: EngineOptions(port=cast("Any", "8080")),
    lambda: EngineOptions(sfu_port=70_000),
    lambda: EngineOptions(rate_limit=0),
    lambda: AudioLevel(cast("Any", "loud"), 0.0, 0.0, 0.0),
    lambda: AudioFormat(22_050),
    lambda: AudioFormat(4_000),
    lambda: AudioFrame(cast("Any", [1]), 48_000),
    lambda: Timeouts(total=0),
    lambda: ToneSource(-1.0),
    lambda: ToneSource(cast("Any", "440")),
    lambda: ArraySource(np.zeros(9, np.uint16), 48_000),
    lambda: check_gain(True),
    lambda: check_gain(5.0),
    lambda: check_block(cast("Any", "x")),
    lambda: LevelMeter(cast("Any", "5")),
    lambda: LevelMeter(21),
    lambda: Microphone(reference=cast("Any", "x")),
    lambda: Microphone(backend=cast("Any", "alsa")),
    lambda: Speaker(volume=True),
    lambda: WavRecorder(cast("Any", 5.5)),
    lambda: WavRecorder("x.wav", max_bytes=cast("Any", "x")),
    lambda: throttle(cast("Any", "1")),
    lambda: combine_state(),
]


@pytest.mark.parametrize("make", WRONG)
def test_function_and_value_refuse_in_one_way(make: Callable[[], object]) -> None:
    with pytest.raises(UTDStreamException) as raised:
        make()
    assert raised.value.code is UTDErrorCode.VALIDATION
    assert isinstance(raised.value, ValueError)
    again = pickle.loads(pickle.dumps(raised.value))
    assert (str(again), again.code) == (str(raised.value), UTDErrorCode.VALIDATION)


async def test_a_refused_order_is_not_handed_over() -> None:
    speaker, microphone = (
        Speaker(backend=FakeAudio(FakeClock())),
        Microphone(backend=FakeAudio(FakeClock())),
    )
    for order in (speaker.set_volume, microphone.set_gain):
        with pytest.raises(UTDStreamException, match="a gain is from 0 to 4"):
            order(True)
    assert (speaker.volume.value, microphone.gain.value) == (1.0, 1.0)
    speaker.set_volume(cast("Any", Fraction(1, 3)))
    assert speaker.volume.value == 1 / 3
    await speaker.aclose()
    await microphone.aclose()


async def test_a_room_is_refused_with_a_typed_error_whatever_is_wrong() -> None:
    async with UTDStreamClient("id", "key", base_url="http://127.0.0.1:1") as client:
        for wrong in ("4", 0, True):
            with pytest.raises(UTDStreamException, match="seat_count") as raised:
                await client.join_audio_room("me", "r", seat_count=cast("Any", wrong))
            assert raised.value.code is UTDErrorCode.VALIDATION
