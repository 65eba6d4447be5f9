"""Numbers of a copy: without a gap over what is left out, and late packets find theirs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utd_rx.engine.sfu.numbering import SequenceNumbers, Timestamps, Vp8Counters
from utd_rx.engine.sfu.pictures import Vp8Numbers


@given(st.integers(0, 0xFFFF), st.permutations(range(40)), st.sets(st.integers(0, 39)))
def test_what_is_shuffled_keeps_its_order(start: int, order: list[int], left_out: set[int]) -> None:
    """Also when some are left out: their numbers are closed up, or have to be filled."""
    numbers = SequenceNumbers()
    first = order[0]
    given_to: dict[int, int] = {}
    filled: set[int] = set()
    for one in order:
        sequence = (start + one) & 0xFFFF
        if one in left_out and one != first:
            number = numbers.leave_out(sequence)
            if number is not None:
                filled.add(number)
        else:
            number = numbers.give(sequence)
            if one >= first:
                assert number is not None
            if number is not None:
                given_to[one] = number
    used = sorted([*given_to.values(), *filled])
    assert used == list(range(1000, 1000 + len(used)))
    assert [given_to[one] for one in sorted(given_to)] == sorted(given_to.values())


def test_each_number_is_given_once() -> None:
    numbers = SequenceNumbers()
    assert [numbers.give(one) for one in (10, 12, 11, 11, 12, 9)] == [
        1000, 1002, 1001, None, None, None,
    ]  # fmt: skip


def test_another_stream_goes_on_with_the_next_number() -> None:
    numbers = SequenceNumbers()
    assert [numbers.give(one) for one in (10, 13)] == [1000, 1003]
    numbers.restart()
    assert [numbers.give(one) for one in (20_000, 11)] == [1004, None]


def test_a_pause_is_closed_and_what_came_before_it_is_too_late() -> None:
    numbers = SequenceNumbers()
    assert [numbers.give(one) for one in (10, 5000, 4999)] == [1000, 1001, None]


def test_numbers_kept_are_bounded() -> None:
    numbers = SequenceNumbers()
    sequences = range(0, 3000, 3)
    assert [numbers.give(one) for one in sequences] == [1000 + one for one in sequences]
    assert numbers.give(1) is None
    assert numbers.give(2998 - 2) == 1000 + 2996


def test_time_stamps_stay_until_another_stream_begins() -> None:
    stamps = Timestamps(90_000)
    assert [stamps.give(one, 0.0) for one in (77, 90_077)] == [77, 90_077]
    stamps.restart(5, now=0.5)
    assert stamps.give(5, 0.5) == 90_077 + 45_000
    assert stamps.shift(6) == 90_077 + 45_001


def test_the_clocks_of_two_streams_say_how_much_later_the_other_begins() -> None:
    stamps = Timestamps(90_000)
    stamps.give(1_000, 0.0)
    before, after = (50.0, 1_000), (51.0, 0xFFFFFFF0)
    stamps.restart(0xFFFFFFF0 - 81_000, 0.3, before, after)  # a tenth after the last one
    assert stamps.give(0xFFFFFFF0 - 81_000, 0.3) == 1_000 + 9_000


def test_time_never_goes_back_and_a_wrong_clock_is_not_believed() -> None:
    stamps = Timestamps(90_000)
    stamps.give(1_000, 0.0)
    stamps.restart(0, 0.1, (50.0, 1_000), (49.9, 0))
    assert stamps.give(0, 0.1) == 1_001
    stamps.restart(0, 0.2, (50.0, 1_001), (99.0, 0))
    assert stamps.give(0, 0.2) == 1_001 + 9_000


def vp8(picture: int, tl0: int = 0, key: int = 0, *, is_wide: bool = True) -> Vp8Numbers:
    return Vp8Numbers(picture, is_wide, tl0, key, True, 6)


def told(counters: Vp8Counters, numbers: Vp8Numbers, *, is_late: bool = False) -> list[int | None]:
    ours = counters.give(numbers, is_late=is_late)
    return [ours.picture_id, ours.tl0_index, ours.key_index]


@pytest.mark.parametrize(("is_wide", "most"), [(True, 0x7FFF), (False, 0x7F)])
def test_vp8_counters_go_on_by_one_over_a_change(is_wide: bool, most: int) -> None:
    counters = Vp8Counters()
    assert told(counters, vp8(most, 255, 31, is_wide=is_wide)) == [most, 255, 31]
    counters.restart()
    assert told(counters, vp8(40, 9, 2, is_wide=is_wide)) == [0, 0, 0]
    assert told(counters, vp8(41, 9, 2, is_wide=is_wide)) == [1, 0, 0]
    assert told(counters, vp8(43, 10, 3, is_wide=is_wide)) == [3, 1, 1]


def test_a_vp8_picture_that_is_left_out_leaves_no_gap() -> None:
    counters = Vp8Counters()
    assert told(counters, vp8(10))[0] == 10
    counters.leave_out(vp8(11))
    counters.leave_out(vp8(11))
    assert told(counters, vp8(12))[0] == 11
    assert told(counters, vp8(10), is_late=True)[0] == 10
    assert told(counters, vp8(13))[0] == 12


def test_what_a_vp8_descriptor_lacks_it_does_not_get() -> None:
    counters = Vp8Counters()
    bare = Vp8Numbers(None, False, None, None, False, 1)
    counters.leave_out(bare)
    assert counters.give(bare, is_late=False) == bare
    counters.restart()
    assert counters.give(bare, is_late=False) == bare
