"""Fixtures of the SFU's tests: clients that leave when the test ends.

The SFU itself, embedded and real, is the shared fixture `sfu` of `tests/conftest.py`.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from livekit import api, rtc

from tests.engine.sfu.clients import Camera, Client, Microphone, token
from tests.engine.sfu.rooms import make_room
from tests.support.sfu import RunningSfu
from utd_rx.engine.sfu.sfu_participant import Reason
from utd_rx.engine.sfu.sfu_room import SfuRoom

FIXTURES: Final = Path(__file__).parent / "fixtures"
"""Offers recorded from `livekit==1.2.0`, one file for each thing it does."""

Join = Callable[..., Awaitable[Client]]


@pytest.fixture
def room_name() -> str:
    """A room of the test's own."""
    return f"room-{secrets.token_hex(4)}"


@pytest.fixture
async def room() -> AsyncIterator[SfuRoom]:
    """A room without a network."""
    made = make_room()
    yield made
    made.close(Reason.SERVER_SHUTDOWN)


@pytest.fixture
async def join(sfu: RunningSfu, room_name: str) -> AsyncIterator[Join]:
    """Connect a client: `await join("alice", room=…, options=…, **grants)`."""
    async with AsyncExitStack() as stack:

        async def connect(
            identity: str,
            *,
            room: str = room_name,
            options: rtc.RoomOptions | None = None,
            **grants: Any,
        ) -> Client:
            client = Client(identity)
            await client.room.connect(
                sfu.url, token(sfu, identity, room, **grants), options or rtc.RoomOptions()
            )
            stack.push_async_callback(client.disconnect)
            return client

        yield connect


@pytest.fixture
async def microphone() -> AsyncIterator[Callable[[Client], Microphone]]:
    """Make microphones that stop when the test ends."""
    async with AsyncExitStack() as stack:

        def make(client: Client) -> Microphone:
            made = Microphone(client)
            stack.push_async_callback(made.aclose)
            return made

        yield make


@pytest.fixture
async def camera() -> AsyncIterator[Callable[..., Camera]]:
    """Make cameras that stop when the test ends."""
    async with AsyncExitStack() as stack:

        def make(client: Client, width: int = 640, height: int = 360, fps: float = 15) -> Camera:
            made = Camera(client, width, height, fps)
            stack.push_async_callback(made.aclose)
            return made

        yield make


@pytest.fixture
async def admin(sfu: RunningSfu) -> AsyncIterator[api.LiveKitAPI]:
    """The server API."""
    async with api.LiveKitAPI(sfu.api_url, sfu.api_key, sfu.api_secret) as client:
        yield client


@pytest.fixture
def recorded() -> Callable[[str], str]:
    """A recorded SDP by name."""
    return lambda name: (FIXTURES / f"{name}.sdp").read_bytes().decode()
