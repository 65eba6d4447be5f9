"""Apps for `benchmarks.media_process`, each in a process of its own, by one of its paths.

Arguments come as one line of JSON on standard input, then commands, one a line, each answered by
one line of JSON: "block S" holds up the event loop, "spin" and "calm" start and end a thread that
never yields, "compute" one that works as a notebook's cell may, "commands N" times so many, "count"
tells what was counted and "look" where sound waits. A thread of its own reads
them, since the event loop may be held up. The end of standard input ends it.

"bare" is LiveKit's own client with `rtc.PlatformAudio`; the others are this SDK with its media in
the app's process, or in one of their own.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from attrs import asdict
from livekit import rtc

if TYPE_CHECKING:
    from utd_rx import RoomSession, Speaker, UTDAudioRoomSession

Values = dict[str, Any]

TOPIC: Final = "stamp"
PATIENCE: Final = 60.0


class App:
    """What a program has, and how it is asked.

    Args:
        stack: Closes what was opened.
        values: What it was started with.
    """

    def __init__(self, stack: AsyncExitStack, values: Values) -> None:
        self.stack = stack
        self.values = values
        self.count: Callable[[], Values] = dict
        self.look: Callable[[], Awaitable[Values]] | None = None
        self.send: Callable[[bytes], Awaitable[object]] | None = None
        self.events: list[float] = []
        self._is_spinning = threading.Event()

    def heard(self, payload: bytes) -> None:
        """Note how late an event is; its payload is when it was sent."""
        self.events.append(time.monotonic() - float(payload))

    def do(self, command: str, loop: asyncio.AbstractEventLoop) -> Values:
        """Carry out a command, on a thread."""
        what, _, argument = command.partition(" ")
        match what:
            case "block":
                loop.call_soon_threadsafe(time.sleep, float(argument))
            case "spin":
                self._is_spinning.set()
                threading.Thread(target=self._spin, daemon=True).start()
            case "compute":
                threading.Thread(target=_compute, daemon=True).start()
            case "calm":
                self._is_spinning.clear()
            case "commands":
                timed = asyncio.run_coroutine_threadsafe(self._time(int(argument)), loop)
                return {"commands": timed.result(PATIENCE)}
            case "events":
                events, self.events = self.events, []
                return {"events": events}
            case "count":
                return self.count()
            case "look":
                assert self.look is not None
                return asyncio.run_coroutine_threadsafe(_look(self.look), loop).result(PATIENCE)
        return {}

    def _spin(self) -> None:
        while self._is_spinning.is_set():
            pass

    async def _time(self, count: int) -> list[float]:
        assert self.send is not None
        took = []
        for _ in range(count):
            began = time.monotonic()
            await self.send(b"x")
            took.append(time.monotonic() - began)
            await asyncio.sleep(0.02)
        return took


async def talk(app: App) -> None:
    """Speak what the microphone hears."""
    if app.values["path"] == "bare":
        platform = rtc.PlatformAudio()
        app.stack.callback(platform.close)
        source = platform.create_audio_source()
        app.stack.callback(source.close)
        room = await bare_room(app)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
        await room.local_participant.publish_track(track)
        return
    from utd_rx import Microphone

    microphone = Microphone(app.values.get("device"))
    app.stack.push_async_callback(microphone.aclose)
    session = await own_room(app, microphone=microphone)
    await session.set_microphone(True)
    if app.values.get("observed"):
        microphone.level.subscribe(lambda _: None)
        microphone.speaking.subscribe(lambda _: None)


async def listen(app: App) -> None:
    """Play everybody."""
    if app.values["path"] == "bare":
        app.stack.callback(rtc.PlatformAudio().close)
        await bare_room(app)
        return
    from utd_rx import Speaker, play

    speaker = await app.stack.enter_async_context(Speaker(app.values.get("device")))
    session = await own_room(app)
    await app.stack.enter_async_context(play(session, speaker))
    app.look = partial(_delays_of, session, speaker)
    if app.values.get("observed"):
        speaker.level.subscribe(lambda _: None)


async def _look(look: Callable[[], Awaitable[Values]]) -> Values:
    return await look()


async def _delays_of(session: RoomSession, speaker: Speaker) -> Values:
    """Return where in a listener sound waits, in seconds."""
    [track] = (await session.statistics()).tracks
    return {"in_livekit": track.buffered, "in_speaker": speaker.state.value.statistics.delay}


async def chat(app: App) -> None:
    """Send messages, and hear those of others."""
    if app.values["path"] == "bare":
        room = await bare_room(app)
        room.on("data_received", lambda packet: app.heard(packet.data))
        app.send = room.local_participant.publish_data
        return
    session = await own_room(app)
    session.messages(TOPIC).subscribe(lambda message: app.heard(message.payload))
    app.send = session.send_data


async def take_frames(app: App) -> None:
    """Take the frames of everybody, in as many sessions of one client as there are listeners."""
    counts: Counter[str] = Counter()
    app.count = lambda: {"frames": dict(counts)}

    def count(name: str, _: object) -> None:
        counts[name] += 1

    def follow(number: int, session: UTDAudioRoomSession) -> None:
        known: set[str] = set()

        def look(people: tuple[Any, ...]) -> None:
            for identity in {one.identity for one in people} - known:
                known.add(identity)
                session.audio(identity).subscribe(partial(count, f"{number} {identity}"))

        session.remote_participants.subscribe(look)

    for number, session in enumerate(await sessions(app)):
        follow(number, session)


async def play_all(app: App) -> None:
    """Mix everybody and play them, likewise."""
    if app.values["path"] == "bare":
        app.stack.callback(rtc.PlatformAudio().close)
        for token in app.values["tokens"]:
            await bare_room(app, token)
        return
    from utd_rx import Speaker, play

    speaker: Speaker = await app.stack.enter_async_context(Speaker())
    app.count = lambda: asdict(speaker.state.value.statistics)
    for session in await sessions(app):
        await app.stack.enter_async_context(play(session, speaker))


async def bare_room(app: App, token: str | None = None) -> rtc.Room:
    room = rtc.Room()
    await room.connect(app.values["url"], token or app.values["token"])
    app.stack.push_async_callback(room.disconnect)
    return room


async def own_room(app: App, **options: Any) -> RoomSession:
    from utd_rx import open_room

    opening = open_room(app.values["url"], app.values["token"], **options)
    return await app.stack.enter_async_context(opening)


async def sessions(app: App) -> list[UTDAudioRoomSession]:
    """Join as each of the listeners: one client, so one media process."""
    from utd_rx import UTDStreamClient

    engine = app.values["engine"]
    client = UTDStreamClient(**engine, token_base_url=engine["base_url"])
    await app.stack.enter_async_context(client)
    joined = []
    for identity in app.values["identities"]:
        session = await client.join_audio_room(identity, app.values["room"])
        joined.append(await app.stack.enter_async_context(session))
    return joined


def _compute() -> None:
    """Work in Python half of the time, a fifth of a second at a stretch."""
    while True:
        began = time.monotonic()
        while time.monotonic() - began < 0.2:
            sum(number * number for number in range(10_000))
        time.sleep(0.2)


PROGRAMS: Final[dict[str, Callable[[App], Awaitable[None]]]] = {
    "talk": talk,
    "listen": listen,
    "chat": chat,
    "frames": take_frames,
    "play": play_all,
}


def serve(app: App, loop: asyncio.AbstractEventLoop, done: asyncio.Event) -> None:
    """Carry out commands until standard input ends."""
    while command := sys.stdin.readline().strip():
        print(json.dumps(app.do(command, loop)), flush=True)
    loop.call_soon_threadsafe(done.set)


async def run() -> None:
    """Run an app until standard input ends."""
    values: Values = json.loads(sys.stdin.readline())
    if values["path"] != "bare":
        os.environ["UTD_RX_MEDIA"] = values["path"]
    done = asyncio.Event()
    async with AsyncExitStack() as stack:
        app = App(stack, values)
        await PROGRAMS[values["program"]](app)
        print(json.dumps({}), flush=True)
        threading.Thread(target=serve, args=(app, asyncio.get_running_loop(), done)).start()
        await done.wait()
        app.do("calm", asyncio.get_running_loop())
        with suppress(TimeoutError):
            await asyncio.wait_for(stack.pop_all().aclose(), 6)
    # WebRTC's threads may abort while the interpreter goes down (docs/livekit.md, "Aborts at
    # exit").
    os._exit(0)


if __name__ == "__main__":
    if os.getpriority(os.PRIO_PROCESS, 0) < 0:
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    asyncio.run(run())
