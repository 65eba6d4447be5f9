"""Keys that change while the room is not there, or somebody else changes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.sessions.watching import settle
from utd_rx.audio import ToneSource
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.models.connection import DisconnectReason, UTDConnectionState
from utd_rx.models.encryption import Encryption, KeyDerivation
from utd_rx.sessions.room import RoomSession
from utd_rx.testing.room import FakeRoom

OLD = Encryption("old", derivation=KeyDerivation.HKDF)
NEW = OLD.with_key("new")


@pytest.fixture
async def fake() -> FakeRoom:
    fake = FakeRoom("me")
    fake.grant(can_publish=True)
    fake.flush()
    return fake


@pytest.fixture
async def session(fake: FakeRoom) -> AsyncIterator[RoomSession]:
    made = RoomSession(
        "wss://sfu.example", "token", room=fake, microphone=ToneSource(), encryption=OLD
    )
    async with made as session:
        yield session


async def test_a_key_that_changes_while_it_joins_is_there_before_it_has_joined(
    session: RoomSession, fake: FakeRoom
) -> None:
    fake.gate.clear()
    seen: list[Encryption | None] = []
    session.connected.subscribe(lambda is_in: seen.append(fake.encryption) if is_in else None)
    joining = asyncio.ensure_future(session.join())
    await settle()
    changing = asyncio.ensure_future(session.set_key("new"))
    await settle()
    assert not changing.done()
    fake.gate.set()
    await asyncio.gather(joining, changing)
    assert seen == [NEW]


async def test_a_key_that_changes_before_it_connects_is_joined_with(
    session: RoomSession, fake: FakeRoom
) -> None:
    await session.set_key("new")
    await session.join()
    assert fake.encryption == NEW


async def test_a_join_that_fails_lets_go_of_who_changes_a_key_and_the_next_has_it(
    session: RoomSession, fake: FakeRoom
) -> None:
    fake.gate.clear()
    fake.connect_error = UTDStreamException("unreachable", code=UTDErrorCode.NETWORK)
    joining = asyncio.ensure_future(session.join())
    await settle()
    changing = asyncio.ensure_future(session.set_key("new"))
    await settle()
    fake.gate.set()
    with pytest.raises(UTDStreamException, match="unreachable"):
        await joining
    await changing
    await session.join()
    assert fake.encryption == NEW


@pytest.mark.parametrize("is_trying", [False, True])
async def test_it_comes_back_from_an_outage_with_the_keys_of_now(
    session: RoomSession, fake: FakeRoom, is_trying: bool
) -> None:
    await session.join()
    fake.gate.clear()
    fake.lose(DisconnectReason.UNKNOWN)
    if is_trying:
        await settle()
    else:
        fake.flush()
    changing = asyncio.ensure_future(session.set_key("new"))
    await settle()
    assert session.connection_state.value is UTDConnectionState.RECONNECTING
    seen: list[Encryption | None] = []
    session.connected.subscribe(lambda is_in: seen.append(fake.encryption) if is_in else None)
    fake.gate.set()
    await session.connection_state.until(UTDConnectionState.CONNECTED)
    await changing
    assert seen[-1] == fake.encryption == NEW


async def test_a_connection_that_ends_while_it_is_told_is_followed_by_one_that_knows(
    session: RoomSession, fake: FakeRoom
) -> None:
    await session.join()

    async def ends(encryption: Encryption) -> None:
        raise conflict(ConflictReason.LEFT, "The connection ended.")

    encrypt, fake.encrypt = fake.encrypt, ends  # type: ignore[method-assign] # a fake
    await session.set_key("new")
    fake.encrypt = encrypt  # type: ignore[method-assign] # a fake
    await session.leave()
    await session.join()
    assert fake.encryption == NEW


async def test_no_change_is_lost_to_another_that_takes_its_time(
    session: RoomSession, fake: FakeRoom
) -> None:
    await session.join()
    kept = session.set_key("kept", index=2, sends=False)
    await asyncio.gather(session.ratchet_key(), kept, session.ratchet_key())
    assert fake.encryption == OLD.ratcheted().ratcheted().with_key("kept", index=2, sends=False)
