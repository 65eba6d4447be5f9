"""One process for all that lives apart in a loop, for as long as somebody holds it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from tests.media.hosts import FakeHost
from tests.media.test_afar import Deaf, frame
from utd_rx.audio.speaker import Speaker
from utd_rx.media import afar_speaker
from utd_rx.media import house as module
from utd_rx.media.house import House, house
from utd_rx.models.devices import DeviceKey
from utd_rx.ports.clock import SYSTEM_CLOCK, Clock
from utd_rx.sessions.room import RoomSession
from utd_rx.testing.audio import FakeAudio
from utd_rx.testing.contracts import PATIENCE
from utd_rx.testing.room import FakeRoom


class Serving(FakeHost):
    """A process that makes fakes."""

    def room(self, **options: object) -> object:
        return self.near(FakeRoom("me"))

    def audio(self, backend: str) -> object:
        return self.near(FakeAudio())

    def port(self, *_: object) -> Deaf:
        return Deaf()


class Street:
    """A house, the processes it has had, and what starting the next ones raises, one each."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self.hosts: list[Serving] = []
        self.errors: list[Exception] = []
        self.house = House(self._start, clock)

    def _start(self) -> Serving:
        if self.errors:
            raise self.errors.pop()
        self.hosts.append(Serving())
        return self.hosts[-1]


def needs(key: DeviceKey) -> bool:
    """Say that every device lives here."""
    return True


async def test_it_is_there_from_the_first_hold_to_the_last_release() -> None:
    street = Street()
    first, second = street.house.hold(), street.house.hold()
    assert len(street.hosts) == 1
    await first.release()
    await first.release()
    assert not street.hosts[0].is_closed
    await second.release()
    assert street.hosts[0].is_closed
    third = street.house.hold()
    assert len(street.hosts) == 2
    await third.release()


async def test_a_room_holds_it_until_it_is_closed() -> None:
    street = Street()
    room = street.house.room(needs)
    other = street.house.room(needs)
    await room.connect("wss://x", "t")
    await other.aclose()
    assert not street.hosts[0].is_closed
    await room.aclose()
    await room.aclose()
    assert street.hosts[0].is_closed
    assert len(street.hosts) == 1


async def test_what_voices_said_faster_than_it_was_taken_is_in_the_statistics_of_its_rooms(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(afar_speaker, "MAX_LATE", 1.0)
    street = Street()
    room, audio = street.house.room(needs), street.house.audio("portaudio")
    await room.connect("wss://x", "t")
    for gone in range(2):
        speaker = Speaker(backend=audio)
        for left in range(2):
            voice = speaker.voice("somebody")
            for _ in range(3):
                voice(frame(0.5))
            assert (await room.statistics()).media.dropped == (2 * gone + left + 1) * 24_000
            voice.close()
        audio.forget(speaker.key)
    assert (await room.statistics()).media.dropped == 4 * 24_000
    await room.aclose()


async def test_a_process_that_dies_with_nothing_in_it_has_no_successor_until_it_is_needed() -> None:
    street = Street()
    hold = street.house.hold()
    street.hosts[0].die()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(street.hosts) == 1
    room = street.house.room(needs)
    await room.connect("wss://x", "t")
    assert len(street.hosts) == 2
    await room.aclose()
    await hold.release()


def test_there_is_one_for_each_loop_and_the_first_takes_over_what_was_there_before() -> None:
    before = house()
    assert house() is before

    async def ask() -> House:
        assert house() is house()
        return house()

    first, second = asyncio.run(ask()), asyncio.run(ask())
    assert first is before
    assert second is not first


def test_what_a_closed_loop_has_left_is_ended_by_the_next_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    streets: list[Street] = []

    def make() -> House:
        streets.append(Street())
        return streets[-1].house

    monkeypatch.setattr(module, "House", make)
    monkeypatch.setattr(module, "_unbound", [])

    async def leave() -> None:
        room = house().room(needs)
        await RoomSession("wss://x", "t", room=room).join()
        house().hold()

    for _ in range(3):
        asyncio.run(leave())
    for thread in threading.enumerate():
        if "end a media process" in thread.name:
            thread.join()
    assert [street.hosts[0].is_closed for street in streets] == [True, True, False]
    assert caplog.text == ""


FORKS = """
import asyncio, os
from tests.media.far_port import Talker
from utd_rx import UTDStreamException
from utd_rx.media import house as module
from utd_rx.media.near import Near
from utd_rx.media.process import MediaProcess

module.House = lambda kind=module.House: kind(lambda: MediaProcess(""))

def talker(process):
    return process.port(Near, Talker, "tests.media.far_port:Talker")

async def whose():
    house = module.house()
    held = house.hold()
    _, _, parent = await talker(house.succession.current).pid()
    await held.release()
    return house is before, parent == os.getpid()

async def ask(old):
    try:
        await old.pid()
    except UTDStreamException as error:
        return error.code.name, error.reason.name
    finally:
        await hold.release()

before = module.house()
hold = before.hold()
old = talker(before.succession.current)
if (worker := os.fork()) == 0:
    print("worker", asyncio.run(whose()), asyncio.run(ask(old)), flush=True)
    raise SystemExit
os.waitpid(worker, 0)
print("parent", asyncio.run(whose()), asyncio.run(ask(old)))
"""


def test_a_worker_that_is_forked_has_a_house_of_its_own_and_none_of_its_parent() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKS],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "worker (False, True) ('CONFLICT', 'CLOSED')",
        "parent (True, True) None",
    ]
