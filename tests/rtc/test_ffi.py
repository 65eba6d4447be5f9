"""Finalizers of LiveKit's wait for no lock, and what they could not do is done later."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from livekit import rtc
from livekit.rtc._ffi_client import FfiClient, FfiHandle
from livekit.rtc._proto import ffi_pb2

from tests.rtc.bench import subscribers
from utd_rx.rtc import ffi, native


def subscribed(kind: type[Any], loop: asyncio.AbstractEventLoop) -> Any:
    """Return one of LiveKit's objects as it is when nobody holds it any more."""
    native.sdk()
    owner = object.__new__(kind)
    queue = FfiClient.instance.queue.subscribe(loop)
    vars(owner).update(_ffi_handle=FfiHandle(0), _ffi_queue=queue, _loop=loop)
    return owner


@pytest.mark.parametrize("kind", [rtc.Room, rtc.AudioStream, rtc.VideoStream])
def test_a_finalizer_waits_for_no_lock(kind: Any) -> None:
    """It may run while its thread has a lock that LiveKit's thread waits for, with LiveKit's."""
    before = subscribers()
    loop = asyncio.new_event_loop()
    owner = subscribed(kind, loop)
    is_inside, go_on = threading.Event(), threading.Event()

    def hear(event: Any) -> None:
        is_inside.set()
        go_on.wait()

    unwatch = ffi.watch(hear)
    events = FfiClient.instance.queue
    livekit = threading.Thread(target=events.put, args=(ffi_pb2.FfiEvent(),), daemon=True)
    livekit.start()
    is_inside.wait()
    finalizer = threading.Thread(target=owner.__del__, daemon=True)
    finalizer.start()
    finalizer.join(10)
    waited = finalizer.is_alive()
    go_on.set()
    livekit.join()
    finalizer.join()
    unwatch()
    assert not waited
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert subscribers() == before


async def test_what_outlived_its_loop_is_unsubscribed_with_the_next_room() -> None:
    before = subscribers()
    loop = asyncio.new_event_loop()
    owner = subscribed(rtc.Room, loop)
    loop.close()
    del owner
    assert subscribers() == before + 1
    native.new_room()
    assert subscribers() == before


async def test_the_joins_of_one_task_are_not_repeated_by_livekit() -> None:
    asked: list[Any] = []

    class Client:
        def request(self, asking: Any) -> None:
            asked.append(asking)

    for _ in range(2):
        ffi.mind_join_once(Client)

    async def ask(*, once: bool) -> None:
        if once:
            ffi.join_once()
        request = ffi_pb2.FfiRequest()
        request.connect.url = "wss://media"
        Client().request(request)

    await asyncio.create_task(ask(once=True))
    await asyncio.create_task(ask(once=False))
    assert [one.connect.options.HasField("join_retries") for one in asked] == [True, False]
    assert asked[0].connect.options.join_retries == 0
