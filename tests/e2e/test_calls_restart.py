"""The engine is killed during calls: they are lost at both ends, and the next ones are made."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.house import PATIENCE
from tests.e2e.phones import agreed, heard
from tests.e2e.runs import Runs
from tests.e2e.test_restart import DOWN_SECONDS
from utd_rx import UTDCallEndReason, UTDCallStatus

pytestmark = [pytest.mark.realtime(waits=True), pytest.mark.timeout(180)]

S = UTDCallStatus


@pytest.mark.parametrize("app_secret", ["s" * 32, "t" * 32], ids=["same keys", "other keys"])
async def test_calls_are_lost_with_the_engine_and_new_ones_made(
    runs: Runs, app_secret: str
) -> None:
    anna, ben, carl, dora = [await runs.phone(who) for who in ("anna", "ben", "carl", "dora")]
    talk = await anna.session.start("ben")
    await ben.session.accept(talk.call_id)
    await heard(anna, ben)
    await carl.session.start("dora")
    await dora.session.ringing((await dora.rung("carl")).call_id)
    await runs.kill()
    for phone in (anna, ben, carl, dora):
        await phone.client.signal_connected.until(False, timeout=PATIENCE)
    await asyncio.sleep(DOWN_SECONDS)
    # Nobody has said yet that they are over.
    assert (anna.session.status.value, dora.session.status.value) == (S.ACTIVE, S.RINGING)
    await runs.start(app_secret)
    back_at = asyncio.get_running_loop().time()
    for one, other in ((anna, ben), (carl, dora)):
        await agreed(one, other, S.ENDED, UTDCallEndReason.LOST)
        await other.silent()
    print(f"lost {asyncio.get_running_loop().time() - back_at:.1f} s after the engine was back")

    again = await ben.session.start("anna")
    await anna.session.accept(again.call_id)
    await heard(anna, ben)
    await ben.session.end()
    await agreed(ben, anna, S.ENDED, UTDCallEndReason.CALLER_HANGUP)
