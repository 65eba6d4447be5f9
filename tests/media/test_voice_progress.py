"""How far a voice has come is read in memory when one asks, and no message while it speaks."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from attrs import frozen

from tests.media import far_port
from tests.media.ends import ends
from tests.media.test_afar import Mouth, frame
from tests.media.test_lending import until
from tests.media.test_near_frames import rings
from tests.media.test_ring_filling import opened, room_for
from utd_rx.media import ring_filling, voice_progress
from utd_rx.media.afar_speaker import AfarVoice
from utd_rx.media.hosted_speaker import HostedVoice, VoiceProgress
from utd_rx.media.near import Near, NearEnd
from utd_rx.media.process import MediaProcess
from utd_rx.media.ring import LINE, Octets, RingShape
from utd_rx.media.voice_progress import SLOTS, ProgressReader, ProgressWriter

HALF = VoiceProgress(flushes=1, fed=1.0, position=3.5, waiting=0.5)
LATER = VoiceProgress(flushes=2, fed=0.25, position=3.75, waiting=0.125)


@frozen
class Spoken:
    """A voice of the app's in the mix of `mouth`, at the other end."""

    voice: AfarVoice
    mouth: Mouth
    end: NearEnd

    @property
    def messages(self) -> int:
        """That came through the pipe."""
        return self.end.messages

    async def said(self, seconds: float) -> None:
        """Say something, have it played, and wait until that is known here."""
        goal = self.voice.position + seconds
        self.voice(frame(seconds))
        await until(lambda: self.mouth.mixer.voices and self.mouth.mixer.voices[0].waiting)
        self.mouth.play(seconds)
        await until(lambda: self.voice.position > goal - 1e-6 and not self.voice.waiting)


@asynccontextmanager
async def speaking(*, attaches: bool = True) -> AsyncIterator[Spoken]:
    mouth, near_ends = Mouth(), list[NearEnd]()

    def near(end: NearEnd, number: int, shape: type) -> Near:
        near_ends.append(end)
        return Near(end, number, shape)

    def make() -> HostedVoice:
        return HostedVoice(mouth.key, "agent", 1.0, 0.0)

    async with ends(near, HostedVoice, make) as port:
        voice = AfarVoice(lambda gain: port)
        if attaches:
            voice.attach()
            await until(lambda: rings() == 4)  # each end's own, and those of their maps
        yield Spoken(voice, mouth, near_ends[0])


class Pair:
    """What writes how far a voice has come, and what reads it, on no loop."""

    def __init__(self) -> None:
        self.reader = ProgressReader()
        self.writer = ProgressWriter(self._announce)

    def _announce(self, shape: RingShape, lent: tuple[int, int]) -> None:
        self.reader.attach(shape, *map(os.dup, lent))


@pytest.fixture
def pair() -> Iterator[Pair]:
    made, before = Pair(), opened()
    yield made
    made.reader.finish()
    made.writer.close()
    assert opened() == before


async def test_how_far_it_is_is_no_message() -> None:
    async with speaking() as spoken:
        for _ in range(3):
            await spoken.said(0.02)
        before = spoken.messages
        for _ in range(20):
            await spoken.said(0.02)
        assert spoken.messages == before


async def test_a_flush_there_ends_what_waits_here() -> None:
    async with speaking() as spoken:
        voice, mouth = spoken.voice, spoken.mouth
        voice(frame(1.0))
        await until(lambda: mouth.mixer.voices and mouth.mixer.voices[0].waiting)
        mouth.play(0.25)
        await until(lambda: voice.position == 0.25)
        voice.flush()
        voice(frame(0.5))
        assert voice.waiting == 0.5
        await until(lambda: mouth.mixer.voices[0].waiting < 0.6)  # with the fade
        mouth.play(0.6)
        await until(lambda: voice.waiting == 0.0)
        assert 0.75 <= voice.position < 0.76


async def test_of_a_process_that_is_gone_it_is_what_was_written_last_and_leaves_no_ring() -> None:
    async with speaking() as spoken:
        voice, mouth = spoken.voice, spoken.mouth
        voice(frame(1.0))
        await until(lambda: mouth.mixer.voices and mouth.mixer.voices[0].waiting)
        mouth.play(0.25)
        await until(lambda: voice.position == 0.25)
        mouth.play(0.25)
    await until(lambda: not rings())
    assert voice.position >= 0.25
    seen = voice.position
    voice.lost()
    assert (voice.position, voice.waiting) == (seen, 1.0 - seen)


async def test_who_attaches_where_no_loop_runs_reads_it_too() -> None:
    async with speaking(attaches=False) as spoken:
        voice, mouth = spoken.voice, spoken.mouth
        await asyncio.to_thread(voice.attach)
        spoken.end.pipe.attach()
        voice(frame(0.5))
        await until(lambda: mouth.mixer.voices and mouth.mixer.voices[0].waiting)
        mouth.play(0.25)
        await until(lambda: voice.position == 0.25)
        assert rings() == 4


async def test_where_no_ring_is_to_be_had_it_is_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(shape: object) -> None:
        raise OSError("too many open files")

    monkeypatch.setattr(ring_filling, "RingWriter", refuse)
    async with speaking(attaches=False) as spoken:
        voice, mouth = spoken.voice, spoken.mouth
        voice.attach()
        voice(frame(0.5))
        await until(lambda: mouth.mixer.voices and mouth.mixer.voices[0].waiting)
        mouth.play(0.25)
        await until(lambda: voice.position == 0.25)
        monkeypatch.undo()
        mouth.play(0.13)
        await until(lambda: rings() == 4)
        mouth.play(0.12)
        await until(lambda: not voice.waiting)
        assert voice.position == 0.5


def test_it_is_read_when_one_asks_whether_a_loop_turns_or_not(pair: Pair) -> None:
    assert pair.reader.newest == VoiceProgress()
    for told in (HALF, LATER):
        assert pair.writer.write(told)
        assert pair.reader.newest == told
    assert pair.reader.newest == LATER


def test_a_message_from_before_the_ring_does_not_put_it_back(pair: Pair) -> None:
    pair.reader(HALF)
    assert pair.reader.newest == HALF
    pair.writer.write(LATER)
    pair.reader(HALF)
    assert pair.reader.newest == LATER


def test_what_is_overwritten_while_it_is_read_is_read_anew(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, torn = voice_progress._read, iter([HALF] * SLOTS + [LATER])

    def slowly(slot: Octets) -> VoiceProgress:
        for told in torn:
            pair.writer.write(told)
        return read(slot)

    pair.writer.write(HALF)
    monkeypatch.setattr(voice_progress, "_read", slowly)
    assert pair.reader.newest == LATER


def test_who_has_finished_keeps_what_was_last_and_reads_nothing_more(pair: Pair) -> None:
    pair.writer.write(HALF)
    pair.reader.finish()
    pair.writer.write(LATER)
    pair.reader(LATER)
    assert pair.reader.newest == HALF


def test_a_ring_that_comes_to_who_has_finished_is_let_go_of(pair: Pair) -> None:
    before = opened()
    pair.reader.finish()
    assert not pair.writer.write(HALF)
    pair.writer.close()
    assert opened() == before
    assert pair.reader.newest == VoiceProgress()


def test_who_has_no_descriptor_left_to_read_it_is_told_by_messages() -> None:
    lent, reader, before = list[int](), ProgressReader(), opened()
    writer = ProgressWriter(lambda shape, descriptors: lent.extend(map(os.dup, descriptors)))
    assert not writer.write(HALF)
    with room_for(0):
        reader.attach(RingShape(SLOTS, LINE), *lent)
    assert not writer.write(LATER)
    reader(LATER)
    assert reader.newest == LATER
    writer.close()
    assert opened() == before


@pytest.mark.long
async def test_a_process_that_is_killed_leaves_no_ring_and_its_successor_is_read() -> None:
    processes = list[MediaProcess]()

    def make(gain: float) -> Any:
        return processes[-1].port(Near, HostedVoice, f"{far_port.__name__}:quick_voice")

    voice = AfarVoice(make)
    for life in range(1, 3):
        processes.append(process := MediaProcess())
        voice.attach()
        voice(frame(0.5))
        await until(partial(lambda life: voice.position == life / 2, life))
        await until(lambda: rings() == 2)
        process.kill()
        await until(partial(lambda process: process.failure, process))
        assert rings() == 0
        voice.lost()
        assert voice.position == life / 2
        await process.aclose()
