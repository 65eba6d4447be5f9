"""One device after another: swapped, lost, brought back, and never left open."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable

import pytest
from attrs import frozen

from utd_rx.devices import supervisor
from utd_rx.devices.supervisor import OpenDevice, Supervisor
from utd_rx.errors import UTDErrorCode, UTDStreamException


@frozen
class Named:
    name: str


class FakeLookout:
    """Everything is where it was."""

    def __init__(self, choice: str) -> None:
        self._choice = choice

    def find(self, now: float) -> str:
        return self._choice


class FakeConnection:
    def __init__(self, name: str) -> None:
        self.device = Named(name)
        self.is_active = True
        self.is_displaced = False
        self.is_closed = False
        self.closed_on = ""
        self.stands_still = False
        self.looks = 0
        self._beats = 0

    @property
    def beats(self) -> int:
        self.looks += 1
        self._beats += not self.stands_still
        return self._beats

    def close(self) -> None:
        self.is_closed = True
        self.closed_on = threading.current_thread().name


class FakeSide:
    silence = grace = 0.2
    blame = "whatever else"
    at_once = 0.0

    def __init__(self) -> None:
        self.wake: Callable[[], None] = lambda: None
        self.worked_on = queue.SimpleQueue[str]()
        self.working = threading.Event()
        self.working.set()
        self.made: list[FakeConnection] = []
        self.adopted: list[OpenDevice | None] = []
        self.refusal: Exception | None = None
        self.unadopted: Exception | None = None
        self.broken = 0
        self.gate = threading.Event()
        self.gate.set()
        self.connecting = threading.Event()
        self.worked = threading.Event()

    def look_out(self, choice: str) -> FakeLookout:
        return FakeLookout(choice)

    def connect(self, choice: str, wake: Callable[[], None]) -> FakeConnection:
        self.connecting.set()
        self.gate.wait(30)
        if self.refusal is not None:
            raise self.refusal
        self.made.append(FakeConnection(choice))
        self.wake = wake
        wake()
        return self.made[-1]

    def adopt(self, connection: OpenDevice | None) -> None:
        if connection is not None and self.unadopted is not None:
            raise self.unadopted
        self.adopted.append(connection)

    def work(self) -> None:
        self.worked_on.put(threading.current_thread().name)
        self.working.wait(10)
        self.worked.set()
        if self.broken:
            self.broken -= 1
            raise LookupError("an app's sink")


class EagerSide(FakeSide):
    at_once = 10.0

    def deliver(self) -> str:
        """Let the device deliver; return on which thread somebody worked."""
        callback = threading.Thread(target=self.wake, name="callback")
        callback.start()
        worked_on = self.worked_on.get(timeout=10)
        callback.join()
        return worked_on


class Stage:
    def __init__(self, side: type[FakeSide] = FakeSide, *, is_awaited: bool = False) -> None:
        self.side = side()
        self.reports: asyncio.Queue[tuple[str | None, UTDErrorCode | None]] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def report(device: Named | None, failure: UTDStreamException | None) -> None:
            told = (device.name if device else None, failure.code if failure else None)
            loop.call_soon_threadsafe(self.reports.put_nowait, told)

        self.supervisor = Supervisor(
            self.side, "first", report, "test supervisor", is_awaited=is_awaited
        )

    async def told(self) -> tuple[str | None, UTDErrorCode | None]:
        return await asyncio.wait_for(self.reports.get(), 10)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> type[Stage]:
    monkeypatch.setattr(supervisor, "RETRY", 0.0)
    return Stage


class EagerStage(Stage):
    side: EagerSide

    def __init__(self) -> None:
        super().__init__(EagerSide)


NOT_FOUND = UTDStreamException("gone", code=UTDErrorCode.NOT_FOUND)


async def test_a_lost_device_is_told_and_brought_back(stage: type[Stage]) -> None:
    here = stage()
    await here.supervisor.start()
    assert await here.told() == ("first", None)
    here.side.refusal = NOT_FOUND
    here.side.made[0].is_active = False
    assert await here.told() == (None, UTDErrorCode.NOT_FOUND)
    assert here.side.made[0].is_closed
    here.side.refusal = None
    device, failure = await here.told()
    assert device is not None
    assert (failure, here.supervisor.lost) == (None, 1)
    await here.supervisor.aclose()
    assert all(connection.is_closed for connection in here.side.made)
    assert here.side.adopted[-1] is None


async def test_a_device_that_is_awaited_is_told_as_away_and_comes(stage: type[Stage]) -> None:
    here = stage(is_awaited=True)
    here.side.refusal = NOT_FOUND
    await here.supervisor.start()
    assert await here.told() == (None, UTDErrorCode.NOT_FOUND)
    here.side.refusal = None
    assert await here.told() == ("first", None)
    assert here.supervisor.lost == 0
    await here.supervisor.aclose()
    assert all(connection.is_closed for connection in here.side.made)


async def test_a_displaced_device_is_opened_anew_and_is_no_loss(stage: type[Stage]) -> None:
    here = stage()
    await here.supervisor.start()
    assert await here.told() == ("first", None)
    here.side.made[0].is_displaced = True
    here.side.made[0].is_active = False
    assert await here.told() == ("first", None)
    assert [connection.is_closed for connection in here.side.made] == [True, False]
    assert here.supervisor.lost == 0
    here.side.refusal = NOT_FOUND
    here.side.made[1].is_displaced = True
    here.side.made[1].is_active = False
    assert await here.told() == (None, UTDErrorCode.NOT_FOUND)
    assert here.supervisor.lost == 1
    await here.supervisor.aclose()


async def test_a_swap_closes_the_old_one_and_a_refused_swap_keeps_it(stage: type[Stage]) -> None:
    here = stage()
    await here.supervisor.start()
    await here.supervisor.use("second")
    assert [await here.told(), await here.told()] == [("first", None), ("second", None)]
    assert [connection.is_closed for connection in here.side.made] == [True, False]
    here.side.refusal = NOT_FOUND
    with pytest.raises(UTDStreamException):
        await here.supervisor.use("third")
    assert not here.side.made[1].is_closed
    await here.supervisor.aclose()
    with pytest.raises(UTDStreamException) as caught:
        await here.supervisor.use("fourth")
    assert caught.value.code is UTDErrorCode.CONFLICT


async def test_a_swap_disturbs_nothing_until_the_new_one_runs(stage: type[Stage]) -> None:
    here = stage()
    await here.supervisor.start()
    here.side.gate.clear()
    here.side.connecting.clear()
    swapping = [asyncio.create_task(here.supervisor.use(name)) for name in ("second", "third")]
    await asyncio.to_thread(here.side.connecting.wait, 10)
    here.side.worked.clear()
    here.supervisor.wake()
    assert await asyncio.to_thread(here.side.worked.wait, 10)  # for the first, all the while
    assert not any(swap.done() for swap in swapping)
    here.side.gate.set()
    await asyncio.gather(*swapping)
    assert [made.device.name for made in here.side.made] == ["first", "second", "third"]
    assert [made.is_closed for made in here.side.made] == [True, True, False]
    assert "test supervisor" not in {made.closed_on for made in here.side.made}
    await here.supervisor.aclose()


NO_SOXR = UTDStreamException("needs soxr", code=UTDErrorCode.FEATURE_DISABLED)


async def test_what_cannot_be_worked_with_is_closed_and_told(stage: type[Stage]) -> None:
    here = stage()
    here.side.unadopted = NO_SOXR
    with pytest.raises(UTDStreamException, match="soxr"):
        await here.supervisor.start()
    assert here.side.made[0].is_closed
    with pytest.raises(UTDStreamException):
        await here.supervisor.use("second")
    await here.supervisor.aclose()


async def test_what_cannot_be_swapped_to_leaves_the_old_one(stage: type[Stage]) -> None:
    here = stage()
    await here.supervisor.start()
    here.side.unadopted = NO_SOXR
    with pytest.raises(UTDStreamException, match="soxr"):
        await asyncio.wait_for(here.supervisor.use("second"), 10)
    assert [connection.is_closed for connection in here.side.made] == [False, True]
    here.side.worked.clear()
    here.supervisor.wake()
    assert await asyncio.to_thread(here.side.worked.wait, 10)
    here.side.unadopted = None
    await here.supervisor.use("third")
    await here.supervisor.aclose()
    assert all(connection.is_closed for connection in here.side.made)


async def test_closing_while_it_opens_is_no_success(stage: type[Stage]) -> None:
    here = stage()
    here.side.gate.clear()
    starting = asyncio.create_task(here.supervisor.start())
    await asyncio.sleep(0)
    closing = asyncio.create_task(here.supervisor.aclose())
    await asyncio.sleep(0)
    here.side.gate.set()
    await asyncio.wait_for(closing, 10)
    with pytest.raises(UTDStreamException) as caught:
        await starting
    assert caught.value.code is UTDErrorCode.CONFLICT
    assert here.side.made[0].is_closed


async def test_closing_while_it_swaps_closes_both(stage: type[Stage]) -> None:
    here = stage()
    await here.supervisor.start()
    here.side.gate.clear()
    swapping = asyncio.create_task(here.supervisor.use("second"))
    await asyncio.sleep(0)
    closing = asyncio.create_task(here.supervisor.aclose())
    await asyncio.sleep(0)
    here.side.gate.set()
    await asyncio.wait_for(closing, 10)
    with pytest.raises(UTDStreamException) as caught:
        await swapping
    assert caught.value.code is UTDErrorCode.CONFLICT
    assert [connection.is_closed for connection in here.side.made] == [True, True]


async def test_cancelling_the_start_leaves_nothing_open(stage: type[Stage]) -> None:
    here = stage()
    here.side.gate.clear()
    starting = asyncio.create_task(here.supervisor.start())
    await asyncio.sleep(0)
    starting.cancel()
    await asyncio.wait({starting})
    assert starting.cancelled()
    here.side.gate.set()
    assert await here.told() == ("first", None)
    async with asyncio.timeout(10):
        while not here.side.made[0].is_closed:  # noqa: ASYNC110 - nothing says so
            await asyncio.sleep(0.01)
    assert here.side.made[0].closed_on == "test supervisor"  # and not on the loop's
    await here.supervisor.aclose()


@pytest.mark.parametrize("ends", ["cancelled", "refused", "closed"])
async def test_a_swap_asked_for_before_it_is_open_gets_its_answer(
    stage: type[Stage], ends: str
) -> None:
    here = stage()
    here.side.gate.clear()
    starting = asyncio.create_task(here.supervisor.start())
    await asyncio.sleep(0)
    swapping = asyncio.create_task(here.supervisor.use("second"))
    await asyncio.sleep(0)
    closing = None
    if ends == "cancelled":
        starting.cancel()
    elif ends == "refused":
        here.side.refusal = NOT_FOUND
    else:
        closing = asyncio.create_task(here.supervisor.aclose())
        await asyncio.sleep(0)
    if ends != "cancelled":
        here.side.gate.set()
    with pytest.raises(UTDStreamException) as caught:
        await asyncio.wait_for(swapping, 10)
    assert caught.value.code is UTDErrorCode.CONFLICT
    here.side.gate.set()
    await asyncio.gather(starting, *([closing] if closing else []), return_exceptions=True)
    await here.supervisor.aclose()
    async with asyncio.timeout(10):
        while not all(made.is_closed for made in here.side.made):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_driver_that_raises_at_a_swap_is_an_answer(stage: type[Stage]) -> None:
    here = stage()
    await here.supervisor.start()
    here.side.refusal = LookupError("a driver's whim")
    with pytest.raises(UTDStreamException, match="whim"):
        await asyncio.wait_for(here.supervisor.use("second"), 10)
    here.side.refusal = None
    await here.supervisor.use("third")
    assert [connection.is_closed for connection in here.side.made] == [True, False]
    await here.supervisor.aclose()


async def test_what_a_sink_raises_does_not_stop_the_device(
    stage: type[Stage], caplog: pytest.LogCaptureFixture
) -> None:
    here = stage()
    here.side.broken = 1
    await here.supervisor.start()
    await asyncio.to_thread(here.side.worked.wait, 10)
    here.side.worked.clear()
    here.supervisor.wake()
    assert await asyncio.to_thread(here.side.worked.wait, 10)
    await here.supervisor.aclose()
    assert "a turn failed" in caplog.text


async def test_a_thread_that_fails_at_every_turn_is_one_failure_and_one_line_of_log(
    stage: type[Stage], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A format of 48000.0 Hz gave no frame, no failure, and 2,000 lines of log."""
    monkeypatch.setattr(supervisor, "WELL", 0.05)
    here = stage()
    here.side.broken = 10_000
    await here.supervisor.start()
    assert await here.told() == ("first", None)
    for _ in range(50):
        here.side.worked.clear()
        here.supervisor.wake()
        assert await asyncio.to_thread(here.side.worked.wait, 10)
    assert await here.told() == (None, UTDErrorCode.UNKNOWN)
    assert here.reports.empty()
    here.side.broken = 0
    assert await here.told() == ("first", None)
    assert here.supervisor.lost == 0
    await here.supervisor.aclose()
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_one_turn_that_fails_is_no_failure(
    stage: type[Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "WELL", 0.0)
    here = stage()
    await here.supervisor.start()
    assert await here.told() == ("first", None)
    for _ in range(2 * supervisor.STUMBLES):
        for broken in (1, 0):
            here.side.broken = broken
            here.side.worked.clear()
            here.supervisor.wake()
            assert await asyncio.to_thread(here.side.worked.wait, 10)
    await here.supervisor.aclose()
    assert here.reports.empty()


async def test_a_device_that_refuses_to_open_is_the_callers_error(stage: type[Stage]) -> None:
    here = stage()
    here.side.refusal = NOT_FOUND
    with pytest.raises(UTDStreamException):
        await here.supervisor.start()
    await here.supervisor.aclose()


async def test_brief_work_is_done_where_the_device_delivers(stage: type[Stage]) -> None:
    here = EagerStage()
    await here.supervisor.start()
    assert [here.side.deliver() for _ in range(3)] == ["callback"] * 3
    here.supervisor.wake()  # an order
    assert here.side.worked_on.get(timeout=10) == "test supervisor"
    await here.supervisor.aclose()
    worked = here.side.worked_on.qsize()
    here.side.wake()
    assert here.side.worked_on.qsize() == worked


async def test_a_device_never_waits_for_who_is_at_work(stage: type[Stage]) -> None:
    here = EagerStage()
    await here.supervisor.start()
    here.side.working.clear()
    here.supervisor.wake()
    assert here.side.worked_on.get(timeout=10) == "test supervisor"
    here.side.wake()  # returns at once
    here.side.wake()
    here.side.working.set()
    assert here.side.worked_on.get(timeout=10) == "test supervisor"
    await here.supervisor.aclose()


async def test_work_that_takes_long_is_left_to_the_thread_for_a_while(
    stage: type[Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "AGAIN", 100.0)
    here = EagerStage()
    await here.supervisor.start()
    here.side.at_once = -1.0
    there = "test supervisor"
    assert [here.side.deliver() for _ in range(4)] == ["callback", "callback", there, there]
    await here.supervisor.aclose()
    monkeypatch.setattr(supervisor, "RELIEF", 0.0)
    here = EagerStage()
    await here.supervisor.start()
    here.side.at_once = -1.0
    assert [here.side.deliver() for _ in range(4)] == ["callback"] * 4
    await here.supervisor.aclose()


async def test_a_sink_that_waits_is_no_dead_device(stage: type[Stage]) -> None:
    here = EagerStage()
    await here.supervisor.start()
    assert await here.told() == ("first", None)
    here.side.made[0].stands_still = True
    here.side.working.clear()
    callback = threading.Thread(target=here.side.wake)
    callback.start()
    assert here.side.worked_on.get(timeout=10)
    looks = here.side.made[0].looks
    async with asyncio.timeout(10):
        while here.side.made[0].looks < looks + 5:  # noqa: ASYNC110 - nothing says so
            await asyncio.sleep(0.01)
    here.side.working.set()
    await asyncio.to_thread(callback.join)
    assert here.reports.empty()
    assert await here.told() == (None, UTDErrorCode.NOT_FOUND)  # and without a sink it is one
    await here.supervisor.aclose()


async def test_what_a_sink_raises_never_reaches_the_device(
    stage: type[Stage], caplog: pytest.LogCaptureFixture
) -> None:
    here = EagerStage()
    await here.supervisor.start()
    assert await here.told() == ("first", None)
    here.side.broken = 10_000
    async with asyncio.timeout(10):
        while here.reports.empty():
            await asyncio.to_thread(here.side.deliver)
    assert await here.told() == (None, UTDErrorCode.UNKNOWN)
    assert caplog.text.count("a turn failed") == 1
    await here.supervisor.aclose()
