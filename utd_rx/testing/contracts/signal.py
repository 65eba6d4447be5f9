"""What every signal port promises; a subclass has a fixture `bench` that gives a `SignalBench`."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import pytest

from utd_rx.errors import ConflictReason, UTDErrorCode
from utd_rx.models.call import UTDCall, UTDCallStatus
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.ports.signal import (
    SignalCall,
    SignalEnded,
    SignalEvent,
    SignalOpened,
    SignalPort,
    SignalRefused,
)
from utd_rx.testing.contracts import PATIENCE, Batches

FAR: str = "ws://signal.example.com/api/v1/signal"
"""Plain, and on another machine: no bearer goes there."""


def a_call(number: int = 1, status: UTDCallStatus = UTDCallStatus.INITIATING) -> UTDCall:
    """Return a call, with the credentials that no frame has."""
    call_id = f"call_{number:024x}"
    return UTDCall(
        call_id,
        status,
        UTDStreamType.AUDIO_CALL,
        room_name=call_id,
        token="media-secret",
        caller_identity="sara",
        callee_identity="mona",
    )


class SignalBench(Protocol):
    """A port, and the engine at its other end."""

    port: SignalPort
    url: str
    token: str

    async def tell(self, *frames: tuple[str, UTDCall]) -> None:
        """Send frames to the socket that is open."""

    async def babble(self) -> None:
        """Send it something that means nothing."""

    async def end(self, code: int | None) -> None:
        """Close it with a code, or have it break."""

    async def refuse(self) -> None:
        """Take the bearer no more."""

    async def vanish(self) -> None:
        """Be unreachable from now on."""

    async def hang_on(self) -> None:
        """Take no bearer, and say nothing."""

    async def reached(self) -> None:
        """Wait until it was given a bearer."""

    async def deserted(self) -> None:
        """Wait until the engine has no socket any more."""


@pytest.mark.asyncio
class SignalContract:
    """The suite; see the module."""

    async def test_what_is_told_comes_in_order_between_opening_and_end(
        self, bench: SignalBench
    ) -> None:
        async with running(bench) as told:
            await told.until(is_opened)
            calls = [("incoming", a_call(n)) for n in range(20)]
            await bench.tell(*calls)
            await told.until(lambda one: is_call(one) and one.call.call_id == a_call(19).call_id)
            await bench.end(None)
            await told.until(is_ended)
        opened, *between, end = told.told
        assert opened == SignalOpened()
        frames = [frame for frame in between if isinstance(frame, SignalCall)]
        assert [frame.call.call_id for frame in frames] == [call.call_id for _, call in calls]
        assert {frame.kind for frame in frames} == {"incoming"}
        assert isinstance(end, SignalEnded)
        assert (end.code, end.error.code) == (None, UTDErrorCode.NETWORK)

    async def test_a_frame_has_no_credentials_and_is_a_value(self, bench: SignalBench) -> None:
        async with running(bench) as told:
            await told.until(is_opened)
            await bench.tell(("accepted", a_call(status=UTDCallStatus.ACTIVE)))
            frame = await told.until(is_call)
            await bench.end(4008)
            await told.until(is_ended)
        assert frame.call.token is None
        for event in told.told:
            assert type(pickle.loads(pickle.dumps(event))) is type(event)
        assert pickle.loads(pickle.dumps(frame)) == frame
        hash(frame)

    @pytest.mark.parametrize(
        ("code", "kind", "reason"),
        [
            (4001, UTDErrorCode.UNAUTHORIZED, None),
            (4003, UTDErrorCode.BANNED, None),
            (4008, UTDErrorCode.CONFLICT, ConflictReason.REPLACED),
            (1012, UTDErrorCode.NETWORK, None),
        ],
    )
    async def test_a_close_code_comes_with_what_it_means(
        self, bench: SignalBench, code: int, kind: UTDErrorCode, reason: ConflictReason | None
    ) -> None:
        async with running(bench) as told:
            await told.until(is_opened)
            await bench.end(code)
            end = await told.until(is_ended)
        assert (end.code, end.error.code, end.error.reason) == (code, kind, reason)

    async def test_a_bearer_that_is_refused_opens_nothing(self, bench: SignalBench) -> None:
        await bench.refuse()
        async with running(bench) as told:
            end = await told.until(is_ended)
        assert (end.code, end.error.code) == (4001, UTDErrorCode.UNAUTHORIZED)
        assert told.told == [end]

    async def test_an_engine_that_cannot_be_reached_is_an_end(self, bench: SignalBench) -> None:
        await bench.vanish()
        async with running(bench) as told:
            end = await told.until(is_ended)
        assert (end.code, end.error.code) == (None, UTDErrorCode.NETWORK)
        assert told.told == [end]

    async def test_no_bearer_goes_plainly_to_another_machine(self, bench: SignalBench) -> None:
        async with running(bench, url=FAR) as told:
            end = await told.until(is_ended)
        assert (end.code, end.error.code) == (None, UTDErrorCode.VALIDATION)

    async def test_what_means_nothing_is_refused_and_does_no_harm(self, bench: SignalBench) -> None:
        async with running(bench) as told:
            await told.until(is_opened)
            await bench.babble()
            await bench.tell(("missed", a_call(status=UTDCallStatus.MISSED)))
            await told.until(is_call)
            await bench.end(None)
            await told.until(is_ended)
        assert SignalRefused() in told.told

    async def test_one_socket_follows_another(self, bench: SignalBench) -> None:
        for _ in range(3):
            async with running(bench) as told:
                await told.until(is_opened)
                await bench.end(1001)
                await told.until(is_ended)
            assert [type(event) for event in told.told] == [SignalOpened, SignalEnded]

    @pytest.mark.parametrize("is_up", [False, True])
    async def test_who_is_cancelled_closes_the_socket_and_tells_nothing_more(
        self, bench: SignalBench, is_up: bool
    ) -> None:
        if not is_up:
            await bench.hang_on()
        told = Batches[SignalEvent]()
        running_ = asyncio.create_task(bench.port.run(bench.url, bench.token, told.take))
        await bench.reached()
        if is_up:
            await told.until(is_opened)
        running_.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running_
        async with asyncio.timeout(PATIENCE):
            await bench.deserted()
        assert not any(is_ended(event) for event in told.told)

    async def test_the_bearer_is_in_no_word_of_it(
        self, bench: SignalBench, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(0)
        async with running(bench) as told:
            await told.until(is_opened)
            await bench.end(4008)
            end = await told.until(is_ended)
        words = f"{bench.port!r} {told.told!r} {end.error!r} {end.error} {caplog.text}"
        assert bench.token not in words
        assert bench.token.encode() not in pickle.dumps(end)


@asynccontextmanager
async def running(bench: SignalBench, url: str = "") -> AsyncIterator[Batches[SignalEvent]]:
    """Run a socket until it has ended; give what it tells."""
    told = Batches[SignalEvent]()
    task = asyncio.create_task(bench.port.run(url or bench.url, bench.token, told.take))
    try:
        yield told
        async with asyncio.timeout(PATIENCE):
            await task
    finally:
        task.cancel()
    assert [event for event in told.told if is_ended(event)] == [told.told[-1]]


def is_opened(event: Any) -> bool:
    return isinstance(event, SignalOpened)


def is_call(event: Any) -> bool:
    return isinstance(event, SignalCall)


def is_ended(event: Any) -> bool:
    return isinstance(event, SignalEnded)
