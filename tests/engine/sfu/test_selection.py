"""Which packets pass: layers are entered where they can be, and left at any picture."""

from __future__ import annotations

import pytest

from utd_rx.engine.sfu.pictures import Picture
from utd_rx.engine.sfu.selection import LayerSelector, Passage

KEY = Picture(is_key=True, begins=True, is_independent=True)
DELTA = Picture(begins=True)
REST = Picture()


def simulcast(target: int | None) -> LayerSelector:
    return LayerSelector(True, target)


def passes(selector: LayerSelector, layer: int, picture: Picture, timestamp: int = 0) -> bool:
    passage = selector.take(layer, picture, timestamp, is_late=False)
    return passage is not Passage.DROP


def test_nothing_passes_before_a_key_frame() -> None:
    selector = simulcast(0)
    assert not passes(selector, 0, DELTA)
    assert selector.needs_key(0)
    assert passes(selector, 0, KEY)
    assert passes(selector, 0, REST)
    assert passes(selector, 0, DELTA, 1)
    assert not selector.needs_key(0)


def test_a_lower_stream_is_shown_until_the_wanted_one_starts() -> None:
    selector = simulcast(2)
    assert passes(selector, 1, KEY)
    assert selector.needs_key(2)
    assert not passes(selector, 0, KEY)
    assert not passes(selector, 2, DELTA)
    assert passes(selector, 2, KEY)
    assert not passes(selector, 1, DELTA)


def test_a_stream_above_the_wanted_one_is_never_shown() -> None:
    selector = simulcast(1)
    assert not passes(selector, 2, KEY)


def test_a_stream_goes_on_until_the_lower_one_starts() -> None:
    selector = simulcast(2)
    passes(selector, 2, KEY)
    selector.target = 0
    assert passes(selector, 2, DELTA, 1)
    assert not passes(selector, 0, DELTA, 1)
    assert passes(selector, 1, KEY, 2)  # on the way
    assert passes(selector, 0, KEY, 2)
    assert not passes(selector, 1, DELTA, 3)
    assert not selector.needs_key(0)


def test_who_pauses_waits_for_a_key_frame() -> None:
    selector = simulcast(0)
    passes(selector, 0, KEY)
    selector.pause()
    assert not selector.needs_key(0)
    assert not passes(selector, 0, KEY, 1)
    selector.target = 0
    assert not passes(selector, 0, DELTA, 2)
    assert passes(selector, 0, KEY, 3)


def test_a_late_key_frame_starts_nothing() -> None:
    """What followed it was left out and would be missing."""
    selector = simulcast(1)
    passes(selector, 0, KEY)
    assert selector.take(1, KEY, 1, is_late=True) is Passage.DROP
    assert selector.current == 0


def picture(spatial: int, *, is_key: bool = False, temporal: int = 0) -> Picture:
    """A frame of a scalable stream in one packet."""
    return Picture(is_key and not spatial, True, True, is_key, spatial, temporal)


def show(selector: LayerSelector, timestamp: int, *, is_key: bool = False, layers: int = 3) -> str:
    """Which layers of a picture pass: a letter for each, a capital for the last of them."""
    shown = ""
    for spatial in range(layers):
        passage = selector.take(spatial, picture(spatial, is_key=is_key), timestamp, is_late=False)
        if passage is not Passage.DROP:
            letter = "abc"[spatial]
            shown += letter.upper() if passage is Passage.PASS_LAST else letter
    return shown


@pytest.mark.parametrize(("target", "shown"), [(0, "A"), (1, "aB"), (2, "abC")])
def test_all_layers_up_to_the_target_pass_from_a_key_picture_on(target: int, shown: str) -> None:
    selector = LayerSelector(False, target)
    assert show(selector, 0) == ""
    assert selector.needs_key(target)
    assert show(selector, 1, is_key=True) == shown
    assert show(selector, 2) == shown
    assert not selector.needs_key(target)


def test_a_layer_is_left_at_the_next_picture_and_entered_at_a_key_picture() -> None:
    selector = LayerSelector(False, 2)
    show(selector, 0, is_key=True)
    selector.take(0, picture(0), 1, is_late=False)
    selector.target = 0
    assert selector.take(1, picture(1), 1, is_late=False) is Passage.PASS  # the picture is whole
    assert show(selector, 2) == "A"
    assert not selector.needs_key(0)
    selector.target = 1
    assert selector.needs_key(1)
    assert show(selector, 3) == "A"
    assert show(selector, 4, is_key=True) == "aB"


def test_a_stream_with_fewer_layers_than_wanted_ends_its_pictures_itself() -> None:
    selector = LayerSelector(False, 2)
    assert show(selector, 0, is_key=True, layers=2) == "ab"  # the marker is on the second
    assert not selector.needs_key(1)  # the best there is


def test_late_packets_of_layers_that_are_shown_pass() -> None:
    selector = LayerSelector(False, 1)
    show(selector, 0, is_key=True)
    assert selector.take(1, picture(1), 0, is_late=True) is not Passage.DROP
    assert selector.take(2, picture(2), 0, is_late=True) is Passage.DROP


def temporal(selector: LayerSelector, timestamp: int, one: Picture) -> bool:
    return passes(selector, 0, one, timestamp)


def test_temporal_layers_are_left_at_once_and_entered_where_it_can_be() -> None:
    selector = LayerSelector(False, 0)
    temporal(selector, 0, KEY)
    high, open_high = (Picture(begins=True, temporal=2, needs=one) for one in (1, 0))
    low = Picture(begins=True, temporal=1, needs=0)
    assert temporal(selector, 1, high)
    selector.temporal_target = 0
    assert not temporal(selector, 2, low)
    assert not temporal(selector, 3, high)
    assert temporal(selector, 4, DELTA)
    selector.temporal_target = 2
    assert not temporal(selector, 5, high)  # depends on what was left out
    assert temporal(selector, 6, low)
    assert temporal(selector, 7, high)
    selector.temporal_target = 1
    assert not temporal(selector, 8, open_high)


def test_a_switching_point_opens_all_temporal_layers() -> None:
    selector = LayerSelector(False, 0)
    temporal(selector, 0, KEY)
    selector.temporal_target = 0
    temporal(selector, 1, DELTA)
    selector.temporal_target = 2
    high = Picture(begins=True, temporal=2, is_switch=True)
    assert not temporal(selector, 2, high)
    assert temporal(selector, 3, Picture(begins=True, is_switch=True))
    assert temporal(selector, 4, high)


def test_other_streams_say_nothing_about_temporal_layers() -> None:
    selector = simulcast(0)
    passes(selector, 0, KEY)
    selector.temporal_target = 0
    passes(selector, 0, DELTA, 1)
    selector.temporal_target = 1
    passes(selector, 1, Picture(begins=True, temporal=1, needs=0), 2)
    assert not passes(selector, 0, Picture(begins=True, temporal=1), 3)
