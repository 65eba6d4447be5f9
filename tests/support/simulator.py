"""LiveKit's own scenarios for a session's room, wherever that lives."""

from __future__ import annotations

import gc
from typing import Any

from livekit import rtc
from livekit.rtc import SimulateScenarioKind

from tests.support.living import is_apart, there
from utd_rx.rtc.room import UTDRoom
from utd_rx.sessions.media_session import MediaSession


class Simulator:
    """Is in the process of the rooms, and finds them by who is in them."""

    async def simulate(self, identity: str, scenario: int) -> None:
        """Have the connection of `identity` go through a scenario."""
        gc.unfreeze()  # a room may be among what the process has frozen, which is not listed
        rooms = [room.room for room in gc.get_objects() if isinstance(room, UTDRoom)]
        [room] = [room for room in rooms if room is not None and _is(room, identity)]
        await room.simulate_scenario(SimulateScenarioKind.ValueType(scenario))


async def simulate(session: MediaSession[Any], scenario: SimulateScenarioKind.ValueType) -> None:
    """Have the session's connection go through a scenario."""
    if not is_apart():
        room = getattr(session.room, "room", None)
        assert isinstance(room, rtc.Room)
        await room.simulate_scenario(scenario)
        return
    local = session.local_participant
    assert local is not None
    simulator = await there(Simulator)
    await simulator.simulate(local.identity, int(scenario))


def _is(room: rtc.Room, identity: str) -> bool:
    return room.isconnected() and room.local_participant.identity == identity
