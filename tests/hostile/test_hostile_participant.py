"""Whatever a participant says, strangers on the same media server hear each other as before."""

from __future__ import annotations

from functools import partial
from typing import Final

import pytest

from tests.engine.sfu.clients import token
from tests.hostile.judging import Judge
from tests.hostile.pair import pair
from tests.hostile.participant_fuzz import hear
from tests.hostile.participant_lies import LIES, mallory
from tests.hostile.turns import turns
from tests.support.sfu import RunningSfu
from utd_rx.testing.witness import Witness

SECONDS: Final = {"embedded": 0.5, "livekit": 0.1}
"""Of each lie; what the other server takes is not ours to hold, only that the strangers do."""

SEED: Final = 17


@pytest.mark.realtime(alone=True)
@pytest.mark.timeout(240)
async def test_nobody_suffers_of_what_a_participant_makes_up(
    sfu: RunningSfu, caplog: pytest.LogCaptureFixture
) -> None:
    def access(identity: str, room: str) -> str:
        return token(sfu, identity, room)

    with Witness() as witness:
        async with (
            pair(sfu.url, partial(access, room="beside")) as beside,
            mallory(sfu.url, partial(access, room="hostile")) as liar,
            turns() as loop,
        ):
            judge, is_ours = Judge(witness, beside.settle), sfu.kind == "embedded"
            told = partial(hear, beside=beside, loop=loop, liar=liar, is_ours=is_ours)
            for lie in LIES:
                await judge.ask(partial(told, lie, SEED, SECONDS[sfu.kind]))
    judge.check()
    errors = [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]
    assert errors == [], "; ".join(errors)
