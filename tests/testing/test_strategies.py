"""Every model has a strategy, and what the strategies make an engine can really say."""

from __future__ import annotations

import importlib
import pickle
import pkgutil
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as hypothesis_strategies

import utd_rx
from utd_rx import models
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models import events as e
from utd_rx.models.agent_events import AgentAudio, AgentEvent
from utd_rx.models.audio import AudioFormat, AudioFrame
from utd_rx.models.call import UTDCall, UTDCallStatus
from utd_rx.models.chat import ChatMessage
from utd_rx.models.participant import Participant, TrackSource
from utd_rx.models.seats import UTDSeatGrid, UTDSeatMode
from utd_rx.models.stage import Stage
from utd_rx.models.typed_json import codec_of, decode, encode
from utd_rx.models.video import VideoFrame
from utd_rx.protocol.wire.calls import call_from_wire, call_to_wire
from utd_rx.protocol.wire.chat import chat_from_wire, chat_to_wire
from utd_rx.protocol.wire.seats import grid_from_wire, grid_to_push
from utd_rx.protocol.wire.stage import stage_from_wire, stage_to_wire
from utd_rx.testing import strategies as st

BASES = {AgentEvent, e.RoomEvent, e.TrackEvent, Participant}
"""Nothing is of one of them and of none of their kinds."""


def all_models() -> list[type]:
    modules = [importlib.import_module(one.name) for one in pkgutil.iter_modules(
        models.__path__, f"{models.__name__}."
    )]  # fmt: skip
    return [
        kind
        for module in modules
        for kind in vars(module).values()
        if isinstance(kind, type)
        and kind.__module__ == module.__name__
        and attrs.has(kind)
        and kind not in BASES
    ]


def has_codec(model: type) -> bool:
    try:
        codec_of(model)
    except TypeError:
        return False
    return True


@pytest.mark.parametrize("model", all_models(), ids=lambda model: model.__name__)
def test_every_model_has_a_strategy(model: type) -> None:
    """Whose values cross a port, and are read back from a recording where one may hold them."""
    is_json = has_codec(model)

    @settings(max_examples=4)
    @given(st.of(model))
    def check(value: object) -> None:
        assert type(value) is model
        again = pickle.loads(pickle.dumps(value))
        assert repr(again) == repr(value)
        if is_json:
            assert encode(again) == encode(decode(model, encode(value))) == encode(value)

    check()


def test_every_public_value_is_a_model_or_says_how_to_get_sound_and_pictures() -> None:
    known = {*all_models(), *BASES}
    others = {
        name
        for name in utd_rx.__all__
        if attrs.has(kind := getattr(utd_rx, name)) and kind not in known
    }
    assert others == {
        "ArraySource", "AudioComparison", "Camera", "FrameSource", "MicrophoneInput", "Screen",
        "TestPattern", "ToneSource", "VideoFileSource", "WavSource",
    }  # fmt: skip


def test_what_is_no_model_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="no strategy for <class 'int'>"):
        st.of(int)


@given(st.seat_grids())
def test_a_grid_is_one_that_an_engine_can_have(grid: UTDSeatGrid) -> None:
    seated = [seat.identity for seat in grid.seats if seat.identity is not None]
    asking = [request.identity for request in grid.requests]
    assert [seat.index for seat in grid.seats] == list(range(grid.count))
    assert len({*seated, *asking}) == len(seated) + len(asking)
    assert not asking or grid.mode is UTDSeatMode.REQUEST
    for seat in grid.seats:
        assert not (seat.is_locked and (seat.is_occupied or seat.reserved_for))
    assert grid_from_wire(grid_to_push(grid)) == grid


@given(st.calls())
def test_a_call_is_one_that_an_engine_can_tell(call: UTDCall) -> None:
    assert call_from_wire(call_to_wire(call)) == call
    assert call.caller_identity != call.callee_identity
    assert (call.end_reason is not None) == call.status.is_terminal
    assert (call.duration_seconds is not None) == call.status.is_terminal
    assert call.answered_by is None or call.status in (UTDCallStatus.ACTIVE, UTDCallStatus.ENDED)


@given(st.chat_messages())
def test_a_chat_message_is_read_as_it_is_written(message: ChatMessage) -> None:
    assert chat_from_wire(chat_to_wire(message, "Anna"), message.sender) == message


@given(st.stages())
def test_a_stage_has_its_host_first_and_nobody_twice(stage: Stage) -> None:
    assert [member.role == "host" for member in stage.members] == [
        place == 0 for place in range(len(stage.members))
    ]
    assert len({member.identity for member in stage.members}) == len(stage.members)
    assert stage_from_wire(stage_to_wire(stage)) == stage


@given(st.room_snapshots())
def test_nobody_is_in_a_room_twice_and_no_track_is(snapshot: e.RoomSnapshot) -> None:
    everybody = [snapshot.local, *snapshot.remotes]
    assert len({one.identity for one in everybody}) == len(everybody)
    for one in everybody:
        assert len({track.sid for track in one.tracks}) == len(one.tracks)
        assert len({track.source for track in one.tracks}) == len(one.tracks)


@given(st.audio_frames(), st.video_frames())
def test_frames_are_frames(frame: AudioFrame, picture: VideoFrame) -> None:
    assert frame.duration == pytest.approx(0.01)
    assert not frame.samples.flags.writeable
    assert not picture.pixels.flags.writeable


FOUND: dict[str, tuple[Any, Callable[[Any], bool]]] = {
    "everybody sits": (
        st.seat_grids(),
        lambda grid: len([s for s in grid.seats if s.identity]) > 3,
    ),
    "locked": (st.seat_grids(), lambda grid: any(seat.is_locked for seat in grid.seats)),
    "somebody asks": (st.seat_grids(mode=UTDSeatMode.REQUEST), lambda grid: len(grid.requests) > 1),
    "a long call": (st.calls(), lambda call: (call.duration_seconds or 0) > 60),
    "an odd name": (st.identities(odd=True), lambda who: who not in st.NAMES),
    "clipping": (st.audio_frames(), lambda frame: abs(int(frame.samples.min())) == 32_768),
    "agent events": (st.agent_events(), lambda event: isinstance(event, AgentAudio)),
    "a track": (st.room_events(), lambda event: isinstance(event, e.TrackMuted)),
}


UNSHRUNK = settings(max_examples=2_000, database=None, phases=[Phase.generate])


@pytest.mark.parametrize("what", FOUND)
def test_what_matters_is_among_it(what: str) -> None:
    strategy, is_it = FOUND[what]
    assert is_it(find(strategy, is_it, settings=UNSHRUNK))


def test_what_is_found_is_small() -> None:
    def is_taken(grid: UTDSeatGrid) -> bool:
        return grid.occupant_of(0) is not None

    grid = find(st.seat_grids(), is_taken, settings=settings(database=None))
    assert (grid.count, grid.occupant_of(0), grid.requests) == (1, "anna", ())


def test_a_choice_is_kept() -> None:
    @settings(max_examples=10)
    @given(
        st.room_events(e.TrackMuted, e.TrackUnmuted, people=hypothesis_strategies.just("bot")),
        st.calls(UTDCallStatus.RINGING),
        st.track_publications(TrackSource.CAMERA),
        st.audio_frames(AudioFormat(16_000, 2)),
        st.failures(UTDErrorCode.CONFLICT),
    )
    def check(
        event: e.TrackMuted,
        call: UTDCall,
        track: Any,
        frame: AudioFrame,
        failure: UTDStreamException,
    ) -> None:
        assert isinstance(event, e.TrackMuted | e.TrackUnmuted)
        assert event.identity == "bot"
        assert call.status is UTDCallStatus.RINGING
        assert track.kind.name == "VIDEO"
        assert frame.format == AudioFormat(16_000, 2)
        assert failure.reason is not None

    check()
