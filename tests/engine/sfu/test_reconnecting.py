"""Resume, full reconnect, and the server's own goodbyes."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from livekit.rtc._proto.room_pb2 import SimulateScenarioKind

from tests.engine.sfu.clients import Client, Microphone, heard, token
from tests.engine.sfu.conftest import Join
from tests.support.sfu import RunningSfu

pytestmark = pytest.mark.realtime(waits=True)  # LiveKit settles for 3 s before it resumes

MakeMicrophone = Callable[[Client], Microphone]


@pytest.mark.parametrize("who", ["publisher", "subscriber"])
async def test_a_resume_keeps_everything(join: Join, microphone: MakeMicrophone, who: str) -> None:
    alice, bob = await join("alice"), await join("bob")
    await microphone(alice).publish()
    track = await bob.subscribed("alice")
    await heard(track)
    cut, other = (alice, bob) if who == "publisher" else (bob, alice)
    await cut.room.simulate_scenario(SimulateScenarioKind.SIMULATE_SIGNAL_RECONNECT)
    await cut.wait_for("reconnecting")
    await other.me.publish_data(b"during")
    await cut.wait_for("reconnected")
    await heard(track)
    await other.me.publish_data(b"after")
    await cut.until(lambda: cut.count("data_received") == 2)
    await cut.me.publish_data(b"back")
    await other.wait_for("data_received", lambda packet: packet.data == b"back")
    for client in (alice, bob):
        assert client.count("participant_disconnected") == 0
        assert client.count("track_unsubscribed") == 0
    await microphone(other).publish()
    await heard(await cut.subscribed(other.identity))


async def test_what_happened_during_a_resume_is_known_afterwards(
    join: Join, microphone: MakeMicrophone
) -> None:
    alice, bob = await join("alice"), await join("bob")
    await alice.sees("bob")
    await alice.room.simulate_scenario(SimulateScenarioKind.SIMULATE_SIGNAL_RECONNECT)
    await alice.wait_for("reconnecting")
    await bob.disconnect()
    carol = await join("carol")
    await microphone(carol).publish()
    await alice.wait_for("reconnected")
    await heard(await alice.subscribed("carol"))
    await alice.until(lambda: set(alice.room.remote_participants) == {"carol"})


@pytest.mark.parametrize("who", ["publisher", "subscriber"])
async def test_a_full_reconnect_brings_everything_back(
    join: Join, microphone: MakeMicrophone, who: str
) -> None:
    alice, bob = await join("alice"), await join("bob")
    await microphone(alice).publish()
    await heard(await bob.subscribed("alice"))
    since = len(bob.events)
    cut = alice if who == "publisher" else bob
    await cut.room.simulate_scenario(SimulateScenarioKind.SIMULATE_FULL_RECONNECT)
    await cut.wait_for("reconnected")
    await heard(await bob.subscribed("alice", since=since))


@pytest.mark.parametrize("sfu_kind", ["embedded"])  # on livekit-server the client must see to it
async def test_who_slept_through_a_join_of_the_same_identity_does_not_throw_it_out(
    sfu: RunningSfu, join: Join, room_name: str
) -> None:
    laptop = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("sleeper.py")),
        sfu.url,
        token(sfu, "ann", room_name),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert laptop.stdout is not None
    try:
        async with asyncio.timeout(30):
            assert await laptop.stdout.readline() == b"connected\n"
        laptop.send_signal(signal.SIGSTOP)
        phone = await join("ann")
        # The SDK's ping time-out of 15 s runs while it is stopped: awake, it resumes first.
        await asyncio.sleep(17)
        laptop.send_signal(signal.SIGCONT)
        async with asyncio.timeout(30):
            assert await laptop.stdout.readline() == b"disconnected DUPLICATE_IDENTITY\n"
            await laptop.wait()
        assert phone.count("disconnected") == phone.count("reconnecting") == 0
    finally:
        if laptop.returncode is None:
            laptop.kill()
            await laptop.wait()
