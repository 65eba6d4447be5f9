"""Of what is found by chance a neighbour's is told from a fault."""

from __future__ import annotations

import pytest

from tests.hostile.judging import TRIES, Found, Judge
from utd_rx.testing.witness import Witnessed

CALM, HURT = Witnessed(0.001, 0.001), Witnessed(0.5, 0.001)
FAULT: Found = ["a fault"], []
SLOW: Found = [], ["lost"]
NOTHING: Found = [], []


class Machine:
    """A witness beside so many tries that are hurt, before and after they settle or not."""

    def __init__(self, hurt: int) -> None:
        self._hurt, self._is_told = hurt, False

    def look(self) -> Witnessed:
        seen = HURT if self._is_told and self._hurt > 0 else CALM
        self._hurt -= self._is_told
        self._is_told = False
        return seen

    async def tell(self, found: Found) -> Found:
        self._is_told = True
        return found


async def settled() -> bool:
    return True


@pytest.mark.parametrize(
    ("hurt", "tries", "found", "unjudged"),
    [
        (0, [NOTHING], [], 0),
        (0, [FAULT], ["a fault"], 0),
        (0, [SLOW], ["lost"], 0),
        (1, [SLOW, NOTHING], [], 0),
        (1, [SLOW, SLOW], ["lost"], 0),
        (1, [FAULT, NOTHING], [], 0),
        (1, [FAULT, FAULT], ["a fault"], 0),
        (9, [NOTHING], [], 0),
        (9, [FAULT, NOTHING], [], 0),
        (9, [FAULT] * TRIES, ["a fault"], 0),
        (9, [SLOW] * TRIES, [], 1),
    ],
)
async def test_what_a_neighbour_may_have_done_is_tried_again(
    hurt: int, tries: list[Found], found: list[str], unjudged: int
) -> None:
    left, machine = list(tries), Machine(hurt)
    judge = Judge(machine, settled)
    assert await judge.ask(lambda: machine.tell(left.pop(0))) == found
    assert (judge.found, judge.unjudged, left) == (found, unjudged, [])


@pytest.mark.parametrize(
    ("hurt", "found", "raised"),
    [
        (0, SLOW, AssertionError),
        (99, FAULT, AssertionError),
        (99, SLOW, pytest.skip.Exception),
    ],
)
async def test_of_what_a_neighbour_may_have_done_nobody_is_accused(
    hurt: int, found: Found, raised: type[BaseException]
) -> None:
    machine = Machine(hurt)
    judge = Judge(machine, settled)
    await judge.ask(lambda: machine.tell(found))
    with pytest.raises(raised):
        judge.check()


async def test_beside_a_neighbour_without_end_a_test_ends() -> None:
    machine, told = Machine(99), 0

    async def tell() -> Found:
        nonlocal told
        told += 1
        return await machine.tell(SLOW)

    judge = Judge(machine, settled, spare=3)
    for _ in range(10):
        await judge.ask(tell)
    assert (told, judge.unjudged) == (13, 10)


async def test_what_came_before_is_nobodys_fault_unless_it_stays() -> None:
    before = iter([HURT, CALM, CALM])

    class Busy:
        def look(self) -> Witnessed:
            return next(before)

    async def tell() -> Found:
        return SLOW

    judge = Judge(Busy(), settled)
    assert await judge.ask(tell) == ["lost"]


async def test_nobody_waits_for_rest_without_end() -> None:
    waits = 0

    async def never() -> bool:
        nonlocal waits
        waits += 1
        return False

    machine = Machine(0)
    judge = Judge(machine, never, spare=3)
    for _ in range(10):
        await judge.ask(lambda: machine.tell(NOTHING))
    assert waits == 3
