"""A real call, recorded, replays to the same streams; and how its media got through is told."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.house import PATIENCE
from tests.e2e.phones import AUDIO, VIDEO, Exchange, Phone, agreed
from tests.rtc.pictures import Eye
from tests.sessions.histories import plain
from utd_rx import (
    TestPattern,
    TrackDirection,
    TrackSource,
    TrackStatistics,
    UTDCallEndReason,
    UTDCallStatus,
    UTDStreamType,
    record,
    replay,
)
from utd_rx.protocol.journal import End
from utd_rx.sessions.replay import CallReplay
from utd_rx.sessions.views import CallView

pytestmark = pytest.mark.long

STREAMS = (
    "state", "status", "call_id", "call", "peer", "peer_name", "duration", "end_reason",
    "connected", "connection_state", "can_publish", "microphone_enabled", "camera_enabled",
    "remote_participants", "active_speakers", "failure",
)  # fmt: skip
SECRET = "what anna wants"


def watch(view: CallView) -> dict[str, list[Any]]:
    """Collect every value of every stream from now on."""
    seen: dict[str, list[Any]] = {name: [] for name in STREAMS}
    for name, values in seen.items():
        getattr(view, name).subscribe(values.append)
    return seen


async def measured(phone: Phone) -> tuple[TrackStatistics, ...]:
    """Look until something is known of every track, both ways."""
    async with asyncio.timeout(PATIENCE):
        while True:
            told = await phone.session.statistics()
            if told.round_trip is not None and all(is_known(track) for track in told.tracks):
                assert 0 <= told.round_trip < 5
                return told.tracks
            await asyncio.sleep(0.05)


def is_known(track: TrackStatistics) -> bool:
    reported = track.round_trip if track.direction is TrackDirection.SENT else track.loss
    return track.packets > 20 and track.bit_rate > 0 and None not in (track.jitter, reported)


@pytest.mark.parametrize("type_", [AUDIO, VIDEO])
async def test_a_call_is_measured_and_replays_to_the_same_streams(
    exchange: Exchange, type_: UTDStreamType, tmp_path: Path
) -> None:
    path = tmp_path / "call.jsonl"
    camera = TestPattern(320, 180, 15) if type_ is VIDEO else None
    anna, ben = [await exchange.phone(who, type_, camera=camera) for who in ("anna", "ben")]
    recording = record(ben.session, path)
    seen = watch(ben.session)
    call = await anna.session.start("ben", metadata={"about": SECRET})
    await ben.rung("anna")
    await ben.session.ringing(call.call_id)
    await ben.session.accept(call.call_id)
    sources = {TrackSource.MICROPHONE} | ({TrackSource.CAMERA} if type_ is VIDEO else set())
    async with AsyncExitStack() as stack:
        for phone, other in ((anna, "ben"), (ben, "anna")):
            [there] = await phone.session.remote_participants.until(
                lambda people: (
                    len(people) == 1
                    and {track.source for track in people[0].tracks if track.is_subscribed}
                    == sources
                ),
                timeout=PATIENCE,
            )
            assert there.identity == other
            await phone.session.camera_enabled.until(type_ is VIDEO, timeout=PATIENCE)
            if type_ is VIDEO:
                eye = Eye()
                stack.enter_context(phone.session.video(other).subscribe(eye.take))
                await eye.see(5)
                assert eye.numbers == sorted(eye.numbers)
        for phone in (anna, ben):
            told = await measured(phone)
            assert {(one.identity, one.source) for one in told} == {
                (who, source) for who in ("anna", "ben") for source in sources
            }
            for one in told:
                assert (one.direction is TrackDirection.SENT) is (one.identity == phone.identity)
                assert 0 <= (one.jitter or 0) < 5
                assert 0 <= (one.loss or 0) <= 1
                assert one.bytes > 0
    await ben.session.duration.until(lambda seconds: bool(seconds), timeout=PATIENCE)
    await ben.session.end()
    await agreed(anna, ben, UTDCallStatus.ENDED, UTDCallEndReason.CALLEE_HANGUP)
    await ben.session.aclose()
    await recording.aclose()

    assert (recording.end, recording.failure) == (End.CLOSED, None)
    again = replay(path, CallReplay)
    shown = watch(again)
    while again.step():
        pass
    expected = {
        name: [plain(recording.redact(value)) for value in values] for name, values in seen.items()
    }
    assert {name: [plain(one) for one in values] for name, values in shown.items()} == expected
    assert again.type is type_
    assert [status.value for status in seen["status"] if status] == ["ringing", "active", "ended"]
    text = path.read_text()
    assert SECRET not in text
    assert "eyJ" not in text  # as every token begins
    assert again.journal.skipped == 0
