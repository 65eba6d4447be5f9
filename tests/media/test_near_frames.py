"""What a room or a microphone at the other end delivers comes through a ring, until it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.media.ends import ends
from tests.media.test_frames import frame, told
from tests.media.test_lending import until
from tests.media.test_pictures import picture, same
from utd_rx.media.near_audio import NearAudio
from utd_rx.media.near_room import NearRoom
from utd_rx.models.audio import AudioFrame
from utd_rx.models.devices import DeviceKey
from utd_rx.models.video import VideoFrame
from utd_rx.ports.audio import Abilities, MicrophoneSettings


class There:
    """A room and a microphone whose frames a test sends."""

    def __init__(self) -> None:
        self.sinks: dict[int, Callable[[Any], None]] = {}
        self.added = 0

    async def hear(self, track_sid: str, sink: Callable[[Any], None]) -> int:
        return self._keep(sink)

    async def look(self, track_sid: str, sink: Any, *, max_height: int | None = None) -> int:
        return self._keep(sink)

    async def unhear(self, reception: int) -> None:
        self.sinks.pop(reception)

    unlook = unhear

    def _keep(self, sink: Callable[[Any], None]) -> int:
        self.added += 1
        self.sinks[self.added] = sink
        return self.added


class Microphones(There):
    def add(self, key: DeviceKey, settings: object) -> None:
        """It is there."""

    # A room's `hear` takes no key.
    def hear(self, key: DeviceKey, sink: Callable[[Any], None]) -> Callable[[], None]:  # type: ignore[override]
        number = self._keep(sink)

        def stop() -> None:
            del self.sinks[number]

        return stop


def rings() -> int:
    """Descriptors of rings that this process has, at whichever end."""
    links = Path("/proc/self/fd").iterdir()
    return sum("utd_rx ring" in str(link.readlink()) for link in links if link.is_symlink())


async def test_frames_come_in_order_until_they_are_not_wanted() -> None:
    there, came = There(), list[AudioFrame]()
    async with ends(NearRoom, There, lambda: there) as room:
        number = await room.hear("TR", came.extend)
        sink = there.sinks[number]
        for part in range(10):
            sink(tuple(frame(n) for n in range(10 * part, 10 * part + 10)))
        await until(lambda: len(came) == 100)
        assert told(came) == told(frame(n) for n in range(100))
        sink((frame(1),))
        unhearing = room.unhear(number)
        await unhearing
        sink((frame(2),))
        del sink
        await until(lambda: not rings())
        assert len(came) <= 101
        assert not any(one.samples[0, 0] == 2 for one in came[100:])


async def test_what_an_app_that_stands_still_does_not_read_is_counted() -> None:
    there, came = There(), list[AudioFrame]()
    async with ends(NearRoom, There, lambda: there) as room:
        number = await room.hear("TR", came.extend)
        there.sinks[number]((frame(0),))
        await until(lambda: came)
        for n in range(1, 251):
            there.sinks[number]((frame(n),))
        await until(lambda: len(came) == 101)
        assert told(came[1:]) == told(frame(n) for n in range(151, 251))
        assert room.unread == 150
        await room.unhear(number)
        assert room.unread == 150


async def test_the_last_frames_come_when_the_track_is_over() -> None:
    there, came, seen = There(), list[AudioFrame](), list[VideoFrame]()
    async with ends(NearRoom, There, lambda: there) as room:
        heard = await room.hear("TR", came.extend)
        looked = await room.look("TR", seen.append, max_height=90)
        there.sinks[heard]((frame(1),))
        there.sinks[looked](picture(2))
        there.sinks.clear()
        await until(lambda: came and seen)
        await until(lambda: not rings())
        assert told(came) == told([frame(1)])
        assert [same(one, picture(2)) for one in seen] == [True]


async def test_nothing_comes_once_unhear_was_called() -> None:
    there, came, seen = There(), list[AudioFrame](), list[VideoFrame]()
    async with ends(NearRoom, There, lambda: there) as room:
        heard = await room.hear("TR", came.extend)
        looked = await room.look("TR", seen.append)
        there.sinks[heard]((frame(1),))
        there.sinks[looked](picture(2))
        await asyncio.gather(room.unhear(heard), room.unlook(looked))
        await until(lambda: not rings())
    assert (came, seen) == ([], [])


async def test_a_microphone_is_heard_until_it_is_stopped() -> None:
    there, came = Microphones(), list[AudioFrame]()
    near = partial(NearAudio, abilities=Abilities("fake"))
    async with ends(near, Microphones, lambda: there) as port:
        key = DeviceKey("microphone")
        port.add(key, MicrophoneSettings())
        stop = port.hear(key, came.extend)
        await until(lambda: there.sinks)
        there.sinks[1]((frame(1), frame(2)))
        await until(lambda: len(came) == 2)
        there.sinks[1]((frame(3),))
        stop()
        await until(lambda: not rings())
    assert told(came) == told([frame(1), frame(2)])


async def test_a_process_that_is_gone_leaves_no_ring() -> None:
    there, came = There(), list[AudioFrame]()
    async with ends(NearRoom, There, lambda: there) as room:
        heard = await room.hear("TR", came.extend)
        there.sinks[heard]((frame(1),))
        await until(lambda: came)
    there.sinks.clear()
    await until(lambda: not rings())
    assert told(came) == told([frame(1)])
