"""Of what is found by chance a neighbour's is told from a fault."""

from __future__ import annotations

import pytest

from tests.hostile.judging import TRIES, Found, judged
from utd_rx.testing.witness import Witnessed

CALM, HURT = Witnessed(0.001, 0.001), Witnessed(0.5, 0.001)
FAULT: Found = ["a fault"], []
SLOW: Found = [], ["lost"]
NOTHING: Found = [], []


class Machine:
    """A witness of so many seconds that were hurt; asked before and behind each."""

    def __init__(self, hurt: int) -> None:
        self._looks, self._hurt = 0, hurt

    def look(self) -> Witnessed:
        self._looks += 1
        return HURT if self._looks % 2 == 0 and self._looks // 2 <= self._hurt else CALM


@pytest.mark.parametrize(
    ("hurt", "tries", "found", "is_calm"),
    [
        (0, [NOTHING], [], True),
        (0, [FAULT], ["a fault"], True),
        (0, [SLOW], ["lost"], True),
        (1, [SLOW], [], False),
        (1, [FAULT, NOTHING], [], True),
        (1, [FAULT, FAULT], ["a fault"], True),
        (9, [FAULT, NOTHING], [], False),
        (9, [FAULT] * TRIES, ["a fault"], False),
    ],
)
async def test_what_a_neighbour_may_have_done_is_tried_again(
    hurt: int, tries: list[Found], found: list[str], is_calm: bool
) -> None:
    left = list(tries)

    async def tell() -> Found:
        return left.pop(0)

    assert await judged(Machine(hurt), tell) == (found, is_calm)
    assert left == []
