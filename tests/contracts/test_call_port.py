"""The engine port of calls keeps its promises."""

from __future__ import annotations

import pytest
from attrs import frozen

from utd_rx.models.call import UTDCall
from utd_rx.testing.calls import FakeCallEngine
from utd_rx.testing.contracts.calls import CallContract
from utd_rx.testing.room import FakeRoom


@frozen
class FakeBench:
    """Fake engines that share their calls."""

    caller: FakeCallEngine
    callee: FakeCallEngine
    tablet: FakeCallEngine
    stranger: FakeCallEngine
    me: str = "ana"
    them: str = "ben"


class TestFakeCallEngine(CallContract):
    @pytest.fixture
    async def bench(self) -> FakeBench:
        calls: dict[str, UTDCall] = {}

        def device(identity: str, device: str = "phone") -> FakeCallEngine:
            return FakeCallEngine(FakeRoom(identity), calls=calls, device=device)

        return FakeBench(device("ana"), device("ben"), device("ben", "tablet"), device("cem"))
