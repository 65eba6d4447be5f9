"""Talkers and listeners for `benchmarks.tracks`, each in a process of its own.

Arguments come as one line of JSON on standard input, then commands, one a line, each answered by
one line of JSON: "grow N" lets talkers become N, "count" tells what was counted so far, "made up"
what WebRTC had to make up. The end of standard input ends it. A thread of its own answers: the
event loop of a path that cannot keep up would answer when it is too late.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any, Final, Protocol, cast

from attrs import define
from livekit import rtc
from livekit.rtc import media_devices

from benchmarks.bare import Member, Mouth

Values = dict[str, Any]
Count = Callable[[], Values]
"""What was counted so far: frames by track, and what a path knows besides."""

JOINING: Final = 8
"""Talkers that join at once; more only wait for each other."""

PATIENCE: Final = 120.0
STATISTICS: Final = 5.0
"""Seconds to wait for LiveKit's statistics; a path that cannot keep up may never get them."""


class Peer(Protocol):
    """What answers commands."""

    def count(self) -> Values:
        """Return what was counted so far; any thread."""

    async def answer(self, command: str) -> Values:
        """Carry out another command, on the loop."""


class Talkers:
    """Participants that all send the same tone, one track each."""

    def __init__(self, stack: AsyncExitStack, values: Values) -> None:
        self._stack = stack
        self._url, self._tokens = values["url"], values["tokens"]
        self._mouth = Mouth()
        stack.push_async_callback(self._mouth.aclose)
        self._mouth.open(loud=True)
        self._count = 0

    def count(self) -> Values:
        return {"talkers": self._count}

    async def answer(self, command: str) -> Values:
        wanted = int(command.removeprefix("grow "))
        while self._count < wanted:
            step = min(JOINING, wanted - self._count)
            await asyncio.gather(*(self._join(self._count + n) for n in range(step)))
            self._count += step
        return self.count()

    async def _join(self, number: int) -> None:
        member = Member()
        self._stack.push_async_callback(member.room.disconnect)
        options = rtc.RoomOptions(auto_subscribe=False)
        await member.room.connect(self._url, self._tokens[number], options)
        await member.publish(self._mouth.source)


class Listener:
    """Takes every track of a room by one of the paths and counts.

    Args:
        count: What the path has counted so far.
    """

    def __init__(self, count: Count) -> None:
        self.count = count
        self.rooms: list[rtc.Room] = []

    async def answer(self, command: str) -> Values:
        assert command == "made up"
        samples = made_up = 0
        for room in self.rooms:
            told = await room.get_rtc_stats()
            for one in told.subscriber_stats:
                if one.HasField("inbound_rtp"):
                    samples += one.inbound_rtp.inbound.total_samples_received
                    made_up += one.inbound_rtp.inbound.concealed_samples
        return {"samples": samples, "made_up": made_up}


async def receive(stack: AsyncExitStack, url: str, tokens: Sequence[str]) -> Listener:
    """utd_rx, frames into a sink and nothing more."""
    from utd_rx.models.devices import DeviceKey
    from utd_rx.models.events import RoomEvent, TrackSubscribed
    from utd_rx.ports import living
    from utd_rx.rtc.room import UTDRoom

    counts: Counter[str] = Counter()
    opening: set[asyncio.Task[object]] = set()
    listener = Listener(lambda: {"frames": dict(counts)})

    @define
    class CountingVoice:
        name: str
        gain: float

        def __call__(self, frame: object) -> None:
            counts[self.name] += 1

        def close(self) -> None:
            pass

    @define(eq=False)
    class CountingSpeaker:
        def voice(self, name: str, *, gain: float = 1.0) -> CountingVoice:
            return CountingVoice(name, gain)

    speaker, key = CountingSpeaker(), DeviceKey("speaker")
    living.enter(key, speaker)
    stack.callback(lambda: speaker)  # alive until then

    def follow(room: UTDRoom, number: int) -> None:
        def listen(events: tuple[RoomEvent, ...]) -> None:
            for event in events:
                if isinstance(event, TrackSubscribed):
                    sid = event.track.sid
                    routing = room.route(sid, key, name=f"{number} {sid}")
                    opening.add(asyncio.create_task(routing))

        room.listen(listen)

    for number, token in enumerate(tokens):
        room = UTDRoom()
        stack.push_async_callback(room.aclose)
        follow(room, number)
        await room.connect(url, token)
        assert room.room is not None
        listener.rooms.append(room.room)
    return listener


async def play_all(stack: AsyncExitStack, url: str, tokens: Sequence[str]) -> Listener:
    """utd_rx, everybody on the speaker: jitter buffers, mix, limiter, device."""
    from utd_rx.audio.playing import PlayingDevice
    from utd_rx.audio.speaker import Speaker
    from utd_rx.models.seats import UTDSeatGrid
    from utd_rx.models.token import UTDTokenResponse
    from utd_rx.ports import living
    from utd_rx.rtc.room import UTDRoom
    from utd_rx.sessions.audio_room import UTDAudioRoomSession
    from utd_rx.sessions.playback import Playback, play

    class Engine:
        """As much of the engine port as listening needs."""

        def __init__(self, token: str) -> None:
            self._token = token

        async def mint(self) -> UTDTokenResponse:
            return UTDTokenResponse(self._token, url, "tracks", "")

        async def get_seats(self, room: str) -> UTDSeatGrid:
            return UTDSeatGrid()

        async def speaker_invitations(self, room: str) -> tuple[()]:
            return ()

    speaker = await stack.enter_async_context(Speaker())
    size = speaker.format.samples_per_frame
    there: PlayingDevice = living.find(speaker.key)
    playing: list[Playback] = []

    def count() -> Values:
        # Copied at one stroke: this is another thread than the one that lets people in.
        voices = [(f"{n} {v.name}", v.buffer) for n, v in enumerate(there.mixer.voices)]
        return {
            "frames": {name: buffer.pushed / size for name, buffer in voices},
            "played": sum(buffer.taken for _, buffer in voices) / size,
            "dropped": sum(buffer.dropped for _, buffer in voices) / size,
            "late": sum(buffer.concealed for _, buffer in voices) / size,
            "underruns": there.side.faults / size,
        }

    listener = Listener(count)
    for token in tokens:
        room = UTDRoom()
        session = UTDAudioRoomSession(
            "listener", "tracks", is_host=False, room=room, engine=cast("Any", Engine(token))
        )
        stack.push_async_callback(session.aclose)
        playing.append(await stack.enter_async_context(play(session, speaker)))
        await session.join()
        assert room.room is not None
        listener.rooms.append(room.room)
    return listener


async def stream_each(stack: AsyncExitStack, url: str, tokens: Sequence[str]) -> Listener:
    """`rtc.AudioStream`, one per track, as its documentation has it."""
    counts: Counter[str] = Counter()
    tasks: set[asyncio.Task[None]] = set()
    listener = Listener(lambda: {"frames": dict(counts)})

    async def take(track: rtc.Track, name: str) -> None:
        async for _ in rtc.AudioStream(track, sample_rate=48_000, num_channels=1):
            counts[name] += 1

    def subscribed(number: int, track: rtc.Track, *_: object) -> None:
        tasks.add(asyncio.create_task(take(track, f"{number} {track.sid}")))

    # At once: with the tracks of one connection it may be too busy to join another.
    joining = (_bare(stack, url, jwt, partial(subscribed, n)) for n, jwt in enumerate(tokens))
    listener.rooms += await asyncio.gather(*joining)
    return listener


async def output_player(stack: AsyncExitStack, url: str, tokens: Sequence[str]) -> Listener:
    """`rtc.MediaDevices`' player; what its mixer has read is what can be heard of a track.

    It knows tracks by their sid, so each connection has a player of its own.
    """
    counts: Counter[str] = Counter()
    adding: set[asyncio.Task[None]] = set()
    listener = Listener(lambda: {"frames": dict(counts)})
    usual = media_devices._AudioStreamIterator.__anext__

    async def counted(self: media_devices._AudioStreamIterator) -> rtc.AudioFrame:
        frame = await usual(self)
        counts[f"{id(self)}"] += 1
        return frame

    # Looked up on the class for each frame; there is no other place to count at.
    media_devices._AudioStreamIterator.__anext__ = counted  # type: ignore[method-assign]

    def subscribed(player: media_devices.OutputPlayer, track: rtc.Track, *_: object) -> None:
        adding.add(asyncio.create_task(player.add_track(track)))

    players = [rtc.MediaDevices().open_output() for _ in tokens]
    joining = (
        _bare(stack, url, token, partial(subscribed, player))
        for token, player in zip(tokens, players, strict=True)
    )
    listener.rooms += await asyncio.gather(*joining)
    for player in players:
        await player.start()
    return listener


async def _bare(
    stack: AsyncExitStack, url: str, token: str, subscribed: Callable[..., None]
) -> rtc.Room:
    room = rtc.Room()
    room.on("track_subscribed", subscribed)
    await room.connect(url, token)
    stack.push_async_callback(room.disconnect)
    return room


LISTENERS: Final[dict[str, Callable[[AsyncExitStack, str, Sequence[str]], Awaitable[Listener]]]] = {
    "utd_rx, frames": receive,
    "utd_rx, played": play_all,
    "rtc.AudioStream": stream_each,
    "MediaDevices player": output_player,
}


def serve(peer: Peer, loop: asyncio.AbstractEventLoop) -> None:
    """Answer commands until standard input ends, then end the process."""
    while command := sys.stdin.readline().strip():
        answer: Values = {}
        if command == "count":
            answer = peer.count()
        else:
            asked = asyncio.run_coroutine_threadsafe(peer.answer(command), loop)
            with suppress(TimeoutError):  # nothing is known then
                answer = asked.result(PATIENCE if command.startswith("grow") else STATISTICS)
        print(json.dumps(answer), flush=True)
    # A path that is behind by minutes cannot be asked to leave in order; the server notices.
    os._exit(0)


async def run() -> None:
    """Run a peer until standard input ends."""
    values: Values = json.loads(sys.stdin.readline())
    stack = AsyncExitStack()
    peer: Peer
    if values["peer"] == "talkers":
        peer = Talkers(stack, values)
    else:
        peer = await LISTENERS[values["peer"]](stack, values["url"], values["tokens"])
    print(json.dumps({}), flush=True)
    threading.Thread(target=serve, args=(peer, asyncio.get_running_loop())).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(run())
