"""Where rooms live in a process of their own, a media server that lies ends that, and no app."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import pytest

from tests.engine.sfu.clients import token
from tests.hostile.lying_server import LyingProxy, served
from tests.support.sfu import RunningSfu
from utd_rx import UTDErrorCode, UTDStreamException, open_room

pytestmark = pytest.mark.long


@pytest.mark.parametrize("sfu_kind", ["embedded"])
@pytest.mark.parametrize(
    ("lie", "code"),
    [
        ("no room", UTDErrorCode.NETWORK),  # the join fails
        # Each process that restores the room is aborted, too, until no other is started.
        ("somebody without a sid", UTDErrorCode.FEATURE_DISABLED),
    ],
)
async def test_native_code_that_is_aborted_is_a_typed_failure(
    sfu: RunningSfu, lie: str, code: UTDErrorCode
) -> None:
    async with served(LyingProxy(sfu.url)) as (server, _):
        url, access = f"{server}/{quote(lie)}", token(sfu, "ann", "room")
        with pytest.raises(UTDStreamException, match=r"SIGABRT.*panicked at") as caught:
            async with asyncio.timeout(50), open_room(url, access, media="process") as room:
                failure = await room.failure.until(lambda found: found is not None)
                assert failure is not None
                raise failure
    # A busy machine may be too slow for three deaths within the outage that a session outlives.
    assert caught.value.code in {code, UTDErrorCode.NETWORK}
    assert access not in str(caught.value)
