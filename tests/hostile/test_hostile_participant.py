"""Whatever a participant says, strangers on the same media server hear each other as before."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any, Final

import pytest

from tests.engine.sfu.clients import token
from tests.hostile.pair import PERIOD, pair
from tests.hostile.participant_lies import LIES, mallory, wrong
from tests.hostile.turns import turns
from tests.support.sfu import RunningSfu

SECONDS: Final = {"embedded": 0.5, "livekit": 0.1}
"""Of each lie; what the other server takes is not ours to hold, only that the strangers do."""

SEED: Final = 17


@pytest.mark.realtime
@pytest.mark.timeout(150)
async def test_nobody_suffers_of_what_a_participant_makes_up(
    sfu: RunningSfu, caplog: pytest.LogCaptureFixture
) -> None:
    found: list[str] = []

    def access(identity: str, room: str) -> str:
        return token(sfu, identity, room)

    async with (
        pair(sfu.url, partial(access, room="beside")) as beside,
        mallory(sfu.url, partial(access, room="hostile")) as liar,
        turns() as loop,
    ):
        for lie in LIES:
            begun = time.monotonic()
            told: dict[str, Any] = await liar.tell(lie.name, SEED, SECONDS[sfu.kind])
            await asyncio.sleep(PERIOD)
            try:
                loop.check(lie.name)
                beside.since(begun).check(lie.pair, lie.name)
            except AssertionError as error:
                found.append(str(error).splitlines()[0])
            if sfu.kind == "embedded":
                found += wrong(lie, told)
    found += [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]
    assert found == [], "; ".join(found)
