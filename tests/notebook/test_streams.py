"""`timeline` and `marble`: what streams did is in the picture, at its time, and as text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from reactivex import operators as ops

from utd_rx import StateSubject, Store, UTDErrorCode, UTDStreamException, record, replay
from utd_rx.notebook import StreamPicture, marble, timeline
from utd_rx.notebook.drawing import StreamLane, bars, circles, ticks
from utd_rx.notebook.streams import MAX_VALUES
from utd_rx.testing import FakeWorld, run_virtual
from utd_rx.testing.marbles import Mark

SVG = "{http://www.w3.org/2000/svg}"


def numbers() -> Store[int, int]:
    return Store(0, lambda _, item: item)


def is_even(number: int) -> bool:
    return number % 2 == 0


def inverse(number: int) -> float:
    return 1 / number


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def words(svg: str) -> list[str]:
    return [text.text or "" for text in parsed(svg).iter(f"{SVG}text")]


def told(picture: StreamPicture, name: str) -> list[tuple[float, Any]]:
    lane: StreamLane = next(one for one in picture.lanes if one.name == name)
    return [(round(mark.at, 3), mark.value) for mark in lane.marks]


def test_the_timeline_of_a_session_goes_on_while_the_session_does() -> None:
    async def main() -> None:
        async with FakeWorld.on_loop() as world:
            host = await world.join_audio_room("host", host=True, seats=2)
            picture = timeline(host)
            assert list(picture.lanes) == []  # nothing has changed yet
            await world.advance(2)
            await host.take_seat(0)
            await world.advance(3)
            assert told(picture, "can_publish") == [(0, False), (2, True)]
            assert picture.elapsed == 5
            await host.aclose()
            await world.advance(1)
            assert {lane.ended_at for lane in picture.lanes} == {5}
            assert "seats" in words(picture.svg())

    run_virtual(main())


def test_the_timeline_of_a_recording_is_the_whole_of_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with FakeWorld.on_loop() as world:
            anna = await world.join_audio_room("anna")
            async with record(anna, tmp_path / "room.jsonl") as recording:
                await world.advance(1)
                await anna.leave()
                await world.advance(1)
            again = replay(tmp_path / "room.jsonl")
            for what in (recording, tmp_path / "room.jsonl", again):
                picture = timeline(what, "connected")
                assert told(picture, "connected") == [(0, True), (1, False)]
            assert again.position == 0  # it stays where it is

    run_virtual(main())


def test_what_has_no_timeline_is_refused() -> None:
    async def main() -> None:
        async with FakeWorld.on_loop() as world:
            anna = await world.join_audio_room("anna")
            refused: list[tuple[Any, ...]] = [(anna, "stage"), (anna.seats,)]
            for arguments in refused:
                with pytest.raises(UTDStreamException) as raised:
                    timeline(*arguments)
                assert raised.value.code is UTDErrorCode.VALIDATION

    run_virtual(main())


def test_a_marble_diagram_shows_what_operators_do() -> None:
    async def main() -> None:
        async with FakeWorld.on_loop() as world:
            store = numbers()
            number: StateSubject[int] = store.select(lambda n: n, name="number")
            picture = marble(number, even=number.pipe(ops.filter(is_even)))
            for item in (1, 2):
                await world.advance(1)
                store.dispatch(item)
            store.close()
            assert told(picture, "number") == [(0, 0), (1, 1), (2, 2)]
            assert told(picture, "even") == [(0, 0), (2, 2)]
            assert [lane.ended_at for lane in picture.lanes] == [2, 2]
            assert len(list(parsed(picture.svg()).iter(f"{SVG}circle"))) == 5

    run_virtual(main())


def test_what_failed_says_why() -> None:
    async def main() -> None:
        async with FakeWorld.on_loop():
            number = numbers().select(lambda n: n)
            picture = marble(inverse=number.pipe(ops.map(inverse)))
            assert isinstance(picture.lanes[0].failure, ZeroDivisionError)
            assert "ZeroDivisionError: division by zero" in words(picture.svg())

    run_virtual(main())


def test_a_picture_keeps_the_last_values_and_none_after_it_is_closed() -> None:
    async def main() -> None:
        async with FakeWorld.on_loop():
            store = numbers()
            picture = marble(number=store.select(lambda n: n))
            for item in range(1, MAX_VALUES + 10):
                store.dispatch(item)
            picture.close()
            store.dispatch(0)
            values = [value for _, value in told(picture, "number")]
            assert values == list(range(10, MAX_VALUES + 10))

    run_virtual(main())


def test_outside_a_world_and_a_loop_there_is_no_time() -> None:
    store = numbers()
    with pytest.raises(UTDStreamException, match="no event loop runs"):
        marble(store.select(lambda n: n))


HOSTILE = StreamLane('<script>"&', (Mark(0.0, "<b>\x00\u202e"), Mark(1.0, "]]>")), 2.0)


@pytest.mark.parametrize("draw", [bars, circles])
def test_what_others_wrote_is_text(draw: Any) -> None:
    svg = draw([HOSTILE], 2.0)
    assert '<script>"&' in words(svg)
    assert not re.search("<b>|<script>|\x00|\u202e", svg)


@pytest.mark.parametrize("draw", [bars, circles])
def test_nothing_at_all_can_be_drawn(draw: Any) -> None:
    assert parsed(draw([], 0.0)).tag == f"{SVG}svg"


def test_long_values_have_a_letter_and_marbles_of_one_moment_stand_side_by_side() -> None:
    lane = StreamLane(
        "names", (Mark(1.0, "alexandra"), Mark(1.0, "benjamin"), Mark(2.0, "alexandra"))
    )
    svg = circles([lane], 3.0)
    assert [word for word in words(svg) if len(word) == 1] == ["a", "b", "a"]
    assert "names a: 'alexandra'   b: 'benjamin'" in words(svg)
    places = [float(one.get("cx", "")) for one in parsed(svg).iter(f"{SVG}circle")]
    assert places[1] - places[0] >= 20


@pytest.mark.parametrize(
    ("end", "expected"),
    [(0.0, [0.0]), (2.0, [0, 0.5, 1, 1.5, 2]), (60.0, [0, 10, 20, 30, 40, 50, 60])],
)
def test_ticks_are_round(end: float, expected: list[float]) -> None:
    assert ticks(end) == pytest.approx(expected)


def test_a_picture_is_saved_as_svg_and_as_nothing_else(tmp_path: Path) -> None:
    async def main() -> None:
        async with FakeWorld.on_loop():
            picture = marble(number=numbers().select(lambda n: n))
            picture.save(tmp_path / "number.svg")
            assert (tmp_path / "number.svg").read_text(encoding="utf-8") == picture.svg()
            with pytest.raises(UTDStreamException):
                picture.save(tmp_path / "number.png")

    run_virtual(main())
