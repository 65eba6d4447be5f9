"""Where there are no threads left, whoever needs one is told so, typed, and may try again."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest

import utd_rx
from tests.support.threads import without_threads
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.ports.threads import begin, in_thread

APART = ("cli", "engine", "notebook", "testing")
"""Programs, and what tests use."""


async def test_work_finds_none_and_later_one() -> None:
    with without_threads(), pytest.raises(UTDStreamException, match="ulimit -u") as caught:
        await in_thread(pow, 2, 5)
    assert caught.value.code is UTDErrorCode.NETWORK
    assert await in_thread(pow, 2, 5) == 32


async def test_what_work_raises_is_raised() -> None:
    def fail() -> None:
        raise RuntimeError("no such pen")

    with pytest.raises(RuntimeError, match="no such pen"):
        await in_thread(fail)


def test_a_thread_cannot_begin_and_later_can() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.set)
    with without_threads(), pytest.raises(UTDStreamException, match="ulimit -u") as caught:
        begin(thread)
    assert caught.value.code is UTDErrorCode.NETWORK
    begin(thread)
    thread.join()
    assert done.is_set()
    with pytest.raises(RuntimeError, match="once"):
        begin(thread)


def test_work_of_the_client_goes_this_way() -> None:
    package = Path(utd_rx.__file__).parent
    ways = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if path.relative_to(package).parts[0] not in APART
        and re.search(r"to_thread\(|run_in_executor\(", path.read_text(encoding="utf-8"))
    }
    assert ways == {"ports/threads.py"}
