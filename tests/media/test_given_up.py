"""What becomes of an app's devices, streams and voices when media processes are given up."""

from __future__ import annotations

import asyncio

import pytest

from tests.media.restored import turns
from tests.media.test_house import Street
from utd_rx.audio.microphone import Microphone
from utd_rx.audio.speaker import Speaker
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.ports import living
from utd_rx.testing.clock import FakeClock
from utd_rx.testing.contracts import refusal


class Deadly(Street):
    """A house whose processes a test kills, one after the other."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        super().__init__(self.clock)

    async def give_up(self) -> None:
        """Let three processes die."""
        for deaths in range(1, 4):
            assert len(self.hosts) == deaths
            self.hosts[-1].die()
            await turns(20)
            self.clock.advance(0.5)
            await turns(20)
        assert len(self.hosts) == 3


async def test_a_stream_of_the_apps_ends_with_the_last_words_and_holds_no_other_process() -> None:
    street = Deadly()
    hold = street.house.hold()
    microphone = Microphone(backend=street.house.audio("portaudio"))
    stream = await microphone.open(lambda frame: None)
    await hold.release()
    ended = asyncio.ensure_future(refusal(stream.wait_ended()))
    await street.give_up()
    for failure in (await ended, await refusal(stream.wait_ended()), microphone.failure.value):
        assert failure is not None
        assert failure.code is UTDErrorCode.FEATURE_DISABLED
        assert "killed" in failure.message
    await stream.aclose()
    street.clock.advance(60.0)
    hold = street.house.hold()
    await hold.release()
    assert street.hosts[-1].is_closed
    await microphone.aclose()


async def test_a_speaker_that_was_given_up_is_opened_anew_and_holds_the_process_once() -> None:
    street = Deadly()
    speaker = Speaker(backend=street.house.audio("portaudio"))
    await speaker.open()
    await street.give_up()
    assert (await refusal(speaker.open())).code is UTDErrorCode.FEATURE_DISABLED
    street.clock.advance(60.0)
    await speaker.open()
    assert (speaker.failure.value, speaker.device.value is None) == (None, False)
    await speaker.close()
    assert street.hosts[-1].is_closed
    await speaker.aclose()


async def test_nobody_speaks_on_a_speaker_for_a_while_and_is_told_why() -> None:
    street = Deadly()
    hold = street.house.hold()
    speaker = Speaker(backend=street.house.audio("portaudio"))
    there = living.find(speaker.key)
    await speaker.open()
    await street.give_up()
    with pytest.raises(UTDStreamException, match="killed") as raised:
        there.voice("agent")
    assert raised.value.code is UTDErrorCode.FEATURE_DISABLED
    street.clock.advance(60.0)
    there.voice("agent").close()
    await speaker.aclose()
    await hold.release()
