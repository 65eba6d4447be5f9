"""Live streams are recorded and replayed as any session is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.sessions.histories import plain
from tests.sessions.live_stage import LiveStage
from tests.sessions.watching import settle
from utd_rx.models.events import DataReceived, RoomMetadataChanged
from utd_rx.sessions.recording import record
from utd_rx.sessions.replay import LiveStreamReplay, replay
from utd_rx.sessions.views import LiveStreamView

STREAMS = (
    "state", "stage", "stage_requests", "hand_raised", "live_ended", "viewer_count",
    "connected", "can_publish", "microphone_enabled", "camera_enabled", "remote_participants",
)  # fmt: skip
SECRET = "s3cr3t"


def watch(view: LiveStreamView) -> dict[str, list[Any]]:
    seen: dict[str, list[Any]] = {name: [] for name in STREAMS}
    for name, values in seen.items():
        getattr(view, name).subscribe(values.append)
    return seen


async def story(stage: LiveStage) -> None:
    """A viewer's evening: a hand, a promotion, an end that is forged and one that is not."""
    session, engine = stage.session, stage.engine
    await session.join()
    engine.turn(is_live=True)
    stage.come("ana")
    await session.request_stage()
    engine.promote("me")
    await session.can_publish.until(True)
    await session.set_microphone(True)
    await session.set_camera(True)
    ended = json.dumps({"type": "_live_ended", "why": SECRET}).encode()
    stage.room.emit(DataReceived(ended, "ana"), DataReceived(SECRET.encode(), "ana"))
    metadata = json.loads(stage.room.snapshot.metadata)
    stage.room.emit(RoomMetadataChanged(json.dumps({**metadata, "else": SECRET})))
    await settle()
    stage.room.emit(DataReceived(ended, "sara"))
    engine.demote("me")
    await session.live_ended.until(True)
    engine.end()
    await settle()


@pytest.mark.parametrize("keep_payloads", [False, True])
async def test_a_recorded_live_stream_replays_to_the_same_streams(
    tmp_path: Path, keep_payloads: bool
) -> None:
    path = tmp_path / "live.jsonl"
    stage = LiveStage()
    recording = record(stage.session, path, keep_payloads=keep_payloads)
    seen = watch(stage.session)
    await story(stage)
    await stage.session.aclose()
    await recording.aclose()
    assert recording.failure is None

    again = replay(path, LiveStreamReplay)
    shown = watch(again)
    while again.step():
        pass
    assert again.journal.skipped == 0
    assert (again.live_ended.value, again.state.value.forged) == (True, 1)
    for name in STREAMS:
        expected = [plain(recording.redact(value)) for value in seen[name]]
        assert [plain(value) for value in shown[name]] == expected, name
    assert all(len(seen[name]) > 2 for name in ("stage", "hand_raised", "can_publish"))
    assert (SECRET in path.read_text()) is keep_payloads
