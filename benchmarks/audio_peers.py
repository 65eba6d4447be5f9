"""A talker or a listener for `benchmarks.audio`, in a process of its own, by one of its paths.

Arguments come as one line of JSON on standard input, then commands, one a line: "stall" blocks the
event loop for 300 ms, "spin" starts a thread that never yields, "stop" or the end ends it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from livekit import rtc

if TYPE_CHECKING:
    from utd_rx.audio.handle import Backend

STALL = 0.3


async def talk_utd_rx(
    stack: AsyncExitStack, url: str, token: str, backend: Backend = "portaudio"
) -> None:
    from utd_rx.audio.microphone import Microphone
    from utd_rx.rtc.room import UTDRoom

    room = UTDRoom()
    stack.push_async_callback(room.aclose)
    await room.connect(url, token)
    await room.publish(Microphone(backend=backend))


async def listen_utd_rx(stack: AsyncExitStack, url: str, token: str) -> None:
    from utd_rx.audio.speaker import Speaker
    from utd_rx.models.events import RoomEvent, TrackSubscribed
    from utd_rx.rtc.room import UTDRoom

    speaker = await stack.enter_async_context(Speaker())
    room = UTDRoom()
    stack.push_async_callback(room.aclose)
    opening: list[asyncio.Task[object]] = []

    def receive(events: tuple[RoomEvent, ...]) -> None:
        for event in events:
            if isinstance(event, TrackSubscribed):
                routing = room.route(event.track.sid, speaker.key, name=event.identity)
                opening.append(asyncio.create_task(routing))

    room.listen(receive)
    await room.connect(url, token)


async def listen_utd_rx_platform(stack: AsyncExitStack, url: str, token: str) -> None:
    from utd_rx.audio.speaker import Speaker
    from utd_rx.rtc.room import UTDRoom

    await stack.enter_async_context(Speaker(backend="platform"))
    room = UTDRoom()
    stack.push_async_callback(room.aclose)
    await room.connect(url, token)


async def talk_platform(stack: AsyncExitStack, url: str, token: str) -> None:
    platform = rtc.PlatformAudio()
    stack.callback(platform.close)
    source = platform.create_audio_source()
    stack.callback(source.close)
    room = await _bare(stack, url, token)
    track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
    await room.local_participant.publish_track(track)


async def listen_platform(stack: AsyncExitStack, url: str, token: str) -> None:
    platform = rtc.PlatformAudio()
    stack.callback(platform.close)
    await _bare(stack, url, token)


async def talk_media(stack: AsyncExitStack, url: str, token: str) -> None:
    capture = rtc.MediaDevices().open_input(
        enable_aec=False, noise_suppression=False, high_pass_filter=False, auto_gain_control=False
    )
    stack.push_async_callback(capture.aclose)
    room = await _bare(stack, url, token)
    track = rtc.LocalAudioTrack.create_audio_track("microphone", capture.source)
    await room.local_participant.publish_track(track)


async def listen_media(stack: AsyncExitStack, url: str, token: str) -> None:
    player = rtc.MediaDevices().open_output()
    stack.push_async_callback(player.aclose)
    adding: list[asyncio.Task[None]] = []

    def subscribed(track: rtc.Track, *_: object) -> None:
        adding.append(asyncio.create_task(player.add_track(track)))

    await _bare(stack, url, token, subscribed)
    await player.start()


async def _bare(
    stack: AsyncExitStack, url: str, token: str, subscribed: Callable[..., None] | None = None
) -> rtc.Room:
    room = rtc.Room()
    if subscribed is not None:
        room.on("track_subscribed", subscribed)
    await room.connect(url, token)
    stack.push_async_callback(room.disconnect)
    return room


PEERS: dict[str, Callable[[AsyncExitStack, str, str], Awaitable[None]]] = {
    "utd_rx talker": talk_utd_rx,
    "utd_rx listener": listen_utd_rx,
    "utd_rx platform talker": partial(talk_utd_rx, backend="platform"),
    "utd_rx platform listener": listen_utd_rx_platform,
    "PlatformAudio talker": talk_platform,
    "PlatformAudio listener": listen_platform,
    "MediaDevices talker": talk_media,
    "MediaDevices listener": listen_media,
}


def _spin() -> None:
    while True:
        pass


async def run() -> None:
    """Run a peer until standard input ends."""
    values: dict[str, Any] = json.loads(sys.stdin.readline())
    async with AsyncExitStack() as stack:
        await PEERS[values["peer"]](stack, values["url"], values["token"])
        print(json.dumps({"pid": os.getpid()}), flush=True)
        while (command := (await asyncio.to_thread(sys.stdin.readline)).strip()) not in (
            "",
            "stop",
        ):
            if command == "stall":
                time.sleep(STALL)  # noqa: ASYNC251 - the stall that is measured
            elif command == "spin":
                threading.Thread(target=_spin, daemon=True).start()
    # A busy thread may abort native code while the interpreter goes down
    # (docs/livekit.md, "Aborts at exit").
    os._exit(0)


if __name__ == "__main__":
    if os.getpriority(os.PRIO_PROCESS, 0) < 0:
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    asyncio.run(run())
