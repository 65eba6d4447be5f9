"""A port far away is called as if it were here, and what is given up is taken back."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar

import pytest

from tests.media.restored import turns
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.media import near as near_module
from utd_rx.media.far import FarEnd
from utd_rx.media.near import Near, NearEnd, TakeBack, closed
from utd_rx.media.near_room import NearRoom
from utd_rx.ports.from_thread import LoopThread
from utd_rx.ports.room import RoomPort
from utd_rx.testing.contracts import PATIENCE, refusal


class Shop:
    """A port of the test's."""

    def __init__(self, sells: str = "tea") -> None:
        if not sells:
            raise UTDStreamException("nothing to sell", code=UTDErrorCode.VALIDATION)
        self.sells = sells
        self.listeners: list[Callable[[Any], None]] = []
        self.log: list[str] = []
        self.open = asyncio.Event()

    async def buy(self, number: int = 1) -> str:
        return f"{number} {self.sells}"

    async def take(self) -> int:
        self.log.append("take")
        return 7

    async def take_late(self) -> int:
        self.log.append("take")
        while not self.open.is_set():
            with suppress(asyncio.CancelledError):
                await self.open.wait()
        return 7

    async def give_back(self, number: int) -> None:
        self.log.append(f"give back {number}")

    async def wait(self) -> None:
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.log.append("cancelled")
            raise

    async def fail(self) -> None:
        raise LookupError("sold out")

    async def sell_something_alive(self) -> object:
        return lambda: None

    async def sell_what_nobody_knows(self) -> object:
        return Vanished()

    async def read(self) -> tuple[str, ...]:
        return tuple(self.log)

    def listen(self, sink: Callable[[Any], None]) -> Callable[[], None]:
        self.listeners.append(sink)
        return lambda: self.listeners.remove(sink)

    async def subscribe(self, sink: Callable[[Any], None]) -> None:
        self.listeners.append(sink)

    async def tell(self, *what: object) -> None:
        for sink in self.listeners:
            for one in what:
                sink(one)

    async def close(self) -> None:
        self.listeners.clear()

    def ring(self) -> None:
        self.log.append("ring")


class Vanished:
    """Can be pickled, and not be made again."""

    def __reduce__(self) -> tuple[object, ...]:
        return int, ("no number",)


class NearShop(Near):
    undo: ClassVar[Mapping[str, TakeBack]] = dict.fromkeys(
        ("take", "take_late"), lambda args, result: ("give_back", (result,))
    )


class Ends:
    """Both ends, on one loop."""

    def __init__(self) -> None:
        near, far = socket.socketpair()
        self.near = NearEnd(near, lambda error: self.near.fail(partial(closed, "shop")))
        self.far = FarEnd(far, lambda error: None)
        self.far.pipe.attach()

    def shop(self, *args: Any, near: Any = NearShop) -> Any:
        return self.near.make(near, Shop, f"{__name__}:Shop", *args)


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    made = Ends()
    yield made
    made.near.fail(partial(closed, "shop"))
    await made.far.aclose()


async def settled(ready: Callable[[], object]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(PATIENCE):
        while not ready():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)


async def test_it_is_made_with_arguments_and_called(ends: Ends) -> None:
    tea, milk = ends.shop(), ends.shop("milk")
    assert (await tea.buy(), await milk.buy(number=3)) == ("1 tea", "3 milk")
    tea.ring()
    assert await tea.read() == ("ring",)
    assert "Shop" in repr(tea)
    with pytest.raises(AttributeError):
        tea.steal()


async def test_one_that_cannot_be_made_says_why_at_every_call(ends: Ends) -> None:
    nothing, absent = ends.shop(""), ends.near.make(Near, Shop, "tests.media:absent")
    for _ in range(2):
        assert (await refusal(nothing.buy())).code is UTDErrorCode.VALIDATION
    with pytest.raises(AttributeError):
        await absent.buy()


async def test_an_error_comes_as_it_was_raised(ends: Ends) -> None:
    shop = ends.shop()
    with pytest.raises(LookupError, match="sold out"):
        await shop.fail()
    with pytest.raises(TypeError):
        await shop.buy(1, 2, 3)


async def test_what_is_no_value_does_not_cross(ends: Ends) -> None:
    shop = ends.shop()
    with socket.socket() as alive:
        assert (await refusal(shop.buy(alive))).code is UTDErrorCode.VALIDATION
    assert await shop.buy() == "1 tea"


async def test_a_result_that_does_not_cross_is_an_error(ends: Ends) -> None:
    shop = ends.shop()
    assert (await refusal(shop.sell_something_alive())).code is UTDErrorCode.VALIDATION
    lost = await refusal(shop.sell_what_nobody_knows())
    assert lost.code is UTDErrorCode.MALFORMED_RESPONSE


async def test_who_gives_up_ends_it_there_before_it_goes_on_here(ends: Ends) -> None:
    shop = ends.shop()
    waiting = asyncio.create_task(shop.wait())
    await shop.buy()
    waiting.cancel()
    await asyncio.wait({waiting})
    assert waiting.cancelled()
    assert list(await shop.read()) == ["cancelled"]


async def test_what_was_done_when_it_was_given_up_is_taken_back(ends: Ends) -> None:
    shop = ends.shop()
    await shop.buy()
    [there] = ends.far.ports
    taking = asyncio.create_task(shop.take())
    await settled(lambda: there.log)  # and nothing of it has come back
    taking.cancel()
    await asyncio.wait({taking})
    assert taking.cancelled()
    assert there.log == ["take", "give back 7"]


@pytest.mark.parametrize("cancels", [1, 2])
async def test_what_is_known_late_is_taken_back_late(
    ends: Ends, monkeypatch: pytest.MonkeyPatch, cancels: int
) -> None:
    monkeypatch.setattr(near_module, "SETTLE", 60.0 * (cancels - 1))
    shop = ends.shop()
    await shop.buy()
    [there] = ends.far.ports
    taking = asyncio.create_task(shop.take_late())
    await settled(lambda: there.log)
    for _ in range(cancels):
        taking.cancel()
        await asyncio.sleep(0)
    await asyncio.wait({taking}, timeout=PATIENCE)
    assert taking.cancelled()
    there.open.set()
    await settled(lambda: len(there.log) > 1)
    assert there.log == ["take", "give back 7"]


class Hall:
    """A room whose first join takes long, cancelled or not."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.open = asyncio.Event()

    async def connect(self) -> int:
        self.log.append("connect")
        while not self.open.is_set():
            with suppress(asyncio.CancelledError):
                await self.open.wait()
        return 1

    async def disconnect(self) -> None:
        self.log.append("disconnect")

    async def read(self) -> tuple[str, ...]:
        return tuple(self.log)


@pytest.mark.parametrize("leaves", [False, True])
async def test_a_join_that_is_known_late_is_left_unless_it_was_left_meanwhile(
    ends: Ends, monkeypatch: pytest.MonkeyPatch, leaves: bool
) -> None:
    monkeypatch.setattr(near_module, "SETTLE", 0.0)
    room: Any = ends.near.make(NearRoom, Hall, f"{__name__}:Hall")
    joining = asyncio.create_task(room.connect())
    await room.read()
    joining.cancel()
    await asyncio.wait({joining})
    if leaves:
        await room.disconnect()
    [there] = ends.far.ports
    there.open.set()
    await turns()
    assert list(await room.read()) == ["connect", "disconnect"]


async def test_a_second_cancel_does_not_wait_for_who_is_silent() -> None:
    near, far = socket.socketpair()
    end = NearEnd(near, lambda error: None)
    waiting = asyncio.create_task(end.make(Near, Shop, "nowhere:Shop").wait())
    await asyncio.sleep(0)
    for _ in range(2):
        waiting.cancel()
        await asyncio.sleep(0)
    await asyncio.wait({waiting}, timeout=PATIENCE)
    assert waiting.cancelled()
    end.fail(partial(closed, "shop"))
    far.close()


async def test_a_sink_is_called_in_order_until_it_is_stopped(ends: Ends) -> None:
    shop, heard, other = ends.shop(), list[object](), list[object]()
    stop = shop.listen(heard.append)
    shop.listen(sink=other.append)
    await shop.tell("a", ("b",))
    assert heard == ["a", ("b",)]
    assert other == heard
    stop()
    stop()
    await shop.tell("c")
    assert (heard, other) == (["a", ("b",)], ["a", ("b",), "c"])


async def test_nothing_stays_of_a_sink_that_is_dropped_or_stopped(ends: Ends) -> None:
    shop, heard = ends.shop(), list[object]()
    stop = shop.listen(heard.append)
    await shop.subscribe(heard.append)
    assert len(ends.near.sinks) == 2
    stop()
    assert len(ends.near.sinks) == 1
    await shop.close()
    gc.collect()
    await settled(lambda: not ends.near.sinks)
    await shop.tell("nobody")
    assert heard == []


async def test_nothing_stays_of_a_port_that_nobody_knows(ends: Ends) -> None:
    shop = ends.shop()
    await shop.buy()
    assert len(ends.far.ports) == 1
    del shop
    gc.collect()
    await settled(lambda: not ends.far.ports)
    assert not ends.far.ports


async def test_a_sink_that_raises_is_reported_and_disturbs_nobody(
    ends: Ends, caplog: pytest.LogCaptureFixture
) -> None:
    shop, heard = ends.shop(), list[object]()
    shop.listen(lambda what: 1 / 0)
    shop.listen(heard.append)
    await shop.tell("a")
    assert heard == ["a"]
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("method", ["buy", "fail"])
async def test_what_was_told_before_it_began_afresh_is_told_only_if_that_fails(
    ends: Ends, method: str
) -> None:
    shop, heard = ends.shop(), list[object]()
    shop.listen(heard.append)
    await shop.buy()
    [there] = ends.far.ports
    there.listeners[0]("old")  # and it is on its way
    try:
        await ends.near.call_afresh(1, method, (), {})
    except LookupError:
        assert method == "fail"
        assert heard == ["old"]
    else:
        assert method == "buy"
        assert heard == []
    await shop.tell("new")
    assert heard[-1] == "new"


async def test_other_loops_call_and_are_told_on_their_own(ends: Ends) -> None:
    shop = ends.shop()
    await shop.buy()
    threads: list[object] = []

    async def there() -> str:
        loop = asyncio.get_running_loop()
        shop.listen(lambda what: threads.append(asyncio.get_running_loop() is loop))
        bought: str = await shop.buy()
        return bought

    with LoopThread() as thread:
        assert await asyncio.wrap_future(thread.submit(there)) == "1 tea"
        await shop.tell("a")
        await settled(lambda: threads)
    assert threads == [True]


async def test_when_the_other_end_is_gone_all_fails_alike(ends: Ends) -> None:
    shop, heard = ends.shop(), list[object]()
    shop.listen(heard.append)
    waiting = asyncio.create_task(shop.wait())
    await shop.buy()
    ends.far.pipe.close()
    assert (await refusal(waiting)).reason is ConflictReason.CLOSED
    assert (await refusal(shop.buy())).reason is ConflictReason.CLOSED
    with pytest.raises(UTDStreamException):
        shop.listen(heard.append)
    shop.ring()  # what nobody waits for is nothing
    assert ends.near.sinks == {}


async def test_methods_and_topics_are_served_once_each(ends: Ends) -> None:
    room: Any = ends.near.make(NearRoom, RoomPort, "utd_rx.testing.room:FakeRoom", "me")
    for listen in (
        partial(room.serve, "echo"),
        partial(room.receive_streams, "topic", True),
    ):
        stop = listen(lambda call: None)
        with pytest.raises(UTDStreamException) as raised:
            listen(lambda call: None)
        assert raised.value.reason is ConflictReason.ALREADY
        stop()
        again = listen(lambda call: None)
        stop()
        with pytest.raises(UTDStreamException):
            listen(lambda call: None)
        again()
    with pytest.raises(UTDStreamException) as raised:
        room.serve("", lambda call: None)
    assert raised.value.code is UTDErrorCode.VALIDATION
    await room.aclose()
    assert ends.near.sinks == {}
