"""The tracks that an app gives are opened as the rules say, and every failure is a fact."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from tests.sessions.stage import TONE, Stage
from tests.sessions.watching import settle
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.participant import TrackSource
from utd_rx.protocol.facts.media import CancelTrack, CloseTrack, MuteTrack, OpenTrack
from utd_rx.sessions.own_tracks import OwnTracks


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (TrackSource.MICROPHONE, "no microphone: pass microphone=WavSource"),
        (TrackSource.CAMERA, r"no camera: pass camera=Camera\(…\) or another VideoInput"),
        (TrackSource.SCREEN_SHARE, r"no screen: pass screen=Screen\(…\) or another VideoInput"),
    ],
)
def test_what_was_not_given_is_asked_for_by_its_argument(source: TrackSource, says: str) -> None:
    tracks = OwnTracks(cast("Any", None), cast("Any", None), {source: None})
    with pytest.raises(UTDStreamException, match=says) as raised:
        tracks.require_source(source)
    assert raised.value.code is UTDErrorCode.VALIDATION


def test_what_was_given_is_returned() -> None:
    given: dict[TrackSource, Any] = {TrackSource.MICROPHONE: TONE}
    tracks = OwnTracks(cast("Any", None), cast("Any", None), given)
    assert tracks.require_source(TrackSource.MICROPHONE) is TONE
    assert set(tracks.handlers) == {OpenTrack, MuteTrack, CloseTrack, CancelTrack}


async def test_an_apps_own_error_is_told_without_its_text(
    joined: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def publish(*_: object) -> None:
        raise RuntimeError("s3cr3t")

    monkeypatch.setattr(joined.room, "publish", publish)
    with pytest.raises(UTDStreamException, match="the microphone failed: RuntimeError") as raised:
        await joined.session.take_seat(0)
    assert isinstance(raised.value.__cause__, RuntimeError)
    assert "s3cr3t" not in str(joined.session.state.value)
    assert [record.message for record in caplog.records] == ["the microphone failed"]
    caplog.clear()
    monkeypatch.undo()
    await joined.session.set_microphone(True)
    assert joined.session.microphone_failure.value is None


async def test_a_track_that_nobody_wants_any_more_is_not_opened(joined: Stage) -> None:
    joined.room.gate.clear()
    taking = asyncio.ensure_future(joined.session.take_seat(0))
    await settle()
    await joined.session.leave()
    with pytest.raises(UTDStreamException):
        await taking
    joined.room.gate.set()
    await settle()
    assert joined.room.tracks == ()


@pytest.mark.parametrize("is_wanted", [False, True])
async def test_what_hangs_as_it_opens_is_off_at_once(joined: Stage, is_wanted: bool) -> None:
    joined.room.gate.clear()
    taking = asyncio.ensure_future(joined.session.take_seat(0))
    await settle()
    await joined.session.set_microphone(False)
    assert not joined.session.microphone_enabled.value
    later = asyncio.ensure_future(joined.session.set_microphone(is_wanted))
    joined.room.gate.set()
    await later
    await asyncio.wait({taking})
    await settle()
    assert len(joined.room.tracks) == is_wanted
