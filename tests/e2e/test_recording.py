"""A real session, recorded, replays to the same streams without a network."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.e2e.house import PATIENCE, House
from tests.sessions.watching import replayed, shown, watch
from utd_rx import record, replay
from utd_rx.models.events import DataReceived, ParticipantConnected, RoomEvent
from utd_rx.protocol.journal import End

pytestmark = pytest.mark.long

SECRET = b"what sami whispered"


async def test_a_recorded_session_replays_to_the_same_streams(house: House, tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    host = await house.join("hana", as_host=True, seat_count=4)
    recording = record(host, path)
    seen = watch(host)

    speaker = await house.join("sami")
    await host.remote_participants.until(lambda people: len(people) == 1, timeout=PATIENCE)
    await host.take_seat(0)
    await speaker.take_seat(2)
    await host.seats.until(lambda grid: grid.seats[2].identity == "sami", timeout=PATIENCE)
    heard = asyncio.Event()
    host.events.subscribe(
        lambda event: (
            heard.set() if isinstance(event, DataReceived) and event.topic == "chat" else None
        )
    )
    await speaker.send_data(SECRET, topic="chat")
    await asyncio.wait_for(heard.wait(), PATIENCE)
    await host.remote_participants.until(
        lambda people: people[0].is_microphone_enabled, timeout=PATIENCE
    )
    await speaker.leave_seat()
    await host.seats.until(lambda grid: not grid.seats[2].is_occupied, timeout=PATIENCE)
    await speaker.aclose()
    await host.remote_participants.until((), timeout=PATIENCE)
    await host.leave_seat()
    await host.aclose()
    await recording.aclose()

    assert (recording.end, recording.failure) == (End.CLOSED, None)
    assert replayed(path) == shown(seen, recording)
    assert SECRET not in path.read_bytes()
    events: list[RoomEvent] = []
    again = replay(path)
    again.events.subscribe(events.append)
    await again.run(speed=None)
    assert any(isinstance(event, ParticipantConnected) for event in events)
    assert any(isinstance(event, DataReceived) and event.topic == "chat" for event in events)
    assert all(len(seen[name]) > 2 for name in ("seats", "my_seat", "can_publish"))
    assert again.journal.skipped == 0
