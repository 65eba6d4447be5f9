"""Where no media process comes up, what may live anywhere lives in the app, and says so once."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any, cast

import pytest

from tests.media.hosts import FakeHost
from tests.media.restored import turns
from tests.media.test_afar import Mouth, frame
from tests.media.test_house import Serving, needs
from tests.media.test_lending import until
from tests.rtc.bench import token
from tests.support.sfu import running_sfu
from utd_rx import Speaker, open_room
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.media import choice
from utd_rx.media import house as module
from utd_rx.media.afar import AfarAudio
from utd_rx.media.house import House, place
from utd_rx.media.in_app import InApp
from utd_rx.media.process import MediaProcess
from utd_rx.media.restoring_audio import RestoringAudio
from utd_rx.media.restoring_room import RestoringRoom
from utd_rx.models.audio import AudioFrame
from utd_rx.models.devices import DeviceKey
from utd_rx.ports.audio import SpeakerSettings
from utd_rx.testing.audio import FakeAudio
from utd_rx.testing.clock import FakeClock
from utd_rx.testing.contracts import refusal


class Town:
    """A house, the processes it has had, which come up or not, and the app."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.hosts: list[Serving] = []
        self.comes_up = False
        self.app = Serving()
        self.house = House(self._start, self.clock, lambda: self.app)

    def _start(self) -> Serving:
        self.hosts.append(Serving())
        self.hosts[-1].has_come_up = self.comes_up
        return self.hosts[-1]

    @property
    def current(self) -> FakeHost | None:
        """Where what lives here does."""
        return cast("FakeHost | None", self.house.succession.current)


@pytest.fixture
def town(monkeypatch: pytest.MonkeyPatch) -> Town:
    """Give the house of this loop."""
    town = Town()
    monkeypatch.setattr(module, "house", lambda: town.house)
    choice.say_once.cache_clear()
    return town


async def test_a_room_that_is_being_joined_as_the_first_never_comes_up_is_joined_in_the_app(
    town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    assert place("auto", has_device=True) is town.house
    room = town.house.room(needs)
    joining = asyncio.create_task(room.connect("wss://x", "t"))
    town.hosts[0].die("no module named numpy")
    await joining
    assert town.current is town.app
    assert (len(town.hosts), town.house.succession.deaths) == (1, 1)
    assert place("auto", has_device=True) is None
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    [(level, words)] = said
    assert level == "WARNING"
    assert words.startswith("rooms and devices live in the app's process")
    assert "no module named numpy" in words
    await room.aclose()


async def test_so_is_a_device_that_is_being_opened(town: Town) -> None:
    audios = list[FakeAudio]()

    def make(host: FakeHost) -> Any:
        audios.append(FakeAudio(town.clock))
        return host.near(audios[-1])

    assert place("auto", has_device=True) is town.house
    key, abilities = DeviceKey("speaker"), FakeAudio(town.clock).abilities
    audio = RestoringAudio(town.house.succession, make, abilities)
    audio.add(key, SpeakerSettings())
    opening = asyncio.create_task(audio.open(key))
    town.hosts[0].die()
    await opening
    assert town.current is town.app
    assert len(audios) == 2
    await audio.close(key)


async def test_what_lives_in_the_app_stays_there_when_nobody_holds_it(town: Town) -> None:
    assert place("auto", has_device=True) is town.house
    hold = town.house.hold()
    town.hosts[0].die()
    await turns()
    await hold.release()
    assert town.current is town.app
    assert not town.app.is_closed
    assert len(town.hosts) == 1


@pytest.mark.parametrize("is_left", [False, True], ids=["it died", "another one died"])
async def test_where_one_came_up_once_those_that_do_not_are_deaths(
    town: Town, is_left: bool
) -> None:
    town.comes_up = True
    assert place("auto", has_device=True) is town.house
    room = town.house.room(needs)
    await room.connect("wss://x", "t")
    if is_left:
        await room.disconnect()
        await town.house.succession.rest()
        town.comes_up = False
        await room.connect("wss://x", "t")
    town.hosts[-1].die()
    await turns(20)
    assert town.current is town.hosts[-1]
    await room.aclose()


async def test_where_it_is_to_be_a_process_it_is_no_app_and_says_why(
    town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    assert place("process", has_device=False) is town.house
    room = town.house.room(needs)
    joining = asyncio.create_task(room.connect("wss://x", "t"))
    town.hosts[0].die("no module named numpy")
    await until(lambda: len(town.hosts) == 2)
    town.hosts[1].die("no module named numpy")
    failed = await refusal(joining)
    assert failed.code is UTDErrorCode.NETWORK
    assert "no module named numpy" in failed.message
    assert town.current is None
    caplog.clear()
    assert place("auto", has_device=True) is None
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    await room.aclose()


async def test_where_it_is_the_app_already_a_process_is_refused(town: Town) -> None:
    assert place("auto", has_device=True) is town.house
    town.house.succession.begin()
    town.hosts[0].die("no module named numpy")
    await turns()
    with pytest.raises(UTDStreamException, match="no module named numpy") as refused:
        place("process", has_device=False)
    assert refused.value.code is UTDErrorCode.FEATURE_DISABLED


async def test_a_speaker_of_before_speaks_in_the_app_on_any_thread() -> None:
    there, afar, app = Mouth(), AfarAudio(FakeAudio()), InApp()
    app.port = partial(_with, there, app.port)  # type: ignore[method-assign] # where that is
    speaker = Speaker(backend=afar)
    voice = speaker.voice("agent", margin=0.0)
    afar.attach(app)
    await asyncio.to_thread(voice, frame(0.5))
    assert there.play(0.5) == 5_000
    await until(lambda: voice.position == 0.5)
    came = asyncio.get_running_loop().create_future()
    stop = speaker.listen(lambda frame: came.set_result(frame))
    assert there.sink is not None
    await asyncio.to_thread(there.sink, frame())
    assert isinstance(await came, AudioFrame)
    stop()
    assert there.sink is None
    voice.close()
    afar.lost(UTDStreamException("", code=UTDErrorCode.NETWORK))


def _with(mouth: Mouth, port: Any, near: object, shape: type, factory: str, *of: Any) -> Any:
    return port(near, shape, factory, mouth.key, *of[1:])


@pytest.mark.embedded
async def test_with_a_broken_installation_a_room_is_joined_in_the_app(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = House(partial(MediaProcess, "there_is_no_such_module"))
    monkeypatch.setattr("utd_rx.media.placed_rooms.place", lambda *_, **__: broken)
    async with (
        running_sfu("embedded") as sfu,
        open_room(sfu.url, token(sfu, "ann")) as room,
    ):
        assert isinstance(room.room, RestoringRoom)
        media = (await room.statistics()).media
    assert (media.pid, media.deaths) == (None, 1)
    assert "there_is_no_such_module" in media.failure
