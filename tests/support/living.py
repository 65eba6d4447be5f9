"""Where the rooms of a run of tests live: here, or in a media process of their own."""

from __future__ import annotations

import os
from typing import Any, Final

import pytest

from utd_rx.media.house import house
from utd_rx.media.near import Near
from utd_rx.rtc.room import UTDRoom

VARIABLE: Final = "UTD_RX_MEDIA"
"""Says where rooms live in a run of tests: `process` for all of them, by default in the tests'."""


def is_apart() -> bool:
    """Whether the rooms of this run live in processes of their own."""
    return os.environ.get(VARIABLE) == "process"


async def there(shape: type) -> Any:
    """Return a `shape` of the media process of this loop, whose coroutine methods run there."""
    process = await house().succession.host()
    return process.port(Near, shape, f"{shape.__module__}:{shape.__name__}")


def pids() -> list[int]:
    """The process of this test, and that of its rooms where they have one."""
    process = house().succession.current
    return [os.getpid()] if process is None else [os.getpid(), process.pid]


def none_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where rooms are to live apart, let one that is joined here all the same fail its test."""

    async def connect(*_: object, **__: object) -> None:
        raise AssertionError(f"a room lives here though {VARIABLE}={os.environ[VARIABLE]}")

    if is_apart():
        monkeypatch.setattr(UTDRoom, "connect", connect)
