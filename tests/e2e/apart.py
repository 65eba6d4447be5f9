"""Which of these tests a run whose rooms live in a media process leaves out, and why.

All others are in `make test-process`, ordinary, long and bound to real time; that a room of theirs
lives here all the same fails them (`tests/support/living.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import pytest

HERE: Final[Mapping[str, str]] = {
    "test_walk.py::test_the_walk_of_a_seat_is_as_the_page_says": (
        "counts the calls within one process, room and session in it"
    ),
    "test_calls_at_random.py::test_two_hundred_users_call_each_other_at_random": (
        "its rooms are fakes, which are nowhere else"
    ),
    "test_gathered.py::test_a_camera_has_all_cores_and_sound_alone_has_one": (
        "says itself which room lives where, one of them here"
    ),
    "test_gathered.py::test_who_looks_at_somebody_has_all_cores_until_nobody_looks": (
        "says itself which room lives where, one of them here"
    ),
    "test_media_deaths.py::test_a_process_that_is_killed_is_replaced_and_heard_again": (
        "says itself which room lives where, one of them here"
    ),
    "test_media_deaths.py::test_however_it_ends_the_others_hear_its_successor_soon": (
        "says itself which room lives where, one of them here"
    ),
    "test_media_deaths.py::test_who_begins_to_listen_as_it_dies_hears_its_successor": (
        "says itself which room lives where, one of them here"
    ),
    "test_media_deaths.py::test_so_is_one_that_ends_otherwise_or_stands_still": (
        "says itself which room lives where, one of them here"
    ),
}
"""By file and name, with all parameters: the reason."""


def leave_out(items: Iterable[pytest.Item]) -> None:
    """Skip them, with the reason."""
    for item in items:
        if item.path.parent == Path(__file__).parent and (reason := HERE.get(name_of(item))):
            item.add_marker(pytest.mark.skip(reason=f"{name_of(item)} {reason}"))


def name_of(item: pytest.Item) -> str:
    """As in the table."""
    return f"{item.path.name}::{getattr(item, 'originalname', item.name)}"
