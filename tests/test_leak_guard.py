"""The leak guard names what a test left behind, and nothing else."""

from __future__ import annotations

import asyncio
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator

import pytest
from livekit import api, rtc

from tests.support.sfu import RunningSfu
from utd_rx.testing import leaks
from utd_rx.testing.leaks import LeakGuard, Snapshot

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="descriptors are listed in /proc"
)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(leaks, "PATIENCE", 0.2)
    yield
    monkeypatch.undo()


async def test_a_quiet_test_has_no_leaks() -> None:
    assert await LeakGuard().wait(Snapshot.take()) == []


async def test_a_task_is_named() -> None:
    before = Snapshot.take()
    task = asyncio.create_task(asyncio.sleep(60), name="forgotten")
    (leak,) = await LeakGuard().wait(before)
    assert leak.startswith("task forgotten: ")
    task.cancel()


async def test_a_task_that_is_about_to_end_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "PATIENCE", 20.0)  # the others have little
    before = Snapshot.take()
    task = asyncio.create_task(asyncio.sleep(0.05))
    assert await LeakGuard().wait(before) == []
    assert task.done()


def test_a_thread_is_named() -> None:
    before, end = Snapshot.take(), threading.Event()
    thread = threading.Thread(target=end.wait, name="forgotten")
    thread.start()
    assert LeakGuard().wait_blocking(before) == ["thread forgotten"]
    end.set()
    thread.join()


@pytest.mark.parametrize(
    ("kind", "name"), [(socket.SOCK_STREAM, "tcp"), (socket.SOCK_DGRAM, "udp")]
)
def test_a_socket_is_named_by_protocol_and_port(kind: socket.SocketKind, name: str) -> None:
    before = Snapshot.take()
    with socket.socket(socket.AF_INET, kind) as left_open:
        left_open.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            left_open.listen()
        (leak,) = LeakGuard().wait_blocking(before)
        assert f": {name} port {left_open.getsockname()[1]} -> " in leak


def test_a_file_is_named() -> None:
    before = Snapshot.take()
    with tempfile.NamedTemporaryFile() as left_open:
        (leak,) = LeakGuard().wait_blocking(before)
        assert left_open.name in leak


async def test_what_the_native_runtime_keeps_is_allowed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "livekit.rtc._ffi_client", sys)
    guard = LeakGuard()
    left_open: list[socket.socket] = []
    for expected in ([], ["descriptor unix socket"] * 2):
        before = Snapshot.take()
        left_open += socket.socketpair()
        left_open += socket.socketpair()
        assert (await guard.wait(before) == []) is (expected == [])
    for one in left_open:
        one.close()


async def test_joining_a_room_and_leaving_it_is_no_leak(sfu: RunningSfu) -> None:
    grants = api.VideoGrants(room_join=True, room="room")
    token = api.AccessToken(sfu.api_key, sfu.api_secret).with_identity("ann").with_grants(grants)
    room = rtc.Room()
    await room.connect(sfu.url, token.to_jwt())
    source = rtc.AudioSource(48_000, 1, queue_size_ms=0)
    track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
    await room.local_participant.publish_track(track)
    await room.disconnect()
    await source.aclose()
