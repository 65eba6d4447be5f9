"""Calls are recorded and replayed as any session is, without what their callers said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.sessions.call_stage import CallStage, R, S
from tests.sessions.histories import plain
from tests.sessions.watching import settle
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.sessions.recording import record
from utd_rx.sessions.replay import CallReplay, replay
from utd_rx.sessions.views import CallView

STREAMS = (
    "state", "status", "call_id", "call", "peer", "peer_name", "duration", "end_reason",
    "connected", "connection_state", "can_publish", "microphone_enabled", "failure",
)  # fmt: skip
SECRET = "s3cr3t"


def watch(view: CallView) -> dict[str, list[Any]]:
    """Collect every value of every stream, and what all of them are at each commit."""
    seen: dict[str, list[Any]] = {name: [] for name in STREAMS}
    for name, values in seen.items():
        getattr(view, name).subscribe(values.append)
    seen["rooms"] = []
    view.call_id.subscribe(lambda _: seen["rooms"].append(view.room_name))
    return seen


async def story(stage: CallStage) -> None:
    """A call of each kind: answered and lost, busy, missed, and one that is closed upon."""
    session = stage.session
    await session.start("ana", callee_name="Ana", metadata={"why": SECRET})
    stage.metadata(stage.news(S.RINGING))
    stage.news(S.ACTIVE)
    await settle()
    stage.clock.advance(2.5)
    await session.chat.send(SECRET)
    stage.room.lose(DisconnectReason.PARTICIPANT_REMOVED)
    await settle()
    stage.news(S.ENDED, R.PEER_LOST)
    stage.engine.busy.add("bob")
    with pytest.raises(Exception, match="on a call"):
        await session.start("bob")
    missed = stage.engine.dial("ana", "me", metadata={"why": SECRET}).call_id
    await session.ringing(missed)
    stage.clock.advance(4.0)
    await settle()
    stage.news(S.MISSED, R.RING_TIMEOUT)
    await session.accept(stage.incoming())
    await settle()
    stage.clock.advance(1.0)


@pytest.mark.parametrize("type_", [UTDStreamType.AUDIO_CALL, UTDStreamType.VIDEO_CALL])
@pytest.mark.parametrize("keep_payloads", [False, True])
async def test_a_recorded_call_replays_to_the_same_streams(
    tmp_path: Path, type_: UTDStreamType, keep_payloads: bool
) -> None:
    path = tmp_path / "calls.jsonl"
    stage = CallStage(type_=type_)
    recording = record(stage.session, path, keep_payloads=keep_payloads)
    seen = watch(stage.session)
    await story(stage)
    await stage.session.aclose()
    await recording.aclose()
    assert recording.failure is None

    again = replay(path, CallReplay)
    assert (again.type, again.identity, again.kind.type) == (type_, "me", type_)
    shown = watch(again)
    while again.step():
        pass
    expected = {
        name: [plain(recording.redact(value)) for value in values] for name, values in seen.items()
    }
    assert {name: [plain(one) for one in values] for name, values in shown.items()} == expected
    assert [one.value for one in seen["end_reason"] if one] == [
        "peer_lost", "busy", "ring_timeout", "callee_hangup",
    ]  # fmt: skip
    text = path.read_text()
    assert (SECRET in text) is keep_payloads
    assert "me-token" not in text
    assert again.room_name == again.call_id.value
    with pytest.raises(UTDStreamException, match="CallReplay") as raised:
        replay(path)
    assert raised.value.code is UTDErrorCode.VALIDATION


async def test_the_streams_never_contradict_each_other() -> None:
    stage = CallStage()
    session = stage.session
    torn: list[object] = []

    def look(_: object) -> None:
        call, status = session.call.value, session.status.value
        is_over = status is not None and status.is_terminal
        is_so = [
            (call is None) is (session.call_id.value is None),
            call is None or (call.call_id, call.status) == (session.call_id.value, status),
            call is None or call.end_reason is session.end_reason.value,
            (session.end_reason.value is None) is not is_over,
            (session.peer.value is None) is (status is None),
            not is_over or call is None or call.duration_seconds == session.duration.value,
            not session.can_publish.value or status is S.ACTIVE,
            not (session.connected.value and is_over),
        ]
        if not all(is_so):
            torn.append((status, is_so))

    for name in STREAMS:
        getattr(session, name).subscribe(look)
    await story(stage)
    await session.aclose()
    assert torn == []
