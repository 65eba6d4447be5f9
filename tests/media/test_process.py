"""A media process starts by itself, and its end is told as what it was."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.inside.programs import ROOT
from tests.media.far_port import TOKEN, Talker
from tests.media.restored import turns
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.media import pipe
from utd_rx.media import process as module
from utd_rx.media.child import MAX_LINE, PACKAGE, stamp
from utd_rx.media.near import Near
from utd_rx.media.process import MediaProcess
from utd_rx.media.succession import Succession
from utd_rx.testing.clock import FakeClock
from utd_rx.testing.contracts import PATIENCE, refusal


def talker(process: MediaProcess) -> Any:
    return process.port(Near, Talker, "tests.media.far_port:Talker")


@pytest.fixture
async def process() -> AsyncIterator[MediaProcess]:
    made = MediaProcess("")
    yield made
    await made.aclose()


async def test_it_is_a_process_of_its_own_with_this_ones_modules(
    process: MediaProcess, caplog: pytest.LogCaptureFixture
) -> None:
    there = talker(process)
    pid, session, parent = await there.pid()
    assert (pid, session, parent) == (process.pid, process.pid, os.getpid())
    assert str(process.pid) in repr(process)
    path = [str(Path(entry).absolute()) for entry in sys.path]  # noqa: ASYNC240 - it asks nothing
    assert await there.path() == path
    await there.log(f"for people: {TOKEN}")
    await there.log("x" * (MAX_LINE + 100))
    await there.garble(f"for people: {TOKEN}")
    lines = [one.getMessage() for one in caplog.records if one.name == "utd_rx.talker"]
    assert lines == ["for people: …", "x" * MAX_LINE + "…", "for people: … %d"]
    assert await there.interrupt() == "alive"
    assert process.failure is None


async def test_closed_it_is_gone_and_nobody_is_told_of_a_death(process: MediaProcess) -> None:
    there, told = talker(process), list[UTDStreamException]()
    process.on_end(told.append)
    pid, *_ = await there.pid()
    await asyncio.gather(process.aclose(), process.aclose())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert (await refusal(there.pid())).reason is ConflictReason.CLOSED
    assert (told, process.failure) == ([], None)


async def test_who_dies_is_told_with_its_last_words_after_all_calls_have_failed(
    process: MediaProcess,
) -> None:
    there, told = talker(process), list[UTDStreamException]()
    ended = asyncio.get_running_loop().create_future()
    process.on_end(told.append)()  # who stops is not told
    process.on_end(lambda failure: ended.set_result((failure, calling.done())))
    calling = asyncio.ensure_future(refusal(there.abort()))
    async with asyncio.timeout(PATIENCE):
        failure, had_failed = await ended
        refused = await calling
    assert "SIGABRT" in failure.message
    assert "panicked with …: no way" in failure.message
    assert TOKEN not in failure.message
    assert (refused.message, refused.code) == (failure.message, UTDErrorCode.NETWORK)
    assert had_failed or not told
    assert told == []
    for call in (there.pid(), talker(process).pid()):
        assert (await refusal(call)).message == failure.message


async def test_who_cannot_read_the_app_says_so_as_it_ends(
    process: MediaProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = talker(process)
    await there.pid()
    monkeypatch.setattr(pipe, "framed", lambda *_: b"\xff" * 8)
    refused = await refusal(there.pid())
    assert "exit status 1" in refused.message
    assert "a message too long" in refused.message


async def test_an_end_that_the_app_lets_nobody_know_is_said_to_be_unknown(
    process: MediaProcess,
) -> None:
    there = talker(process)
    await there.pid()
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        calling = asyncio.ensure_future(refusal(there.sleep()))
        os.kill(process.pid, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE):
            refused = await calling
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert "(exit status 0, or one that the app has taken itself)" in refused.message
    assert not process.has_left


async def test_one_that_is_told_to_end_closes_what_lives_there_and_that_is_a_death(
    process: MediaProcess,
) -> None:
    there = talker(process)
    pid, *_ = await there.pid()
    calling = asyncio.ensure_future(refusal(there.sleep()))
    os.kill(pid, signal.SIGTERM)
    async with asyncio.timeout(PATIENCE):
        failed = await calling
    assert failed.message == "the media process ended (killed by SIGTERM): closed"
    assert process.has_left


async def test_one_of_another_version_than_the_app_says_so_as_it_ends(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(PACKAGE, tmp_path / PACKAGE.name)
    monkeypatch.syspath_prepend(tmp_path)
    process = MediaProcess("")
    refused = await refusal(talker(process).pid())
    assert "(exit status 1): utd_rx was changed on disk" in refused.message
    await process.aclose()


def test_a_version_is_known_by_where_it_lies_and_what_was_written_when(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for package in (one, other):
        shutil.copytree(PACKAGE / "media", package / "media")
    stamps = [stamp(one), stamp(other)]
    with (one / "media" / "wire.py").open("a") as changed:
        changed.write("#")
    stamps.append(stamp(one))
    os.utime(one / "media" / "pipe.py", (0, 2**32))
    stamps.append(stamp(one))
    assert len(set(stamps)) == len(stamps)
    assert stamp(one) == stamps[-1]


async def test_what_goes_wrong_there_and_nobody_waits_for_is_its_end(process: MediaProcess) -> None:
    there = talker(process)
    there.fail()
    async with asyncio.timeout(PATIENCE):
        refused = await refusal(there.sleep())
    assert "(exit status 1)" in refused.message
    assert "fail() failed, and nobody waits for it (LookupError: no way)" in refused.message


async def test_where_no_descriptor_is_left_for_what_it_hands_over_that_is_why_it_ended(
    process: MediaProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = talker(process)
    await there.pid()
    monkeypatch.setattr(pipe, "_received", lambda end: (b"\0", [], False))
    refused = await refusal(there.pid())
    assert (refused.code, pipe.EXHAUSTED in refused.message) == (UTDErrorCode.NETWORK, True)


async def test_who_is_silent_is_killed_even_when_it_is_stopped(
    process: MediaProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, status = talker(process), Path(f"/proc/{process.pid}/stat")
    stopping = asyncio.ensure_future(refusal(there.stop()))
    async with asyncio.timeout(PATIENCE):
        while status.read_text().split()[2] != "T":  # noqa: ASYNC110, ASYNC240 - nobody tells
            await asyncio.sleep(0)
        monkeypatch.setattr(module, "LOOK", 0.02)
        monkeypatch.setattr(module, "SILENCE", 0.1)
        assert "silent" in (await stopping).message
    assert process.failure is not None


class Ending(Near):
    """What stands for a talker of which some calls are to end something."""

    ends = frozenset({"stop", "sleep"})


async def test_one_that_stands_still_while_something_is_ended_in_it_is_given_up_sooner(
    process: MediaProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    there: Any = process.port(Ending, Talker, "tests.media.far_port:Talker")
    await there.pid()
    for name, seconds in (("LOOK", 0.02), ("HURRY", 0.1), ("SILENCE", 1e3), ("BUSY", 1e3)):
        monkeypatch.setattr(module, name, seconds)
    async with asyncio.timeout(PATIENCE):
        assert "silent" in (await refusal(there.stop())).message


@pytest.mark.realtime
async def test_one_that_takes_its_time_to_end_something_is_not(
    process: MediaProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    there: Any = process.port(Ending, Talker, "tests.media.far_port:Talker")
    await there.pid()
    for name, seconds in (("LOOK", 0.1), ("HURRY", 0.4)):  # less than from one beat to the next
        monkeypatch.setattr(module, name, seconds)
    ending = asyncio.ensure_future(there.sleep())
    await asyncio.wait({ending}, timeout=1.5)
    assert process.failure is None
    ending.cancel()
    await asyncio.wait({ending})


@pytest.mark.parametrize("is_closed", [False, True], ids=["silent", "closed"])
async def test_one_that_has_more_rights_than_the_app_now_and_is_not_to_be_killed_is_given_up(
    process: MediaProcess, monkeypatch: pytest.MonkeyPatch, is_closed: bool
) -> None:
    there = talker(process)
    await there.pid()
    with monkeypatch.context() as here:
        here.setattr(subprocess.Popen, "send_signal", forbid)
        for name, seconds in (("LOOK", 0.02), ("SILENCE", 0.1), ("ENDING", 0.1)):
            here.setattr(module, name, seconds)
        stopping = asyncio.ensure_future(refusal(there.stop()))
        async with asyncio.timeout(PATIENCE):
            if is_closed:
                await process.aclose()
            refused = await stopping
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 - it is dead
    process.kill()  # which takes its exit status: nobody else does, as it had been given up
    assert ("silent" in refused.message) != is_closed


async def test_whose_loop_is_at_work_for_ever_is_given_up(
    process: MediaProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = talker(process)
    await there.pid()
    for name, seconds in (("LOOK", 0.02), ("BUSY", 0.5)):
        monkeypatch.setattr(module, name, seconds)
    async with asyncio.timeout(PATIENCE):
        assert "silent" in (await refusal(there.spin(1_000))).message


@pytest.mark.realtime
async def test_whose_loop_is_at_work_is_not_given_up(
    process: MediaProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = talker(process)
    await there.pid()
    spinning = asyncio.ensure_future(there.spin(1.5))
    monkeypatch.setattr(module, "LOOK", 0.1)
    monkeypatch.setattr(module, "SILENCE", 0.5)
    assert await spinning == "done"
    assert process.failure is None


def test_it_serves_one_loop_after_the_other() -> None:
    process = MediaProcess("")
    there = talker(process)
    for _ in range(2):
        assert asyncio.run(there.pid())[0] == process.pid
    asyncio.run(process.aclose())


async def test_its_log_is_as_talkative_as_the_apps(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG", "utd_rx"):
        process = MediaProcess("")
        assert await talker(process).level() == logging.DEBUG
        await process.aclose()


CLOSED = """
import asyncio, os, sys
from tests.media.test_process import talker
from utd_rx.media.process import MediaProcess

def is_free(stream):
    try:
        os.fstat(stream)
    except OSError:
        return True
    return False

async def use(process):
    pid, *_ = await talker(process).pid()
    await process.aclose()
    return pid == process.pid

answer = open(os.dup2(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT), 100), "w")
os.closerange(0, 3)
process = MediaProcess("")
print(*map(is_free, range(3)), file=answer)
print(asyncio.run(use(process)), file=answer)
"""


def test_an_app_without_standard_streams_has_one_and_none_of_its_own_in_their_place(
    tmp_path: Path,
) -> None:
    answer = tmp_path / "answer"
    subprocess.run([sys.executable, "-c", CLOSED, answer], cwd=ROOT, timeout=PATIENCE, check=False)
    assert answer.read_text() == "True True True\nTrue\n"


def descriptors() -> set[str]:
    """What this process has open, but for the folder that says so."""
    return {one.name for one in Path("/proc/self/fd").iterdir() if one.exists()}


def forbid(*_: object) -> None:
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


def refuse(*_: object, **__: object) -> None:
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


@pytest.mark.parametrize(
    ("where", "what", "value", "why"),
    [
        (sys, "executable", "/nowhere/python", "No such file or directory"),
        (sys, "path", ["no\0path"], "ValueError"),
        (subprocess, "Popen", refuse, "Resource temporarily unavailable"),
        (os, "memfd_create", refuse, "Resource temporarily unavailable"),
        (socket, "socketpair", refuse, "Resource temporarily unavailable"),
    ],
)
def test_where_none_can_be_started_that_is_said_and_nothing_stays_open(
    where: Any, what: str, value: object, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = descriptors()
    with monkeypatch.context() as here:
        here.setattr(where, what, value)
        with pytest.raises(UTDStreamException) as raised:
            MediaProcess()
    assert raised.value.code is UTDErrorCode.FEATURE_DISABLED
    assert f'({why}): pass media="inline"' in raised.value.message
    assert descriptors() == before


async def test_whether_anybody_had_an_answer_is_known(process: MediaProcess) -> None:
    there = talker(process)
    await refusal(there.abort())
    assert not process.has_served
    other = MediaProcess("")
    await talker(other).pid()
    assert other.has_served
    await other.aclose()


class Wanting:
    """An `Heir` that wants to be there again, for ever."""

    rank = 0
    is_wanted = True

    def __init__(self) -> None:
        self.there: Any = None
        self.was_given_up: UTDStreamException | None = None

    def attach(self, host: MediaProcess) -> None:
        self.there = talker(host)

    def lost(self, failure: UTDStreamException) -> None:
        """It died."""

    async def restore(self) -> None:
        """There is nothing."""

    def given_up(self, failure: UTDStreamException) -> None:
        self.was_given_up = failure


@pytest.mark.parametrize(
    ("where", "what"),
    [(subprocess, "Popen"), (os, "memfd_create"), (socket, "socketpair")],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_where_no_other_can_be_started_calls_fail_nothing_stays_open_and_later_one_is(
    where: Any, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, clock, heir = descriptors(), FakeClock(), Wanting()
    succession = Succession(lambda: MediaProcess(""), clock)
    succession.join(heir)
    first = await succession.host()
    await heir.there.pid()
    with monkeypatch.context() as here:
        here.setattr(where, what, refuse)
        assert (await refusal(heir.there.abort())).code is UTDErrorCode.NETWORK
        assert first.failure is not None
        waiting = asyncio.create_task(refusal(succession.host()))
        await turns()
        assert heir.was_given_up is None
        clock.advance(0.5)
        failed = await waiting
        assert failed.code is UTDErrorCode.FEATURE_DISABLED
        assert "Resource temporarily unavailable" in failed.message
        await turns()
        assert heir.was_given_up is not None
        assert descriptors() == before
    clock.advance(60)
    await succession.host()
    await heir.there.pid()
    await succession.aclose()
    assert descriptors() == before
