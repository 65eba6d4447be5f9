"""A storm of events in the media process while the app stands still, over a real one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.media.stormy import PEOPLE, SIZE, StormyRoom
from utd_rx.media.near_room import NearRoom
from utd_rx.media.process import MediaProcess
from utd_rx.models import events as ev
from utd_rx.models.events import RoomEvent

STORM = 10_000
BOUND = 16 * 1024 * 1024
"""Bytes by which the child may grow; all of the storm would be more."""

PATIENCE = 60.0


@pytest.mark.long
@pytest.mark.parametrize("at_once", [1, 50, STORM])
async def test_ten_thousand_events_while_the_app_stands_still_lose_no_state_and_are_bounded(
    at_once: int, tmp_path: Path
) -> None:
    assert STORM * SIZE > BOUND
    process = MediaProcess()
    try:
        near: Any = process.port(NearRoom, StormyRoom, "tests.media.stormy:StormyRoom")
        events: list[RoomEvent] = []
        near.listen(events.extend)
        await near.connect("ws://127.0.0.1:1", "a.b.c")
        memory, over = await near.memory(), tmp_path / "over"
        await near.storm(STORM, at_once, over)
        began = time.monotonic()
        while not over.exists():  # and this loop stands still
            assert time.monotonic() - began < PATIENCE
        grown = await near.memory() - memory
        # An answer overtakes nothing that was told before it.
        known = {
            event.identity: event.metadata
            for event in events
            if isinstance(event, ev.ParticipantMetadataChanged)
        }
        assert known == {f"p{n % PEOPLE}": str(n) for n in range(STORM - PEOPLE, STORM)}
        heard = [int(event.payload) for event in events if isinstance(event, ev.DataReceived)]
        assert heard == sorted(set(heard))
        assert heard[-1] == STORM - 1
        missed = sum(event.count for event in events if isinstance(event, ev.DataMissed))
        assert missed > 0
        assert len(heard) + missed == STORM
        assert grown < BOUND, f"{grown / 2**20:.0f} MB"
        await near.aclose()
    finally:
        await process.aclose()
