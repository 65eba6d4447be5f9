"""The process's switch interval is short while a device is open, and given back afterwards."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from utd_rx.audio import switching


@pytest.fixture(autouse=True)
def interval() -> Iterator[float]:
    before = sys.getswitchinterval()
    yield before
    sys.setswitchinterval(before)


def test_it_is_short_until_the_last_device_closes(interval: float) -> None:
    switching.hold()
    switching.hold()
    assert sys.getswitchinterval() == pytest.approx(switching.INTERVAL)
    switching.release()
    assert sys.getswitchinterval() == pytest.approx(switching.INTERVAL)
    switching.release()
    assert sys.getswitchinterval() == pytest.approx(interval)


@pytest.mark.parametrize("wanted", [0.0001, 0.02])
def test_what_an_app_has_set_is_left_alone(wanted: float) -> None:
    sys.setswitchinterval(min(wanted, 0.001))
    switching.hold()
    assert sys.getswitchinterval() <= switching.INTERVAL + 1e-6
    sys.setswitchinterval(wanted)
    switching.release()
    expected = wanted if wanted > switching.INTERVAL else 0.0001
    assert sys.getswitchinterval() == pytest.approx(expected, abs=1e-5)
