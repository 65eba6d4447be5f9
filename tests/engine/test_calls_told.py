"""Calls as the sockets of both parties and a backend hear of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from attrs import frozen

from tests.engine.backend import SECRET, Backend, Got, running_backend
from tests.engine.conftest import World
from tests.engine.fakes import settle
from tests.engine.signalling import Wire, connected
from tests.fixtures import wire_fixture
from utd_rx.engine.options import EngineOptions


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    async with running_backend() as found:
        yield found


@pytest.fixture
def engine_options(backend: Backend) -> EngineOptions:
    return EngineOptions(app_secret=SECRET, webhook_url=backend.url)


@frozen
class Device:
    """Somebody's device with its socket."""

    world: World
    minted: dict[str, str]
    wire: Wire

    async def post(self, path: str, body: object = None) -> dict[str, Any]:
        bearer = self.minted["user_token"]
        reply = await self.world.call("POST", f"/api/v1/calls{path}", body or {}, bearer=bearer)
        assert reply.status in (200, 201), reply.body
        return reply.body

    async def dial(self, callee: str) -> str:
        return str((await self.post("", {"callee_identity": callee}))["call_id"])

    async def hears(self, kind: str) -> dict[str, Any]:
        frame = await self.wire.hear()
        assert frame["type"] == kind
        call: dict[str, Any] = frame["call"]
        assert not {"token", "url"} & set(call)
        return call


@frozen
class House:
    """Sara's phone, and Mona's phone and laptop."""

    world: World
    stack: AsyncExitStack

    async def device(self, identity: str, device: str) -> Device:
        body = {"identity": identity, "device_id": device}
        reply = await self.world.call("POST", "/api/v1/auth/session", body, headers=self.world.app)
        wire = await self.stack.enter_async_context(
            connected(self.world.http, reply.body["ws_url"], reply.body["user_token"])
        )
        return Device(self.world, reply.body, wire)


@pytest.fixture
async def house(world: World) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        yield House(world, stack)


async def heard(backend: Backend, *events: str) -> list[dict[str, Any]]:
    """The bodies of the next webhooks about calls, which are these."""
    got: list[Got] = []
    while len(got) < len(events):
        one = await backend.next()
        if one.event.startswith("call_"):
            got.append(one)
    assert [one.event for one in got] == list(events)
    return [one.body["call"] for one in got]


async def test_a_call_from_dialling_to_hanging_up(house: House, backend: Backend) -> None:
    sara, phone = await house.device("sara", "phone"), await house.device("mona", "phone")
    laptop = await house.device("mona", "laptop")
    call_id = await sara.dial("mona")
    for device in (phone, laptop):
        assert (await device.hears("call_incoming"))["status"] == "initiating"
    await phone.post(f"/{call_id}/ringing")
    assert (await sara.hears("call_ringing"))["call_id"] == call_id
    await phone.post(f"/{call_id}/accept")
    for device in (sara, laptop):
        told = await device.hears("call_accepted")
        assert (told["status"], told["answered_by"]) == ("active", "phone")
    await sara.post(f"/{call_id}/end")
    for device in (phone, laptop):
        assert (await device.hears("call_ended"))["end_reason"] == "caller_hangup"
    for device in (sara, phone, laptop):
        await device.wire.is_refused_politely()  # of its own deeds nobody is told
    names = ("call_initiated", "call_ringing", "call_accepted", "call_ended")
    bodies = await heard(backend, *names)
    assert {body["call_id"] for body in bodies} == {call_id}
    assert not any({"token", "url"} & set(body) for body in bodies)


async def test_a_missed_call_is_told_on_both_sides(house: House, backend: Backend) -> None:
    sara, mona = await house.device("sara", "phone"), await house.device("mona", "phone")
    await sara.dial("mona")
    await mona.hears("call_incoming")
    await heard(backend, "call_initiated")
    await settle()  # the backend's answer is in, and no try is under way
    await house.world.clock.advance(30)
    for device in (sara, mona):
        await device.wire.is_asked()  # a ping was due, too
        assert (await device.hears("call_missed"))["end_reason"] == "ring_timeout"
    [missed] = await heard(backend, "call_missed")
    assert set(missed) == set(wire_fixture("webhooks")["ours"]["call_missed"]["call"])


async def test_who_comes_while_it_rings_is_told_and_who_comes_later_is_not(house: House) -> None:
    sara = await house.device("sara", "phone")
    call_id = await sara.dial("mona")
    for device in ("phone", "laptop", "phone"):
        mona = await house.device("mona", device)
        assert (await mona.hears("call_incoming"))["call_id"] == call_id
    await mona.post(f"/{call_id}/reject")
    assert (await sara.hears("call_rejected"))["status"] == "rejected"
    late = await house.device("mona", "tablet")
    await late.wire.is_refused_politely()


async def test_a_caller_is_not_rung_by_their_own_call(house: House) -> None:
    sara = await house.device("sara", "phone")
    await sara.dial("mona")
    other = await house.device("sara", "laptop")
    await other.wire.is_refused_politely()


async def test_a_ban_ends_the_call_for_the_other_and_the_socket_of_the_banned(
    house: House,
) -> None:
    sara, mona = await house.device("sara", "phone"), await house.device("mona", "phone")
    call_id = await sara.dial("mona")
    await mona.hears("call_incoming")
    await mona.post(f"/{call_id}/accept")
    await sara.hears("call_accepted")
    world = house.world
    await world.call("POST", "/api/v1/rooms/ban", {"identity": "mona"}, headers=world.server)
    for device in (sara, mona):
        assert (await device.hears("call_ended"))["end_reason"] == "peer_lost"
    assert await mona.wire.end() == 4003
