"""Barge-in: from the call that should silence a speaker until its card is silent.

`python -m benchmarks.barge_in [--trials N]`, also `python -m benchmarks.audio --only barge_in`.
Each way plays a tone on a virtual cable in a process of its own: utd_rx one of its own voices and a
remote track, LiveKit's players a remote track, since they take nothing else. This process records
the cable; how late that tells of a sound is part of every figure, so each is an upper bound.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any, Final

import numpy as np
from livekit import rtc

from benchmarks.bare import Member
from benchmarks.support import inline, print_machine, print_table, spread
from benchmarks.tracks import peer, token
from tests.support.pulse import CABLE_B, Bench, missing_audio
from tests.support.sfu import fresh_options, running_sfu
from utd_rx.audio.microphone import Microphone
from utd_rx.models.audio import AudioFrame

TRIALS: Final = 10
TARGET: Final = 20.0
SETTLE: Final = 2.5
PATIENCE: Final = 3.0
"""Seconds to wait for silence."""

SILENCE: Final = 0.15
"""Seconds that have to be silent."""

LOUD: Final = 200

Call = Callable[[], Awaitable[object]]
Way = Callable[[AsyncExitStack, str, str], Awaitable[tuple[Call, Call]]]
"""Opens everything; returns what lets it speak and what silences it."""


async def flush_voice(stack: AsyncExitStack, url: str, jwt: str) -> tuple[Call, Call]:
    """Flush a speaker that plays a voice of the app's own: what `flush` is for."""
    from utd_rx.audio import ToneSource
    from utd_rx.audio.speaker import Speaker
    from utd_rx.models.audio import AudioInputStream

    speaker = await stack.enter_async_context(Speaker(block=0.005))  # as an agent's
    voice = speaker.voice("tone")
    playing: list[AudioInputStream] = []

    async def speak() -> None:
        playing.append(await ToneSource().open(voice))

    async def hush() -> None:
        # Whoever barges in also stops what is being said; nothing comes after the flush.
        closing = asyncio.ensure_future(playing.pop().aclose())
        speaker.flush()
        await closing

    return speak, hush


async def mute_track(stack: AsyncExitStack, url: str, jwt: str) -> tuple[Call, Call]:
    """Mute a speaker that plays a remote track."""
    from utd_rx.audio.speaker import Speaker
    from utd_rx.models.events import RoomEvent, TrackSubscribed
    from utd_rx.rtc.room import UTDRoom

    speaker = await stack.enter_async_context(Speaker())
    room = UTDRoom()
    opening: list[asyncio.Task[object]] = []

    def listen(events: tuple[RoomEvent, ...]) -> None:
        for event in events:
            if isinstance(event, TrackSubscribed):
                routing = room.route(event.track.sid, speaker.key, name=event.identity)
                opening.append(asyncio.create_task(routing))

    room.listen(listen)
    await room.connect(url, jwt)

    async def speak() -> None:
        speaker.unmute()

    async def hush() -> None:
        speaker.mute()

    return speak, hush


async def remove_from_player(stack: AsyncExitStack, url: str, jwt: str) -> tuple[Call, Call]:
    """Take the track out of `rtc.MediaDevices`' player."""
    member = await Member.join(stack, url, jwt)
    track, _ = await member.subscribed.get()
    player = rtc.MediaDevices().open_output()

    async def speak() -> None:
        await player.add_track(track)
        with suppress(RuntimeError):  # it plays already
            await player.start()

    return speak, lambda: player.remove_track(track)


async def close_player(stack: AsyncExitStack, url: str, jwt: str) -> tuple[Call, Call]:
    """Close `rtc.MediaDevices`' player altogether."""
    member = await Member.join(stack, url, jwt)
    track, _ = await member.subscribed.get()
    players: list[Any] = []

    async def speak() -> None:
        players.append(rtc.MediaDevices().open_output())
        await players[-1].add_track(track)
        await players[-1].start()

    return speak, lambda: players.pop().aclose()


async def unsubscribe(stack: AsyncExitStack, url: str, jwt: str) -> tuple[Call, Call]:
    """Unsubscribe from the track that `rtc.PlatformAudio` plays; it knows no other way."""
    platform = rtc.PlatformAudio()
    stack.callback(platform.close)
    member = await Member.join(stack, url, jwt)
    track, _ = await member.subscribed.get()
    publication = next(
        participant.track_publications[track.sid]
        for participant in member.room.remote_participants.values()
        if track.sid in participant.track_publications
    )

    async def subscribe(wanted: bool) -> None:
        publication.set_subscribed(wanted)

    return lambda: subscribe(True), lambda: subscribe(False)


WAYS: Final[dict[str, Way]] = {
    "utd_rx: speaker.flush(), own voice": flush_voice,
    "utd_rx: speaker.mute(), remote track": mute_track,
    "PlatformAudio: unsubscribe": unsubscribe,
    "MediaDevices: player.remove_track()": remove_from_player,
    "MediaDevices: player.aclose()": close_player,
}


async def measure(name: str, url: str, jwt: str, heard: list[AudioFrame], trials: int) -> Figures:
    """Silence one way again and again."""
    times: list[float] = []
    missed = 0
    async with peer("benchmarks.barge_in", way=name, url=url, token=jwt) as child:
        for number in range(trials):
            await child.ask("speak")
            await asyncio.sleep(SETTLE + 0.0137 * number)  # not always the same phase of a block
            heard.clear()
            await asyncio.sleep(0.3)
            called_at = (await child.ask("hush"))["at"]
            silent = None
            deadline = time.monotonic() + PATIENCE
            while silent is None and time.monotonic() < deadline:
                await asyncio.sleep(0.05)
                silent = silent_since(list(heard), called_at)
            if silent is None:
                missed += 1
            else:
                times.append(1000 * (silent - called_at))
    return times, missed


Figures = tuple[list[float], int]
"""Milliseconds until silence, and how often it was loud before the call and did not get silent."""


def silent_since(heard: list[AudioFrame], called_at: float) -> float | None:
    """Return since when nothing is heard, None while that is not known."""
    loud = None
    for frame in heard:
        above = np.flatnonzero(np.abs(frame.samples[:, 0].astype(np.int32)) > LOUD)
        if len(above):
            loud = frame.at + (int(above[-1]) + 1) / frame.sample_rate
    if loud is None or not heard:
        return None
    is_over = heard[-1].at > max(loud, called_at) + SILENCE
    return max(loud, called_at) if is_over else None


async def run(sfu_kind: str, trials: int, ways: Sequence[str] = tuple(WAYS)) -> None:
    """Measure every way."""
    heard: list[AudioFrame] = []
    print_machine("before")
    rows = [("way", "ms until silence", "never silent")]
    options = fresh_options()
    async with running_sfu("livekit" if sfu_kind == "livekit" else "embedded", options) as sfu:
        microphone = Microphone(CABLE_B, block=0.01)
        recording = await microphone.open(heard.append)
        tokens = [token(sfu, "talker")]
        async with peer(peer="talkers", url=sfu.url, tokens=tokens) as talkers:
            await talkers.ask("grow 1")
            for number, name in enumerate(ways):
                jwt = token(sfu, f"listener-{number}")
                times, missed = await measure(name, sfu.url, jwt, heard, trials)
                rows.append((name, spread(times, 1), f"{missed} of {trials}"))
                print(rows[-1], flush=True)
        await recording.aclose()
        await microphone.aclose()
    print_machine("after")
    print_table(rows)
    print(f"target for the flush: {TARGET:g} ms")


async def serve() -> None:
    """Be one way: its process."""
    values = json.loads(sys.stdin.readline())
    stack = AsyncExitStack()
    speak, hush = await WAYS[values["way"]](stack, values["url"], values["token"])
    print(json.dumps({}), flush=True)
    while command := (await asyncio.to_thread(sys.stdin.readline)).strip():
        at = time.monotonic()
        await (speak if command == "speak" else hush)()
        print(json.dumps({"at": at}), flush=True)
    os._exit(0)


def main() -> None:
    """Parse, prepare the cables, measure; without arguments on a pipe, be a way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--sfu", choices=("livekit", "embedded"), default="livekit")
    parser.add_argument("--ways", nargs="+", choices=tuple(WAYS), default=tuple(WAYS))
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        asyncio.run(serve())
        return
    missing = missing_audio()
    if missing is not None:
        sys.exit(missing)
    inline()
    bench = Bench()
    bench.start()
    try:
        bench.pactl("set-default-sink", CABLE_B)
        asyncio.run(run(args.sfu, args.trials, args.ways))
    finally:
        bench.stop()


if __name__ == "__main__":
    main()
