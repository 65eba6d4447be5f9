"""What changes while another command of the same track is under way is not written over by it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from attrs import evolve

from tests.media.restored import Restored, turns
from tests.media.test_dying_under_way import RECEPTIONS, Held, peopled
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models import events as ev
from utd_rx.models.participant import TrackPublication, TrackSource
from utd_rx.testing.contracts import refusal
from utd_rx.testing.room import FakeRoom
from utd_rx.video import TestPattern


async def camera() -> tuple[Restored, TrackPublication]:
    stage = await Restored().joined()
    pattern = TestPattern(64, 36, 10)
    return stage, await stage.room.publish(pattern, TrackSource.CAMERA)


async def test_what_is_muted_while_its_source_is_replaced_does_not_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage, track = await camera()
    held = Held(monkeypatch, "replace")
    replacing = asyncio.create_task(stage.room.replace(track.sid, TestPattern(128, 72, 5)))
    await held.begun()
    await stage.room.set_muted(track.sid, True)
    held.let_go()
    await replacing
    stage.die()
    await stage.again()
    assert stage.now.tracks == ()


async def test_what_has_another_sid_once_its_source_is_replaced_has_that_source(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage, track = await camera()
    other = TestPattern(128, 72, 5)
    held = Held(monkeypatch, "replace")
    replacing = asyncio.create_task(stage.room.replace(track.sid, other))
    await held.begun()
    stage.now.emit(ev.LocalTrackRepublished(evolve(track, sid="TR_new"), track.sid))
    await turns(2)
    held.let_go()
    await replacing
    stage.die()
    await stage.again()
    assert list(stage.now.sources.values()) == [other]


async def test_what_is_muted_while_it_gets_another_sid_does_not_come_back() -> None:
    stage, track = await camera()
    await stage.room.set_muted(track.sid, True)
    stage.now.emit(ev.LocalTrackRepublished(evolve(track, sid="TR_new"), track.sid))
    await turns(2)
    stage.die()
    await stage.again()
    assert stage.now.tracks == ()


async def unmuting(
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Restored, TrackPublication, Held, asyncio.Task[None]]:
    """Return a stage on which a camera that came back muted is being unmuted."""
    stage, track = await camera()
    await stage.room.set_muted(track.sid, True)
    stage.die()
    await stage.again()
    held = Held(monkeypatch, "publish")
    task = asyncio.create_task(stage.room.set_muted(track.sid, False))
    await held.begun()
    return stage, track, held, task


async def test_the_last_word_on_what_is_absent_is_the_mute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage, track, held, task = await unmuting(monkeypatch)
    await stage.room.set_muted(track.sid, True)
    held.let_go()
    await task
    assert [one.is_muted for one in stage.now.tracks] == [True]
    stage.die()
    await stage.again(1)
    assert stage.now.tracks == ()


async def test_so_it_is_while_the_room_is_restored() -> None:
    stage, track = await camera()
    await stage.room.set_muted(track.sid, True)
    stage.closed = True
    stage.die()
    await turns()
    task = asyncio.create_task(stage.room.set_muted(track.sid, False))
    await turns(2)
    await stage.room.set_muted(track.sid, True)
    stage.now.gate.set()
    await task
    assert stage.now.tracks == ()


async def test_another_source_of_what_is_being_unmuted_is_what_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage, track, held, task = await unmuting(monkeypatch)
    other = TestPattern(128, 72, 5)
    await stage.room.replace(track.sid, other)
    held.let_go()
    await task
    assert list(stage.now.sources.values()) == [other]


@pytest.mark.parametrize("end", ["refused", "given up"])
async def test_what_is_not_unmuted_after_all_stays_muted(
    end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, track, held, task = await unmuting(monkeypatch)
    if end == "refused":
        stage.now.grant(can_publish=False)
        held.let_go()
        assert (await refusal(task)).code is UTDErrorCode.FORBIDDEN
    else:
        task.cancel()
        await asyncio.wait({task})
        held.let_go()
    stage.die()
    back = await stage.again(1)
    assert [one.is_muted for one in back.snapshot.local.tracks] == [True]
    assert stage.now.tracks == ()
    await stage.room.set_muted(track.sid, False)
    assert len(stage.now.tracks) == 1


async def test_what_the_room_refuses_to_unmute_comes_back_muted() -> None:
    stage, track = await camera()
    await stage.room.set_muted(track.sid, True)

    async def refuse(track_sid: str, muted: bool) -> None:
        raise UTDStreamException("no", code=UTDErrorCode.SERVER)

    stage.now.set_muted = refuse  # type: ignore[method-assign] # a fake
    assert (await refusal(stage.room.set_muted(track.sid, False))).code is UTDErrorCode.SERVER
    stage.die()
    await stage.again()
    assert stage.now.tracks == ()


async def test_what_is_muted_and_ends_while_it_is_unmuted_is_said_to_be_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage, track = await camera()
    await stage.room.set_muted(track.sid, True)
    stage.die()
    await stage.again()
    publish = stage.now.publish

    async def early(*args: Any) -> TrackPublication:
        published = await publish(*args)
        await stage.now.unpublish(published.sid)
        stage.now.flush()
        return published

    monkeypatch.setattr(stage.now, "publish", early)
    await stage.room.set_muted(track.sid, False)
    assert stage.told[-1] == ev.LocalTrackUnpublished(evolve(track, is_muted=False))
    stage.die()
    await stage.again(1)
    assert stage.now.tracks == ()


@pytest.mark.parametrize("kind", RECEPTIONS)
async def test_of_a_track_that_ends_before_its_reception_has_answered_nothing_is_kept(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, _, bring = RECEPTIONS[kind]
    stage, came = await peopled(), list[Any]()
    begun = getattr(FakeRoom, kind)

    async def early(room: FakeRoom, *args: Any, **options: Any) -> int:
        number: int = await begun(room, *args, **options)
        room.emit(ev.ParticipantDisconnected("ben"))
        room.flush()
        return number

    with monkeypatch.context() as here:
        here.setattr(FakeRoom, kind, early)
        await begin(stage.room, came.append)
    stage.die()
    await stage.again()
    bring(stage.now)
    assert came == []
