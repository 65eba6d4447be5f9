"""What tests of time need."""

from __future__ import annotations

import pytest


@pytest.fixture
def no_timers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail whatever starts a timer thread, where it does so."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a timer thread")

    monkeypatch.setattr("reactivex.scheduler.timeoutscheduler.Timer", refuse)
