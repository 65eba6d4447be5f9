"""The embedded server's own life: ports, options, time-outs, and leaving nothing behind."""

from __future__ import annotations

import asyncio
import io
import secrets
import socket
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest
from attrs import evolve
from livekit import api, rtc

from tests.engine.sfu.clients import Client, Microphone, heard, token
from tests.engine.sfu.test_signalling import join_request
from tests.support.sfu import RunningSfu, fresh_options
from utd_rx.engine.sfu.limits import MAX_API_BODY_BYTES
from utd_rx.engine.sfu.options import SfuOptions
from utd_rx.engine.sfu.server import EmbeddedSfu

MakeMicrophone = Callable[[Client], Microphone]


def running(sfu: EmbeddedSfu, options: SfuOptions) -> RunningSfu:
    return RunningSfu("embedded", sfu.url, sfu.api_url, options.api_key, options.api_secret)


@pytest.fixture
async def options() -> SfuOptions:
    return fresh_options()


@pytest.fixture
async def server(options: SfuOptions) -> AsyncIterator[EmbeddedSfu]:
    made = EmbeddedSfu(options)
    await made.start()
    yield made
    await made.aclose()


async def test_the_secret_is_in_no_repr(options: SfuOptions, server: EmbeddedSfu) -> None:
    assert options.api_secret not in repr(options)
    assert options.api_secret not in repr(server)


async def test_ports_are_those_asked_for_or_free_ones(options: SfuOptions) -> None:
    first = EmbeddedSfu(options)
    await first.start()
    port = int(first.url.rpartition(":")[2])
    assert first.api_url == f"http://127.0.0.1:{port}"
    assert first.udp_port > 0
    for taken in (evolve(options, port=port), evolve(options, udp_port=first.udp_port)):
        second = EmbeddedSfu(taken)
        with pytest.raises(OSError):
            await second.start()
        await second.aclose()
    await first.aclose()
    third = EmbeddedSfu(evolve(options, port=port))
    await third.start()
    assert third.url == f"ws://127.0.0.1:{port}"
    await third.aclose()


async def test_an_sfu_starts_once_and_only_on_ipv4(
    options: SfuOptions, server: EmbeddedSfu
) -> None:
    with pytest.raises(RuntimeError):
        await server.start()
    with pytest.raises(ValueError, match="::1"):
        await EmbeddedSfu(evolve(options, host="::1")).start()


async def test_closing_sends_everybody_away_and_can_be_repeated(
    options: SfuOptions, server: EmbeddedSfu, microphone: MakeMicrophone
) -> None:
    clients = [Client("alice"), Client("bob")]
    for client in clients:
        await client.room.connect(server.url, token(running(server, options), client.identity, "r"))
    await microphone(clients[0]).publish()
    await heard(await clients[1].subscribed("alice"))
    await asyncio.gather(server.aclose(), server.aclose())
    await server.aclose()
    for client in clients:
        (reason,) = await client.wait_for("disconnected")
        assert reason == rtc.DisconnectReason.SERVER_SHUTDOWN
        await client.disconnect()
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert not [name for name in names if name.startswith("utd-sfu")]


async def test_closing_does_not_wait_for_a_client_that_does_not_listen(
    options: SfuOptions, server: EmbeddedSfu
) -> None:
    access = token(running(server, options), "deaf", "r")
    request = (
        f"GET /rtc/v1?access_token={access}&join_request={join_request()} HTTP/1.1\r\n"
        "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    port = int(server.url.split(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode())
    await reader.readuntil(b"\r\n\r\n")
    async with asyncio.timeout(15):
        await server.aclose()
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    await asyncio.wait({asyncio.ensure_future(writer.wait_closed())})


async def test_garbage_on_every_port_harms_nobody(
    options: SfuOptions, server: EmbeddedSfu, microphone: MakeMicrophone
) -> None:
    alice, bob = Client("alice"), Client("bob")
    for client in (alice, bob):
        await client.room.connect(server.url, token(running(server, options), client.identity, "r"))
    await microphone(alice).publish()
    track = await bob.subscribed("alice")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for first in range(256):
            stranger.sendto(
                bytes([first]) + secrets.token_bytes(first), ("127.0.0.1", server.udp_port)
            )
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.split(":")[2]))
    writer.write(secrets.token_bytes(4096) + b"\r\n\r\n")
    await reader.read()
    writer.close()
    await heard(track)
    await alice.disconnect()
    await bob.disconnect()


async def test_an_api_body_has_a_limit(options: SfuOptions, server: EmbeddedSfu) -> None:
    access = api.AccessToken(options.api_key, options.api_secret).with_grants(
        api.VideoGrants(room_create=True)
    )
    headers = {"Authorization": f"Bearer {access.to_jwt()}", "Content-Type": "application/protobuf"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{server.api_url}/twirp/livekit.RoomService/CreateRoom",
            data=io.BytesIO(bytes(MAX_API_BODY_BYTES + 1)),
            headers=headers,
        ) as response,
    ):
        assert response.status == 413
