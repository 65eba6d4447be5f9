"""A fake that is asked what it does not know says so by name, and who knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from utd_rx.testing import unknown
from utd_rx.testing.calls import FakeCallEngine
from utd_rx.testing.engine import FakeEngine
from utd_rx.testing.room import FakeRoom
from utd_rx.testing.unknown import UnknownToFakeError


@pytest.fixture(autouse=True)
def nothing_asked() -> Iterator[None]:
    unknown.ASKED.clear()
    yield
    unknown.ASKED.clear()


@pytest.mark.parametrize(
    ("fake", "question", "who"),
    [
        (FakeEngine, "get_stage", "take FakeStageEngine"),
        (FakeEngine, "start_call", "take FakeCallEngine"),
        (FakeCallEngine, "end_live", "take FakeStageEngine"),
        (FakeEngine, "mint_token", "take FakeWorld, whose engine is the real one's"),
    ],
)
async def test_it_names_itself_the_question_and_who_knows(
    fake: type[FakeEngine], question: str, who: str
) -> None:
    asked: Any = fake(FakeRoom("me"))
    told = f"{fake.__name__} was asked '{question}', which it does not know: {who}"
    with pytest.raises(UnknownToFakeError, match=told):
        getattr(asked, question)
    assert [told] == unknown.ASKED


async def test_what_no_engine_has_is_an_ordinary_mistake() -> None:
    engine: Any = FakeEngine(FakeRoom("me"))
    with pytest.raises(AttributeError, match="'FakeEngine' object has no attribute 'take_saet'"):
        engine.take_saet("lobby", 1)
    assert unknown.ASKED == []
