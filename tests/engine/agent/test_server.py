"""The two endpoints: who gets a session and who a status; and that nothing is left."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys

import aiohttp
import pytest

from tests.engine.agent.client import AGENT_ID, caller, dialled, register
from tests.engine.fakes import FakeClock
from utd_rx.engine import LocalAgent
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.testing.contracts import refusal


async def status_of(agent: LocalAgent, **parameters: str) -> int:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with dialled(agent, **parameters):
            pass
    return caught.value.status


async def test_a_token_is_given_for_the_key_and_opens_one_session() -> None:
    clock = FakeClock()
    async with LocalAgent(clock=clock) as agent:
        body = {"agent_id": AGENT_ID, "mode": "chat", "variables": {"name": "Sara"}}
        status, reply = await register(agent, body)
        data = reply["data"]
        assert (status, reply["status"], data["expires_in"], data["sample_rate"]) == (
            (200, True, 30, 24_000)
        )
        token = data["access_token"]
        async with dialled(agent, token=token, sample_rate="8000"):
            call = await agent.next_call()
            assert (call.sample_rate, call.admission.mode) == (24_000, "chat")
            assert dict(call.admission.variables) == {"name": "Sara"}
            assert token not in f"{call.query}"
        assert await status_of(agent, token=token) == 401
        late = (await register(agent, body))[1]["data"]["access_token"]
        await clock.advance(30.0)
        assert await status_of(agent, token=late) == 401
        assert (agent.attempts, agent.registered) == (3, 2)


@pytest.mark.parametrize(("body", "status"), [({}, 400), ("{", 400), ("[" * 100_000, 400)])
async def test_a_token_is_not_given_for_nonsense(body: object, status: int) -> None:
    async with LocalAgent() as agent:
        assert (await register(agent, body))[0] == status
        assert (await register(agent, {"agent_id": "a"}, key="sk_other"))[0] == 401
        assert agent.registered == 0


async def test_whoever_shows_no_credential_gets_a_status_instead_of_a_socket() -> None:
    async with LocalAgent(agent_ids=(AGENT_ID,)) as agent:
        assert await status_of(agent, key="sk_other", agent_id=AGENT_ID) == 401
        assert await status_of(agent, agent_id="another") == 401
        assert await status_of(agent, agent_id=AGENT_ID, mode="phone") == 400
        assert (await register(agent, {"agent_id": "another"}))[0] == 404


async def test_while_it_drains_nobody_gets_in_and_no_token_is_used_up() -> None:
    async with LocalAgent() as agent:
        token = (await register(agent, {"agent_id": "a"}))[1]["data"]["access_token"]
        agent.refuses_with = 503
        assert await status_of(agent, token=token) == 503
        assert (await register(agent, {"agent_id": "a"}))[0] == 503
        agent.refuses_with = None
        async with dialled(agent, token=token) as ws:
            assert (await ws.receive_json())["type"] == "session.created"


async def test_each_of_some_connections_can_be_refused() -> None:
    async with LocalAgent() as agent:
        agent.refusals.extend((503, 500))
        assert [await status_of(agent, agent_id="a") for _ in range(2)] == [503, 500]
        async with caller(agent) as who:
            assert (await who.hear())["type"] == "session.created"
        assert agent.attempts == 3


async def test_twenty_sessions_are_served_side_by_side() -> None:
    async with LocalAgent() as agent:

        async def one(number: int) -> str:
            async with caller(agent) as who:
                await who.send("input_text.send", text=f"number {number}")
                heard = await who.until("transcript", role="user")
                return str(heard[-1]["text"])

        texts = await asyncio.gather(*map(one, range(20)))
    assert texts == [f"number {n}" for n in range(20)]


async def test_its_end_ends_its_sessions_and_leaves_nothing() -> None:
    agent = LocalAgent()
    await agent.start()
    async with caller(agent) as who:
        await who.hear()
        closing = asyncio.gather(agent.aclose(), agent.aclose())
        assert await who.end() == 1001
        await closing
    await agent.aclose()
    port = int(agent.base_url.rpartition(":")[2])
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port)).close()


async def test_it_starts_once_and_has_no_address_before() -> None:
    agent = LocalAgent(api_key="sk_given")
    with pytest.raises(UTDStreamException):
        _ = agent.base_url
    async with agent:
        assert agent.base_url.startswith("http://127.0.0.1:")
        assert agent.api_key == "sk_given"
        assert "sk_given" not in repr(agent)
        assert (await refusal(agent.start())).reason is ConflictReason.ALREADY
    never = LocalAgent()
    await never.aclose()
    assert (await refusal(never.start())).reason is ConflictReason.ALREADY


async def test_a_taken_port_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        agent = LocalAgent(port=taken.getsockname()[1])
        error = await refusal(agent.start())
    assert error.code is UTDErrorCode.CONFLICT
    assert "cannot listen" in error.message
    await agent.aclose()


def test_it_needs_no_extra() -> None:
    program = "import sys, utd_rx.engine; utd_rx.engine.LocalAgent; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout
    found = set(loaded.decode().split())
    assert "utd_rx.engine.agent.server" in found
    assert not found & {"jwt", "livekit", "OpenSSL", "aiortc", "google.protobuf", "sounddevice"}


async def test_a_frame_too_large_closes() -> None:
    async with LocalAgent() as agent, caller(agent) as who:
        await who.ws.send_str("x" * 1_000_001)
        assert await who.end() == 1009


async def test_of_sessions_that_nobody_asks_for_the_newest_are_kept() -> None:
    async with LocalAgent() as agent:
        for n in range(66):
            async with dialled(agent, agent_id=AGENT_ID, variables=json.dumps({"n": f"{n}"})):
                pass
        kept = [(await agent.next_call()).admission.variables["n"] for _ in range(64)]
    assert kept == [str(n) for n in range(2, 66)]
