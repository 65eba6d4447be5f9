"""Another source is published as the microphone: at once, or whenever it is switched on."""

from __future__ import annotations

import asyncio

import pytest

from tests.sessions.stage import TONE, Stage, code_of
from tests.sessions.watching import settle
from utd_rx.audio import ToneSource
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioInput
from utd_rx.models.video import VideoInput

OTHER = ToneSource(880.0)


def published(stage: Stage) -> list[AudioInput | VideoInput]:
    return [stage.room.sources[track.sid] for track in stage.room.tracks]


async def test_one_that_came_later_than_the_session_is_published_when_it_is_on() -> None:
    stage = Stage(microphone=None)
    await stage.session.join()
    await stage.session.switch_microphone(TONE)
    assert published(stage) == []
    await stage.session.switch_microphone(OTHER)
    assert stage.session.microphone_source is OTHER
    await stage.session.take_seat(0)
    assert published(stage) == [OTHER]
    await stage.session.aclose()


async def test_while_it_is_on_another_one_takes_its_place(joined: Stage) -> None:
    await joined.session.take_seat(0)
    before = joined.room.tracks[0].sid
    seen: list[bool] = []
    joined.session.microphone_enabled.subscribe(seen.append)
    await joined.session.switch_microphone(OTHER)
    assert published(joined) == [OTHER]
    assert joined.room.tracks[0].sid != before
    assert seen == [True, False, True]
    assert joined.session.my_seat.value is not None


async def test_while_it_is_muted_it_stays_off_and_the_old_one_is_closed(joined: Stage) -> None:
    await joined.session.take_seat(0)
    await joined.session.set_microphone(False)
    assert published(joined) == [TONE]
    await joined.session.switch_microphone(OTHER)
    assert published(joined) == []
    assert not joined.session.microphone_enabled.value
    await joined.session.set_microphone(True)
    assert published(joined) == [OTHER]


async def test_one_that_is_being_opened_is_waited_for(joined: Stage) -> None:
    joined.room.gate.clear()
    taking = asyncio.ensure_future(joined.session.take_seat(0))
    await settle()
    switching = asyncio.ensure_future(joined.session.switch_microphone(OTHER))
    await settle()
    joined.room.gate.set()
    await asyncio.gather(taking, switching)
    assert published(joined) == [OTHER]


@pytest.mark.parametrize("other", [None, "usb", 7, ToneSource])
async def test_what_is_no_source_is_refused_and_nothing_changes(
    joined: Stage, other: AudioInput
) -> None:
    await joined.session.take_seat(0)
    with pytest.raises(UTDStreamException) as raised:
        await joined.session.switch_microphone(other)
    assert code_of(raised) is UTDErrorCode.VALIDATION
    assert published(joined) == [TONE]
    assert joined.session.microphone_source is TONE


async def test_one_that_does_not_open_leaves_the_microphone_off(
    joined: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await joined.session.take_seat(0)

    async def publish(*_: object) -> None:
        raise UTDStreamException("not here", code=UTDErrorCode.NOT_FOUND)

    monkeypatch.setattr(joined.room, "publish", publish)
    with pytest.raises(UTDStreamException) as raised:
        await joined.session.switch_microphone(OTHER)
    assert code_of(raised) is UTDErrorCode.NOT_FOUND
    assert (published(joined), joined.session.microphone_enabled.value) == ([], False)
