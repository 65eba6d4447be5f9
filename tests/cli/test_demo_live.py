"""The verdict of `utd-rx demo live` can say no: each promise has a history that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve

from tests.cli.test_demo_call import CLEAR
from utd_rx import TestPattern, VideoFrame, read_counter
from utd_rx.cli.demo.journal import DemoJournal, Entry
from utd_rx.cli.demo.live import (
    CAMERA,
    GUEST,
    GUEST_SAYS,
    GUEST_SHOWS,
    HOST,
    HOST_SAYS,
    HOST_SHOWS,
    LIVE,
    MAX_FIRST,
    PHONE,
    USERS,
    VIEWER,
    Airing,
    judge,
)
from utd_rx.cli.demo.picture import draw_timeline
from utd_rx.cli.demo.report import MAX_OVERHANG, MIN_FRAMES, STOP_TIME, sees, stops
from utd_rx.cli.demo.sight import FILM_EVERY, Eye, Sighting, sighting

GOOD = Sighting(frames=60, unreadable=0, disordered=0, missed=1, delay=0.05)
AIRING = Airing(
    live_at=2.0,
    taken_off_at=7.0,
    stopped_at=9.0,
    heard=dict.fromkeys((*HOST_SAYS.ends, *GUEST_SAYS.ends), CLEAR),
    seen=dict.fromkeys((*HOST_SHOWS.ends, *GUEST_SHOWS.ends), GOOD),
)

ON_AIR = "nobody is on air without the grant"
HAND = "hana sees the hand that vera raises, and it goes down"
ORDER = "vera is on the stage first, then on air"
OFF_STAGE = "vera is neither seen nor heard once she is off the stage"
OVER = "hana is not seen once the live is over"


def journal() -> DemoJournal:
    """Return the journal of a live stream in which everything went as promised."""
    streams: dict[tuple[str, str], list[Entry]] = {}
    for who in USERS:
        states = ("disconnected", "connecting", "connected")
        streams[who, "connection_state"] = [Entry(0.5 * i, v) for i, v in enumerate(states)]
        streams[who, "connection_state"].append(Entry(10, "disconnected"))
        streams[who, "stage"] = [
            *(Entry(0, []), Entry(1, [HOST]), Entry(4, [HOST, GUEST]), Entry(7, [HOST])),
        ]
        streams[who, "live_ended"] = [Entry(0, False), Entry(9, True)]
        for name in ("can_publish", "camera_enabled", "microphone_enabled", "hand_raised"):
            streams[who, name] = [Entry(0, False)]
    streams[HOST, "can_publish"] += [Entry(1, True)]
    streams[GUEST, "can_publish"] += [Entry(4, True), Entry(7, False)]
    for name in ("camera_enabled", "microphone_enabled"):
        streams[HOST, name] += [Entry(2, True), Entry(9, False)]
        streams[GUEST, name] += [Entry(5, True), Entry(7.01, False)]
    streams[GUEST, "hand_raised"] += [Entry(3, True), Entry(4, False)]
    streams[HOST, "stage_requests"] = [Entry(0, []), Entry(3, [GUEST]), Entry(4, [])]
    streams[HOST, "viewer_count"] = [Entry(0, 0), Entry(1, 2), Entry(4, 1), Entry(7, 2)]
    for viewer in (GUEST, VIEWER):
        streams[viewer, "remote_participants"] = [
            Entry(2, [f"{HOST} is seen and speaks", f"{GUEST} listens"]),
        ]
    streams[VIEWER, "remote_participants"] += [
        Entry(5, [f"{GUEST} is seen and speaks"]),
        Entry(7, [f"{GUEST} listens"]),
    ]
    story = DemoJournal(now=lambda: 10.0, began_at=0.0, streams=streams)
    for way, begin, end in ((HOST_SHOWS, 2.1, 8.9), (GUEST_SHOWS, 5.1, 7.0)):
        for name in way.ends:
            story.frames[name] = frames(begin, end)
    for way, begin, end in ((HOST_SAYS, 2.1, 5.0), (GUEST_SAYS, 5.1, 7.0)):
        for name in way.ends:
            story.levels[name] = [evolve(one, value=-20.0) for one in frames(begin, end)]
    return story


def frames(begin: float, end: float) -> list[Entry]:
    return [Entry(round(begin + 0.1 * n, 2), n) for n in range(round((end - begin) * 10) + 1)]


def broken(story: DemoJournal, airing: Airing = AIRING) -> list[str]:
    return [verdict.promise for verdict in judge(story, airing) if not verdict.is_kept]


def test_a_good_broadcast_keeps_every_promise() -> None:
    assert broken(journal()) == []


@pytest.mark.parametrize("end", [*HOST_SAYS.ends, *GUEST_SAYS.ends])
def test_who_was_not_heard_is_told(end: str) -> None:
    heard = {**AIRING.heard, end: evolve(CLEAR, is_match=False)}
    assert broken(journal(), evolve(AIRING, heard=heard)) == [end]


@pytest.mark.parametrize("end", [*HOST_SHOWS.ends, *GUEST_SHOWS.ends])
def test_who_was_not_seen_is_told(end: str) -> None:
    seen = {**AIRING.seen, end: evolve(GOOD, disordered=1)}
    assert broken(journal(), evolve(AIRING, seen=seen)) == [f"{end}, in order"]


def later(seconds: float) -> Callable[[list[Entry]], None]:
    """Let a stream's last value come later."""

    def change(entries: list[Entry]) -> None:
        entries[-1] = evolve(entries[-1], at=entries[-1].at + seconds)

    return change


def sooner(at: float) -> Callable[[list[Entry]], None]:
    """Let a stream become true before it should."""

    def change(entries: list[Entry]) -> None:
        entries[1] = evolve(entries[1], at=at)

    return change


def without(index: int) -> Callable[[list[Entry]], object]:
    """Let a stream miss one of its values."""
    return lambda entries: entries.pop(index)


def reconnected(entries: list[Entry]) -> None:
    """Let a connection be lost and found."""
    entries[3:3] = [Entry(5, "reconnecting"), Entry(6, "connected")]


@pytest.mark.parametrize(
    ("who", "stream", "change", "promises"),
    [
        (GUEST, "remote_participants", without(0), ["vera sees hana go live"]),
        (VIEWER, "remote_participants", without(0), ["theo sees hana go live"]),
        (VIEWER, "remote_participants", without(1), ["theo sees vera on air, and no more"]),
        (VIEWER, "remote_participants", without(2), ["theo sees vera on air, and no more"]),
        (HOST, "stage_requests", without(1), [HAND]),
        (HOST, "stage_requests", without(2), [HAND]),
        (GUEST, "hand_raised", without(2), ["vera sees her hand go up and down"]),
        (GUEST, "can_publish", without(2), [ORDER]),
        (HOST, "viewer_count", without(2), ["the audience is two, one, and two"]),
        (VIEWER, "stage", without(2), ["theo sees the stage, and the end of the broadcast"]),
        (VIEWER, "live_ended", without(1), ["theo sees the stage, and the end of the broadcast"]),
        (GUEST, "camera_enabled", later(MAX_OVERHANG + 0.1), [ON_AIR]),
        (GUEST, "microphone_enabled", later(MAX_OVERHANG + 0.1), [ON_AIR]),
        (GUEST, "camera_enabled", sooner(3.5), [ORDER, ON_AIR]),
        (GUEST, "connection_state", reconnected, ["vera never reconnected"]),
    ],
)
def test_a_state_that_is_not_as_promised_is_told(
    who: str, stream: str, change: Callable[[list[Entry]], object], promises: list[str]
) -> None:
    story = journal()
    change(story.streams[who, stream])
    assert broken(story) == promises


@pytest.mark.parametrize("end", GUEST_SHOWS.ends)
def test_a_picture_after_the_stage_is_told(end: str) -> None:
    story = journal()
    story.frames[end].append(Entry(7 + STOP_TIME + 0.1, 30))
    assert broken(story) == [OFF_STAGE]


@pytest.mark.parametrize("end", GUEST_SAYS.ends)
def test_a_voice_after_the_stage_is_told(end: str) -> None:
    story = journal()
    story.levels[end].append(Entry(7 + STOP_TIME + 0.1, -80.0))
    assert broken(story) == []
    story.levels[end].append(Entry(7 + STOP_TIME + 0.1, -20.0))
    assert broken(story) == [OFF_STAGE]


@pytest.mark.parametrize("end", HOST_SHOWS.ends)
def test_a_picture_after_the_end_is_told(end: str) -> None:
    story = journal()
    story.frames[end].append(Entry(9 + STOP_TIME + 0.1, 70))
    assert broken(story) == [OVER]


def test_a_picture_that_comes_late_is_told() -> None:
    late = [f"the first picture comes within {MAX_FIRST:g} s"]
    assert broken(journal(), evolve(AIRING, live_at=2.0 - MAX_FIRST)) == late
    story = journal()
    del story.frames[HOST_SHOWS.ends[1]]
    assert broken(story) == [*late, OVER]


def test_what_was_never_there_does_not_count_as_stopped() -> None:
    assert not stops("it stops", 7.0, []).is_kept
    assert not stops("it stops", 7.0, [7.0 - STOP_TIME - 0.1]).is_kept
    assert stops("it stops", 7.0, [6.9, 7.1]).is_kept


@pytest.mark.parametrize(
    ("seen", "is_kept"),
    [
        (GOOD, True),
        (evolve(GOOD, frames=MIN_FRAMES - 1), False),
        (evolve(GOOD, unreadable=GOOD.frames - MIN_FRAMES + 1), False),
        (evolve(GOOD, missed=GOOD.frames), False),
        (evolve(GOOD, disordered=1), False),
        (evolve(GOOD, delay=None), False),
    ],
)
def test_pictures_count_when_they_come_whole_and_in_order(seen: Sighting, is_kept: bool) -> None:
    assert sees("vera sees hana", seen).is_kept == is_kept


def test_what_was_seen_is_compared_with_what_was_shown() -> None:
    shown = [Entry(n, n) for n in range(10)]
    late = [Entry(n + 0.25, number) for n, number in ((2, 2), (3, 3), (4, None), (5, 5), (6, 6))]
    assert sighting(shown, late) == Sighting(5, 1, 0, missed=1, delay=0.25)
    assert sighting(shown, [*late, Entry(7, 6), Entry(8, 5), Entry(9, 9)]).disordered == 2
    assert sighting(shown, [Entry(1, None)]) == Sighting(1, 1, 0, 0, None)
    assert sighting(shown, []) == Sighting(0, 0, 0, 0, None)


def test_each_camera_tells_its_frames_and_its_user() -> None:
    colours = []
    for camera in (CAMERA, PHONE):
        assert callable(camera.frames)
        picture = camera.frames(5)
        assert isinstance(picture, np.ndarray)
        assert read_counter(picture) == 5
        colours.append(picture[-1].mean(axis=0).argmax())
    assert colours == [2, 0], "hana is blue, vera red"


def test_an_eye_keeps_numbers_a_film_and_the_best_still() -> None:
    story = DemoJournal(began_at=10.0)
    eye = Eye(story, "vera sees hana")
    small, large = TestPattern(160, 90), TestPattern(320, 180)
    for number, pattern in enumerate((small, large, large, small)):
        eye(VideoFrame(pattern.picture(number), 11.0 + 0.6 * number * FILM_EVERY))
    assert [one.value for one in story.frames["vera sees hana"]] == [0, 1, 2, 3]
    assert [one.at for one in story.film["vera sees hana"]] == [1.0, 1.0 + 1.2 * FILM_EVERY]
    still = story.stills["vera sees hana"].value
    assert (still.height, read_counter(still)) == (180, 2)


def test_the_picture_has_lanes_films_stills_and_levels(tmp_path: Path) -> None:
    story = journal()
    eye = Eye(story, HOST_SHOWS.ends[0])
    for number in range(20):
        eye(VideoFrame(TestPattern(64, 36).picture(number), 2 + number / 10))
    path = tmp_path / "timeline.png"
    draw_timeline(LIVE, story, path, title="test")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert LIVE.files == (
        *("vera-hears-hana.wav", "theo-hears-hana.wav", "hana-hears-vera.wav"),
        *("theo-hears-vera.wav", "vera-sees-hana.png", "theo-sees-hana.png"),
        *("hana-sees-vera.png", "theo-sees-vera.png"),
    )
