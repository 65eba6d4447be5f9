"""What one says of oneself: one change at a time, however LiveKit answers."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.ports.data import SelfDescription
from utd_rx.rtc import ffi
from utd_rx.rtc.describing import Describer


class Bench:
    """A describer, and the LiveKit that it asks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        able = SimpleNamespace(can_update_metadata=True)
        self.me = SimpleNamespace(name="", metadata="", attributes={}, permissions=able)
        self.asked: list[SelfDescription] = []
        self.answers: list[asyncio.Future[Any]] = []
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        room: Any = SimpleNamespace(local_participant=self.me)
        self.describer = Describer(room, self.ended)
        monkeypatch.setattr(ffi, "description_request", lambda _, part: part)
        monkeypatch.setattr(ffi, "ask", self._ask)

    def begin(self, **said: Any) -> asyncio.Task[None]:
        return asyncio.create_task(self.describer.describe(SelfDescription(**said)))

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    def tell(self, **now: Any) -> None:
        vars(self.me).update(now)
        self.describer.changed()

    async def _ask(self, request: object) -> object:
        self.asked.append(cast("SelfDescription", request))
        self.answers.append(asyncio.get_running_loop().create_future())
        return await self.answers[-1]


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


async def test_what_is_told_needs_no_answer(bench: Bench) -> None:
    """LiveKit misses an answer that comes at once, and says 5 s later that none came."""
    saying = bench.begin(name="Ana")
    await bench.settle()
    bench.tell(name="Ana")
    await asyncio.wait_for(saying, 1)
    await asyncio.wait_for(bench.begin(name="Ana"), 1)
    assert bench.asked == [SelfDescription(name="Ana")]  # what is so is not asked for


async def test_the_next_waits_until_the_one_before_was_told(bench: Bench) -> None:
    first, second = bench.begin(name="Ana"), bench.begin(metadata="meta")
    await bench.settle()
    bench.answers[0].set_result(SimpleNamespace(error=""))
    await bench.settle()
    assert len(bench.asked) == 1
    bench.tell(name="Ana")
    await asyncio.wait_for(first, 1)
    await bench.settle()
    assert bench.asked[1:] == [SelfDescription(metadata="meta")]
    bench.tell(metadata="meta")
    await asyncio.wait_for(second, 1)


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        ("request error: LimitExceeded - exceeds name length limit", UTDErrorCode.VALIDATION),
        ("does not have permission to update own metadata", UTDErrorCode.FORBIDDEN),
        ("engine: signal failure: request timeout", UTDErrorCode.TIMEOUT),
        ("something else", UTDErrorCode.SERVER),
    ],
)
async def test_a_refusal_is_typed(bench: Bench, refusal: str, code: UTDErrorCode) -> None:
    saying = bench.begin(name="Ana")
    await bench.settle()
    bench.answers[0].set_result(SimpleNamespace(error=refusal))
    with pytest.raises(UTDStreamException) as raised:
        await asyncio.wait_for(saying, 1)
    assert raised.value.code is code


async def test_when_the_connection_ends_nobody_waits_on(bench: Bench) -> None:
    first, second = bench.begin(name="Ana"), bench.begin(name="Ben")
    await bench.settle()
    bench.ended.set_result(None)
    with pytest.raises(UTDStreamException, match="not known"):
        await asyncio.wait_for(first, 1)
    with pytest.raises(UTDStreamException) as raised:
        await asyncio.wait_for(second, 1)
    assert raised.value.reason is ConflictReason.LEFT


async def test_without_the_grant_nothing_is_asked(bench: Bench) -> None:
    bench.me.permissions.can_update_metadata = False
    with pytest.raises(UTDStreamException) as raised:
        await bench.begin(name="Ana")
    assert (raised.value.code, bench.asked) == (UTDErrorCode.FORBIDDEN, [])
