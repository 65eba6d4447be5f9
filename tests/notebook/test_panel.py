"""`watch`: the panel shows what the session knows, seldom enough, and lets go of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from utd_rx import AtomsAgentSession, UTDErrorCode, UTDStreamException, UTDStreamType
from utd_rx.models.png import png
from utd_rx.notebook import Panel, watch
from utd_rx.notebook.media import THUMBNAIL_ROWS, thumbnail
from utd_rx.notebook.panel import MAX_EVENTS
from utd_rx.notebook.shown import MAX_PEOPLE
from utd_rx.testing import FakeWorld, run_virtual
from utd_rx.testing.world.loop_world import LoopWorld


@pytest.fixture(autouse=True)
def panels_are_closed() -> Iterator[None]:
    """ipywidgets keeps every widget that is not."""
    yield
    Panel.close_all()


def texts(panel: Panel) -> list[str]:
    return [line["text"] for line in panel.log]


def test_an_audio_room_is_shown_with_seats_people_levels_and_chat() -> None:
    async def main() -> None:
        async with FakeWorld.on_loop() as world:
            host = await world.join_audio_room("host", host=True, seats=3)
            panel = watch(host)
            anna = await world.join_audio_room("anna")
            await host.take_seat(0)
            await anna.take_seat(2)
            await host.lock_seat(1)
            await anna.chat.send("<b>hello</b>\u202e\x1b[2J")
            saying = world.spawn(world.microphone("anna").say(2.0))
            await world.advance(1.5)
            shown = panel.shown
            assert (shown["title"], shown["identity"], shown["connection"]) == (
                *("lobby", "host"),
                "connected",
            )
            assert [
                (one["identity"], one["is_locked"], one["is_mine"]) for one in shown["seats"]
            ] == [("host", False, True), ("", True, False), ("anna", False, False)]
            assert [(one["identity"], one["microphone"]) for one in shown["people"]] == [
                ("anna", "on")
            ]
            assert shown["chat"] == [{"who": "anna", "text": "<b>hello</b>\ufffd\ufffd[2J"}]
            assert panel.levels == {"anna": 0.8}  # -12 dBFS
            assert "ParticipantConnected(anna)" in texts(panel)
            await saying
            await anna.leave()
            await world.advance(1)
            assert (panel.levels, panel.shown["people"]) == ({}, [])

    run_virtual(main())


def test_a_plain_room_is_shown_with_people_levels_and_chat_and_nothing_of_an_engine() -> None:
    async def main() -> None:
        async with FakeWorld.on_loop() as world:
            ana = await world.open_room("ana")
            panel = watch(ana)
            assert (panel.shown["kind"], panel.shown["title"]) == ("ROOM", "lobby")
            ben = await world.open_room("ben")
            await ben.set_microphone(True)
            await ben.chat.send("<b>hello</b>")
            saying = world.spawn(world.microphone("ben").say(2.0))
            await world.advance(1.5)
            shown = panel.shown
            assert (shown["identity"], shown["connection"], shown["is_host"]) == (
                *("ana", "connected"),
                False,
            )
            assert [
                (one["identity"], one["microphone"], one["role"]) for one in shown["people"]
            ] == [("ben", "on", "")]
            assert shown["chat"] == [{"who": "ben", "text": "<b>hello</b>"}]
            assert not {"seats", "stage", "requests"} & shown.keys()
            assert not shown["chat_locked"]
            assert panel.levels == {"ben": 0.8}  # -12 dBFS
            assert "ParticipantConnected(ben)" in texts(panel)
            await saying
            await ana.leave()
            await world.advance(1)
            assert (panel.shown["connection"], panel.shown["people"]) == ("disconnected", [])
            await ana.aclose()

    run_virtual(main())


def test_a_live_stream_is_shown_with_its_stage_and_small_pictures() -> None:
    async def main() -> None:
        async with FakeWorld.on_loop() as world:
            await world.live_stream("sara")
            viewer = await world.join_live_stream("vera")
            panel = watch(viewer)
            pixels = np.full((180, 320, 3), 7, np.uint8)
            for _ in range(20):
                await world.camera("sara").show(pixels)
                await world.advance(0.1)
            assert [(one["identity"], one["role"]) for one in panel.shown["stage"]] == [
                ("sara", "host")
            ]
            assert panel.shown["viewers"] == 1
            assert panel.thumbnails == {"sara": png(pixels[::2, ::2])}

    run_virtual(main())


def test_a_call_and_an_agent_are_shown() -> None:
    async def main() -> None:
        async with FakeWorld.on_loop() as world:
            ana, ben = await world.call("ana", "ben", UTDStreamType.AUDIO_CALL)
            panel = watch(ana)
            agent = await world.agent("ana")
            talk = watch(agent)
            await agent.send_text("Hello")
            await world.advance(2)
            assert panel.shown["call"]["status"] == "active"
            await ben.end()
            await world.advance(1)
            call = panel.shown["call"]
            assert (call["status"], call["peer"], call["reason"]) == (
                *("ended", "ben"),
                "callee_hangup",
            )
            assert talk.shown["chat"][0] == {"who": "user", "text": "Hello"}
            assert isinstance(agent, AtomsAgentSession)

    run_virtual(main())


async def busy_room(world: LoopWorld, seconds: float) -> tuple[Any, list[float]]:
    """Return when a panel changed in a room in which a message comes every 10 ms."""
    host = await world.join_audio_room("host", host=True)
    anna = await world.join_audio_room("anna")
    panel = watch(host, updates_per_second=5)
    changed: list[float] = []
    panel.observe(lambda _: changed.append(world.now), "log")
    for _ in range(round(seconds * 100)):
        await anna.send_data(b"x", topic="app")
        await world.advance(0.01)
    return panel, changed


def test_it_changes_at_most_so_often_and_ends_on_the_last_value() -> None:
    async def main() -> None:
        async with FakeWorld.on_loop() as world:
            panel, changed = await busy_room(world, 2)
            await world.advance(1)
            gaps = np.diff(changed)
            assert len(changed) in range(9, 13)
            assert gaps.min() > 0.2 - 1e-6
            assert len(panel.log) == MAX_EVENTS
            assert panel.log[-1]["at"].startswith("0:00:0")

    run_virtual(main())


def test_released_it_follows_nothing_and_keeps_what_it_showed() -> None:
    async def main() -> None:
        async with FakeWorld.on_loop() as world:
            host = await world.join_audio_room("host", host=True, seats=2)
            anna = await world.join_audio_room("anna")
            await anna.take_seat(0)
            tasks = asyncio.all_tasks()
            panel = watch(host)
            await world.settle()
            assert asyncio.all_tasks() > tasks  # it listens
            panel.close()
            panel.close()
            await world.settle()
            assert asyncio.all_tasks() == tasks
            await anna.leave_seat()
            await world.advance(1)
            assert not panel.is_live
            assert panel.shown["seats"][0]["identity"] == "anna"

    run_virtual(main())


def test_when_the_session_closes_the_panel_says_so() -> None:
    async def main() -> None:
        async with FakeWorld.on_loop() as world:
            host = await world.join_audio_room("host", host=True)
            panel = watch(host)
            await host.aclose()
            await world.settle()
            assert not panel.is_live
            assert "'lobby', over" in repr(panel)
            assert not watch(host).is_live

    run_virtual(main())


def test_a_large_room_is_counted() -> None:
    async def main() -> None:
        async with FakeWorld.on_loop() as world:
            host = await world.join_audio_room("host", host=True)
            for number in range(MAX_PEOPLE + 2):
                await world.join_audio_room(f"guest{number}")
            panel = watch(host)
            assert (len(panel.shown["people"]), panel.shown["more"]) == (MAX_PEOPLE, 2)

    run_virtual(main())


@pytest.mark.parametrize(("what", "rate"), [("no session", 10.0), (None, 0.0), (None, 21.0)])
def test_what_cannot_be_watched_is_refused(what: Any, rate: float) -> None:
    async def main() -> None:
        async with FakeWorld.on_loop() as world:
            session = what or await world.join_audio_room("host", host=True)
            with pytest.raises(UTDStreamException) as refused:
                watch(session, updates_per_second=rate)
            assert refused.value.code is UTDErrorCode.VALIDATION

    run_virtual(main())


def test_a_thumbnail_has_few_rows() -> None:
    small = thumbnail(np.zeros((1080, 1920, 3), np.uint8))
    assert small.shape == (THUMBNAIL_ROWS, 160, 3)
    assert thumbnail(small).shape == small.shape
