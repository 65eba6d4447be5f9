"""Two hundred users call each other at random; whatever happens, both ends say the same of it.

Their engine, sockets and requests are real; their media rooms are not, which makes it many calls.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import Final

import pytest

from tests.e2e.house import PATIENCE
from tests.e2e.phones import Exchange, Phone
from utd_rx import UTDCall, UTDErrorCode, UTDStreamException
from utd_rx.testing.room import FakeRoom

pytestmark = pytest.mark.realtime

USERS: Final = 200
SECONDS: Final = 30.0
CALLABLE: Final = (UTDErrorCode.CONFLICT, UTDErrorCode.NOT_FOUND)
"""What a command may be refused with among so many: somebody was first."""

Ends = dict[str, UTDCall]


class User:
    """Somebody who dials, answers, declines, cancels and hangs up at random."""

    def __init__(self, phone: Phone, random: Random) -> None:
        self.phone = phone
        self.random = random
        self.ends: Ends = {}
        self.refusals: Counter[str] = Counter()
        self.unknown: list[UTDStreamException] = []
        phone.session.call.subscribe(self._note)

    def _note(self, call: UTDCall | None) -> None:
        if call is not None and call.status.is_terminal:
            assert call.call_id not in self.ends or self.ends[call.call_id] == call
            self.ends[call.call_id] = call

    async def live(self, others: list[str], end: asyncio.Event) -> None:
        """Do something, again and again."""
        while not end.is_set():
            try:
                await self._do_something(others)
            except UTDStreamException as error:
                if error.code in CALLABLE:
                    self.refusals[f"{error.code.value} {error.reason}"] += 1
                else:
                    self.unknown.append(error)

    async def _do_something(self, others: list[str]) -> None:
        session, random = self.phone.session, self.random
        await self._wait(1.5)
        ringing = self.phone.client.ringing_calls.value
        status = session.status.value
        if status is not None and not status.is_terminal:
            await session.end()
        elif not ringing:
            await session.start(random.choice(others))
            await self._wait(3.0)
        else:
            call_id = ringing[0].call_id
            await session.ringing(call_id)
            await self._wait(0.5)
            match random.randrange(6):
                case 0:
                    await session.reject(call_id)
                case 1:
                    await session.busy(call_id)
                case 2:
                    await self._wait(5.0)
                case _:
                    await session.accept(call_id)
                    await self._wait(2.0)

    async def _wait(self, longest: float) -> None:
        await asyncio.sleep(self.random.uniform(0.0, longest))


@pytest.mark.parametrize("sfu_kind", ["embedded"])  # nobody is on it
@pytest.mark.timeout(300)
async def test_two_hundred_users_call_each_other_at_random(exchange: Exchange) -> None:
    names = [f"user{number}" for number in range(USERS)]
    phones = [await exchange.phone(name, make_room=lambda: FakeRoom("")) for name in names]
    users = [User(phone, Random(number)) for number, phone in enumerate(phones)]
    end = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for number, user in enumerate(users):
            # Every third call is to a friend, who may be dialling, too.
            friend, others = names[number ^ 1], [name for name in names if name != names[number]]
            group.create_task(user.live(others + [friend] * (USERS // 2), end))
        await asyncio.sleep(SECONDS / 2)
        exchange.clock.skip(31)  # whatever rings is missed, and whoever talks has not come
        await asyncio.sleep(SECONDS / 2)
        end.set()
    # Who was called last and has not answered hears that the caller gives up.
    await asyncio.gather(*(user.phone.session.end() for user in users))
    for user in users:
        await user.phone.session.status.until(
            lambda status: status is None or status.is_terminal, timeout=PATIENCE
        )
    desk = exchange.engine.core.calls
    known = {call.id: call.told for call in desk.calls()}
    assert all(call.status.is_terminal for call in known.values())

    seen: dict[str, list[UTDCall]] = {}
    for user in users:
        for call_id, call in user.ends.items():
            seen.setdefault(call_id, []).append(call)
    outcomes = Counter(
        call.end_reason.value for call in known.values() if call.end_reason is not None
    )
    disagreements = [
        (known.get(call_id), told)
        for call_id, told in seen.items()
        if {(one.status, one.end_reason, one.duration_seconds) for one in told}
        != {(one.status, one.end_reason, one.duration_seconds) for one in [known[call_id]]}
    ]
    both = sum(len(told) == 2 for told in seen.values())
    refusals = sum((user.refusals for user in users), Counter[str]())
    figures = (
        f"{len(known)} calls of {USERS} users in {SECONDS:.0f} s, {dict(outcomes)}; "
        f"{both} seen at both ends, {len(seen) - both} at one; {len(disagreements)} disagreements; "
        f"refused: {dict(refusals)}"
    )
    print(figures)
    assert [error for user in users for error in user.unknown] == []
    assert disagreements == [], figures
    assert both > USERS, figures
    assert set(seen) == set(known), figures
