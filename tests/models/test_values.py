"""The values an app sees: unchangeable, comparable, picklable, and silent about secrets."""

from __future__ import annotations

import importlib
import inspect
import pickle
import pkgutil

import attrs
import numpy as np
import pytest
from attrs.exceptions import FrozenInstanceError

import utd_rx.models
from utd_rx.models.audio import AudioFormat, AudioFrame
from utd_rx.models.ban import UTDBan
from utd_rx.models.call import UTDCall, UTDCallStatus
from utd_rx.models.connection import ConnectionQuality, DisconnectReason
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import (
    LocalParticipant,
    ParticipantPermission,
    RemoteParticipant,
    TrackKind,
    TrackPublication,
    TrackSource,
)
from utd_rx.models.seats import UTDSeat, UTDSeatGrid
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.models.token import UTDSessionResponse, UTDTokenResponse

SECRET = "s3cr3t"


def model_classes() -> list[type]:
    modules = [
        importlib.import_module(f"utd_rx.models.{module.name}")
        for module in pkgutil.iter_modules(utd_rx.models.__path__)
    ]
    return [
        cls
        for module in modules
        for _, cls in inspect.getmembers(module, inspect.isclass)
        if cls.__module__ == module.__name__ and attrs.has(cls)
    ]


@pytest.mark.parametrize("cls", model_classes(), ids=lambda cls: cls.__name__)
def test_every_model_is_frozen(cls: type) -> None:
    value: object = object.__new__(cls)
    for name in [field.name for field in attrs.fields(cls)] or ["anything"]:
        with pytest.raises((FrozenInstanceError, AttributeError)):
            setattr(value, name, None)


@pytest.mark.parametrize(
    "value",
    [
        UTDTokenResponse(SECRET, "wss://u", "r", SECRET),
        UTDSessionResponse(SECRET),
        UTDCall("c", UTDCallStatus.ACTIVE, UTDStreamType.AUDIO_CALL, token=SECRET),
        RemoteParticipant("a", metadata=SECRET),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_repr_shows_a_token_or_payload(value: object) -> None:
    assert SECRET not in repr(value)
    assert SECRET not in str(value)
    assert pickle.loads(pickle.dumps(value)) == value


def test_the_types_of_streams() -> None:
    assert [(t.value, t.is_call, t.has_video) for t in UTDStreamType] == [
        ("audio_call", True, False),
        ("video_call", True, True),
        ("live_stream", False, True),
        ("audio_room", False, False),
    ]


def test_a_call_is_over_in_four_states() -> None:
    assert [status.name for status in UTDCallStatus if status.is_terminal] == [
        "ENDED",
        "REJECTED",
        "BUSY",
        "MISSED",
    ]


@pytest.mark.parametrize("enum", [DisconnectReason, ConnectionQuality, TrackKind, TrackSource])
def test_a_number_of_a_newer_livekit_is_unknown(enum: type) -> None:
    unknown = enum.UNKNOWN  # type: ignore[attr-defined]
    assert enum(999) is unknown


class TestSeats:
    def test_a_seat_is_empty_when_nobody_sits_and_it_is_open(self) -> None:
        assert UTDSeat(0).is_empty
        assert not UTDSeat(0, is_locked=True).is_empty
        taken = UTDSeat(0, "a")
        assert taken.is_occupied
        assert not taken.is_empty

    def test_a_reserved_seat_is_for_one(self) -> None:
        seat = UTDSeat(0, reserved_for="a")
        assert seat.is_available_to("a")
        assert not seat.is_available_to("b")
        assert UTDSeat(0).is_available_to("b")
        assert not UTDSeat(0, "c", reserved_for="a").is_available_to("a")
        assert not UTDSeat(0, is_locked=True).is_available_to("a")

    def test_a_grid_finds_a_seat(self) -> None:
        grid = UTDSeatGrid(seats=(UTDSeat(0), UTDSeat(1, "a")))
        assert grid.count == 2
        assert grid.seat_of("a") == UTDSeat(1, "a")
        assert grid.seat_of("b") is None


class TestParticipants:
    MICROPHONE = TrackPublication("T1", kind=TrackKind.AUDIO, source=TrackSource.MICROPHONE)

    def test_tracks_are_replaced_by_sid_and_kept_in_order(self) -> None:
        camera = TrackPublication("T2", source=TrackSource.CAMERA)
        for start in (RemoteParticipant("a"), LocalParticipant("a")):
            both = start.with_track(self.MICROPHONE).with_track(camera)
            assert both.tracks == (self.MICROPHONE, camera)
            muted = attrs.evolve(self.MICROPHONE, is_muted=True)
            assert both.with_track(muted).tracks == (muted, camera)
            assert both.without_track("T1").tracks == (camera,)
            assert start.tracks == ()

    def test_a_muted_microphone_is_not_enabled(self) -> None:
        on = LocalParticipant("a", tracks=(self.MICROPHONE,))
        assert on.is_microphone_enabled
        muted = on.with_track(attrs.evolve(self.MICROPHONE, is_muted=True))
        assert not muted.is_microphone_enabled
        assert not LocalParticipant("a").is_microphone_enabled

    def test_no_listed_source_means_every_source(self) -> None:
        microphone = (TrackSource.MICROPHONE,)
        assert ParticipantPermission(can_publish=True).allows(TrackSource.CAMERA)
        only = ParticipantPermission(can_publish=True, can_publish_sources=microphone)
        assert only.allows(TrackSource.MICROPHONE)
        assert not only.allows(TrackSource.CAMERA)
        assert not ParticipantPermission(can_publish_sources=microphone).allows(microphone[0])


class TestFrozenMap:
    def test_it_is_a_mapping_that_hashes_and_pickles(self) -> None:
        one, two = FrozenMap({"a": 1, "b": 2}), FrozenMap([("b", 2), ("a", 1)])
        assert one == two == {"b": 2, "a": 1}
        assert hash(one) == hash(two)
        assert pickle.loads(pickle.dumps(one)) == one
        assert one != FrozenMap()
        assert (one == 7) is False
        assert repr(FrozenMap({"a": 1})) == "FrozenMap({'a': 1})"

    def test_a_change_is_a_copy_and_no_change_is_none(self) -> None:
        start = FrozenMap({"a": 1})
        assert start.set("b", 2) == {"a": 1, "b": 2}
        assert start.remove("a") == {}
        assert start == {"a": 1}
        assert start.set("a", 1) is start
        assert start.remove("x") is start

    def test_it_does_not_follow_what_it_was_made_of(self) -> None:
        source = {"a": 1}
        made = FrozenMap(source)
        source["a"] = 2
        assert made["a"] == 1


class TestAudio:
    @pytest.mark.parametrize("rate", [7_900, 44_150, 192_100])
    def test_a_rate_of_no_whole_frames_is_refused(self, rate: int) -> None:
        with pytest.raises(ValueError, match="sample_rate"):
            AudioFormat(rate)

    def test_who_converts_other_rates_is_told(self) -> None:
        with pytest.raises(ValueError, match=r"not 22050: .* WavSource and ArraySource convert"):
            AudioFormat(22_050)

    @pytest.mark.parametrize("channels", [0, 3])
    def test_one_or_two_channels(self, channels: int) -> None:
        with pytest.raises(ValueError, match="channels"):
            AudioFormat(channels=channels)

    def test_a_frame_knows_its_format_and_length(self) -> None:
        frame = AudioFrame(np.zeros((441, 2), np.int16), 44_100, at=1.0)
        assert frame.format == AudioFormat(44_100, 2)
        assert frame.format.samples_per_frame == 441
        assert frame.duration == 0.01
        assert "[" not in repr(frame)


def test_a_ban_without_an_end_is_permanent() -> None:
    assert UTDBan("a").is_permanent
    assert not UTDBan("a", expires_at="2026-05-05T10:00:00Z").is_permanent
