"""What is plugged in is looked for elsewhere, seldom; a lost device is found, whatever it takes."""

from __future__ import annotations

import itertools
import sys
import time

import pytest

from utd_rx.audio import devices, portaudio
from utd_rx.audio.devices import (
    LISTING_PAUSE,
    LONGEST_RESTART_PAUSE,
    RESTART_PAUSE,
    AudioDevice,
    AudioDirection,
    Lookout,
)
from utd_rx.errors import UTDErrorCode, UTDStreamException

USB = AudioDevice("input:Test:usb", "usb", AudioDirection.INPUT, 1, 48_000, True)
OTHER = AudioDevice("input:Test:other", "other", AudioDirection.INPUT, 1, 48_000, False)


@pytest.fixture
def restarts(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    done: list[None] = []
    monkeypatch.setattr(portaudio, "restart", lambda: done.append(None))
    return done


def test_however_many_wait_one_look_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    now, looks = [1000.0], itertools.count(1)

    def ask() -> tuple[AudioDevice, ...]:
        return (USB,) * next(looks)

    monkeypatch.setattr(devices, "_ask", ask)
    monkeypatch.setattr(devices, "_looked_at", -1.0)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    waiting = [Lookout("usb", AudioDirection.INPUT) for _ in range(3)]
    for one in waiting:
        one.find(0.0)
    for _ in range(20):
        for _ in waiting:
            devices.look(LISTING_PAUSE)
        now[0] += LISTING_PAUSE / 4
    assert next(looks) == 1 + 20 / 4
    assert devices.look() != devices.look()  # who asks for now gets what is there now


def test_a_stream_that_was_only_killed_is_opened_at_once(
    monkeypatch: pytest.MonkeyPatch, restarts: list[None]
) -> None:
    monkeypatch.delattr(devices, "look")
    assert Lookout("usb", AudioDirection.INPUT).find(0.0) == "usb"
    assert not restarts


def test_a_device_that_is_not_there_is_waited_for_without_disturbing_anybody(
    monkeypatch: pytest.MonkeyPatch, restarts: list[None]
) -> None:
    there: list[tuple[AudioDevice, ...]] = [(OTHER,)]
    monkeypatch.setattr(devices, "look", lambda max_age: there[0])
    waiting = Lookout("usb", AudioDirection.INPUT)
    waiting.find(0.0)
    for second in range(100):
        with pytest.raises(UTDStreamException) as caught:
            waiting.find(second)
        assert caught.value.code is UTDErrorCode.NOT_FOUND
    there[0] = (OTHER, USB)
    assert waiting.find(100.0) == USB
    assert not restarts


def test_one_that_is_listed_but_does_not_open_is_another_one_to_portaudio(
    monkeypatch: pytest.MonkeyPatch, restarts: list[None]
) -> None:
    monkeypatch.setattr(devices, "look", lambda max_age: (USB,))
    waiting = Lookout("usb", AudioDirection.INPUT)
    assert (waiting.find(0.0), waiting.find(0.25), len(restarts)) == ("usb", USB, 0)
    assert (waiting.find(0.5), len(restarts)) == (USB, 1)
    # Each restart is a gap in the other streams, so they become rare.
    waiting.find(0.5 + 0.9 * RESTART_PAUSE)
    assert len(restarts) == 1
    waiting.find(0.5 + RESTART_PAUSE)
    assert len(restarts) == 2
    for quarter in range(4 * 600):
        waiting.find(3.0 + quarter / 4)
    assert len(restarts) <= 7 + 600 / LONGEST_RESTART_PAUSE


@pytest.mark.parametrize("python", ["/bin/false", "/bin/true", "/nowhere/python", "", None])
def test_where_no_other_python_starts_portaudios_own_list_is_told(
    monkeypatch: pytest.MonkeyPatch, python: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    refreshed: list[bool] = []
    monkeypatch.setattr(portaudio, "refresh", lambda: refreshed.append(True))
    monkeypatch.setattr(portaudio, "known", lambda: (USB,))
    monkeypatch.setattr(sys, "executable", python)
    assert devices.look() == (USB,)
    assert refreshed == [True]
    assert "could not look for devices" in caplog.text


def test_a_frozen_app_does_not_start_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portaudio, "refresh", lambda: True)
    monkeypatch.setattr(portaudio, "known", lambda: (USB,))
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(devices, "_LISTING", "import sys; sys.stdout.write('[[], [], []]')")
    assert devices.look() == (USB,)
