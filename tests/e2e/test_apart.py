"""What a run with a media process leaves out is a test that there is, and named with a reason."""

from __future__ import annotations

import importlib
import inspect

import pytest

from tests.e2e.apart import HERE
from tests.support.living import VARIABLE, none_here
from utd_rx.rtc.room import UTDRoom


@pytest.mark.parametrize("name", HERE)
def test_what_is_left_out_is_a_test(name: str) -> None:
    file, _, function = name.partition("::")
    module = importlib.import_module(f"{__package__}.{file.removesuffix('.py')}")
    assert inspect.iscoroutinefunction(getattr(module, function))


async def test_a_room_that_lives_here_fails_a_run_where_none_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, "process")
    none_here(monkeypatch)
    room = UTDRoom()
    with pytest.raises(AssertionError, match="a room lives here"):
        await room.connect("ws://127.0.0.1:9", "token")
    await room.aclose()
