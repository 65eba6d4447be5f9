"""What waits for a room is let pass by the room it finds, not by the one it came to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from attrs import frozen

from tests.engine.conftest import Reply, World
from tests.engine.fakes import FakeClock, HastyClock
from utd_rx.engine.room_shell import RoomShell

ROOM = "/api/v1/rooms/friday"
ADAM = f"{ROOM}/participants/adam"
BAN = {"identity": "adam", "room_name": "friday"}


@pytest.fixture
def clock() -> FakeClock:
    """One that does not hold up a ban between push and removal."""
    return HastyClock()


@frozen
class Call:
    """A request, and whose; None is the backend."""

    who: str | None
    method: str
    path: str
    body: object = None


async def in_turn(world: World, bearers: dict[str, str], *calls: Call) -> list[Reply]:
    """Make calls that all wait for the room, in this order, before the first is carried out."""
    registry = world.engine.core.rooms
    hold = registry.hold
    waiting = asyncio.Event()

    @asynccontextmanager
    async def announced(name: str) -> AsyncIterator[RoomShell]:
        waiting.set()
        async with hold(name) as shell:
            yield shell

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "hold", announced)
        async with asyncio.TaskGroup() as group:
            tasks = []
            async with hold("friday"):
                for call in calls:
                    bearer = None if call.who is None else bearers[call.who]
                    headers = world.server if call.who is None else None
                    made = world.call(
                        call.method, call.path, call.body, bearer=bearer, headers=headers
                    )
                    tasks.append(group.create_task(made))
                    await waiting.wait()
                    waiting.clear()
    return [task.result() for task in tasks]


async def gathering(world: World) -> dict[str, str]:
    """A host, an admin, and mona, who asked to speak; returns their bearers."""
    bearers = {}
    bearers["sara"], _ = await world.connect("sara", role="host", seat_count=4, seat_mode="request")
    for who in ("adam", "mona"):
        bearers[who], _ = await world.connect(who)
    promoted = {"role": "admin"}
    reply = await world.call("PUT", f"{ADAM}/role", promoted, bearer=bearers["sara"])
    assert reply.status == 200
    reply = await world.call("POST", f"{ROOM}/speakers/request", bearer=bearers["mona"])
    assert reply.body == {"request_id": 1}
    return bearers


@pytest.mark.parametrize(
    "loss",
    [
        Call("sara", "PUT", f"{ADAM}/role", {"role": "audience"}),
        Call("sara", "DELETE", ADAM),
    ],
    ids=["demoted", "kicked"],
)
@pytest.mark.parametrize(
    "deed",
    [
        Call("adam", "POST", f"{ROOM}/speakers/requests/1/approve"),
        Call("adam", "POST", f"{ROOM}/seats/setup", {"seat_count": 2}),
        Call("adam", "DELETE", f"{ROOM}/participants/mona"),
        Call("adam", "PUT", f"{ROOM}/participants/mona/mute", {}),
        Call("adam", "PUT", f"{ROOM}/comments/lock", {"locked": True}),
    ],
    ids=["approve", "setup", "kick", "mute", "lock"],
)
async def test_who_lost_the_right_while_waiting_is_refused(
    world: World, loss: Call, deed: Call
) -> None:
    bearers = await gathering(world)
    before = world.engine.core.rooms.all()["friday"]
    lost, done = await in_turn(world, bearers, loss, deed)
    assert lost.status == 200
    assert done.refusal == (403, "forbidden")
    after = world.engine.core.rooms.all()["friday"]
    assert (after.seats.grid, after.members["mona"]) == (before.seats.grid, before.members["mona"])
    assert not after.are_comments_locked


@pytest.mark.parametrize(
    "deed",
    [
        Call("adam", "POST", f"{ROOM}/speakers/requests/1/approve"),
        Call("adam", "PUT", f"{ADAM}/metadata", {"metadata": {"mood": "fine"}}),
    ],
    ids=["approve", "own metadata"],
)
async def test_who_was_banned_while_waiting_is_refused_as_banned(world: World, deed: Call) -> None:
    bearers = await gathering(world)
    done, banned = await in_turn(
        world, bearers, deed, Call("sara", "POST", "/api/v1/rooms/ban", BAN)
    )
    assert banned.status == 201
    assert done.refusal == (403, "banned")


async def test_an_owner_who_was_removed_while_waiting_closes_no_room(world: World) -> None:
    bearers = await gathering(world)
    kick = Call(None, "DELETE", f"{ROOM}/participants/sara")
    kicked, deleted = await in_turn(world, bearers, kick, Call("sara", "DELETE", ROOM))
    assert kicked.status == 200
    assert deleted.refusal == (403, "forbidden")
    assert world.livekit() in world.media.rooms


async def test_who_keeps_the_right_is_served_in_turn(world: World) -> None:
    bearers = await gathering(world)
    approve = Call("adam", "POST", f"{ROOM}/speakers/requests/1/approve")
    lock = Call("sara", "PUT", f"{ROOM}/comments/lock", {"locked": True})
    assert [reply.status for reply in await in_turn(world, bearers, lock, approve)] == [200, 200]
