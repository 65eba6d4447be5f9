"""A real live stream, recorded by its host and a viewer, replays to the same streams."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.house import PATIENCE
from tests.e2e.shows import CAMERA, MICROPHONE, Show, hands, on_stage, sees
from tests.sessions.watching import OF_ANY, replayed, shown, watch
from utd_rx import UTDRole, record, replay
from utd_rx.protocol.journal import End
from utd_rx.sessions.replay import LiveStreamReplay

pytestmark = pytest.mark.long

STREAMS = [
    *OF_ANY,
    "camera_enabled",
    "camera_failure",
    "stage",
    "stage_requests",
    "hand_raised",
    "live_ended",
    "viewer_count",
]
TOLD = [
    "stage",
    "stage_requests",
    "live_ended",
    "viewer_count",
    "camera_enabled",
    "roles",
    "events",
]
SECRET = b"what hana whispered"


async def test_a_recorded_live_stream_replays_to_the_same_streams(
    show: Show, tmp_path: Path
) -> None:
    hana = await show.attend("hana", as_host=True)
    vera = await show.attend("vera")
    paths = {session: tmp_path / session.identity for session in (hana, vera)}
    recordings = {session: record(session, path) for session, path in paths.items()}
    seen = {session: watch(session, STREAMS) for session in paths}

    await hana.go_live()
    await sees(vera, "hana", MICROPHONE, CAMERA)
    await vera.request_stage()
    await hands(hana, "vera")
    await hana.dismiss_stage_request("vera")
    await vera.hand_raised.until(False, timeout=PATIENCE)
    await vera.request_stage()
    await hands(hana, "vera")
    await hana.invite_to_stage("vera")
    await vera.can_publish.until(True, timeout=PATIENCE)
    await vera.set_camera(True)
    await sees(hana, "vera", CAMERA)
    await hana.send_data(SECRET, topic="aside")
    await hana.remove_from_stage("vera")
    await vera.camera_enabled.until(False, timeout=PATIENCE)
    await hana.set_role("vera", UTDRole.ADMIN)
    wes = await show.attend("wes")
    await wes.request_stage()
    await hands(vera, "wes")
    await vera.invite_to_stage("wes")
    await on_stage(vera, "hana", "wes")
    await hana.stop_live()
    await vera.live_ended.until(True, timeout=PATIENCE)
    await on_stage(vera, "hana")
    await hana.go_live(with_video=False)
    await vera.live_ended.until(False, timeout=PATIENCE)
    await hana.aclose()
    await vera.live_ended.until(True, timeout=PATIENCE)
    await vera.aclose()

    for session, recording in recordings.items():
        await recording.aclose()
        assert (recording.end, recording.failure) == (End.CLOSED, None)
        path, values = paths[session], seen[session]
        assert replayed(path, STREAMS, LiveStreamReplay) == shown(values, recording)
        assert SECRET not in path.read_bytes()
        assert b"eyJ" not in path.read_bytes()  # as every token begins
        assert replay(path, LiveStreamReplay).journal.skipped == 0
        assert all(len(values[name]) > 1 for name in TOLD)
    assert seen[vera]["hand_raised"] == [False, True, False, True, False]
    # Words of the host and of the engine may cross when it begins and ends within milliseconds.
    assert seen[vera]["live_ended"][:2] == [False, True]
    assert seen[vera]["live_ended"][-2:] == [False, True]
