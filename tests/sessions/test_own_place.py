"""Of two joins of one identity the later has the place, however the media server decided."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from tests.sessions.stage import LoopClock, Stage
from utd_rx import ConflictReason, UTDConnectionState, UTDErrorCode, UTDStreamException
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.events import RoomSnapshot
from utd_rx.models.token import UTDTokenResponse
from utd_rx.testing import run_virtual

Theirs = Callable[[], str]


def metadata(serial: int) -> str:
    return json.dumps({"_mint": serial})


def token(serial: int) -> str:
    claims = json.dumps({"sub": "me", "metadata": metadata(serial)}).encode()
    return f"head.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.sign"


def nobody() -> str:
    raise UTDStreamException("nobody", code=UTDErrorCode.NOT_FOUND)


class Race(Stage):
    """A session that mints serial 5, which the media server does not answer at first."""

    def __init__(self, theirs: Theirs) -> None:
        super().__init__()
        self.attempts = 0
        let_in = self.room.connect

        async def mint() -> UTDTokenResponse:
            return UTDTokenResponse(token(5), "wss://media", "room", "bearer")

        async def metadata_of(room: str, identity: str) -> str:
            assert identity == "me"
            return theirs()

        async def connect(url: str, token: str, **options: Any) -> RoomSnapshot:
            self.attempts += 1
            if self.attempts == 1:  # put out, and LiveKit does not say so
                await asyncio.sleep(15)
                raise UTDStreamException("no answer within 15 s", code=UTDErrorCode.TIMEOUT)
            return await let_in(url, token, **options)

        self.engine.mint = mint  # type: ignore[method-assign] # a fake # the fake does otherwise here
        self.engine.participant_metadata = metadata_of  # type: ignore[method-assign] # a fake
        self.room.connect = connect  # type: ignore[method-assign] # a fake


async def joined(race: Race) -> tuple[ConflictReason | UTDErrorCode | None, float]:
    """Return why the join failed, None if it did not, and after how many seconds."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    why: ConflictReason | UTDErrorCode | None = None
    try:
        await race.session.join()
    except UTDStreamException as error:
        why = error.reason or error.code
        assert race.session.connection_state.value is UTDConnectionState.DISCONNECTED
        assert race.session.failure.value is error
    took = loop.time() - begun
    await race.session.aclose()
    return why, took


@pytest.mark.parametrize(
    ("theirs", "why", "attempts", "took"),
    [
        (lambda: metadata(6), ConflictReason.REPLACED, 1, 3.0),
        (lambda: metadata(4), None, 2, 15.0),
        (lambda: metadata(5), UTDErrorCode.TIMEOUT, 1, 15.0),
        (lambda: "{}", UTDErrorCode.TIMEOUT, 1, 15.0),
        (nobody, UTDErrorCode.TIMEOUT, 1, 15.0),
    ],
    ids=["a later one is there", "an earlier one", "this one", "an engine without serials", "none"],
)
def test_a_join_that_hears_nothing_goes_by_who_is_there(
    theirs: Theirs, why: ConflictReason | UTDErrorCode | None, attempts: int, took: float
) -> None:
    async def main() -> tuple[object, float, int]:
        race = Race(theirs)
        return (*(await joined(race)), race.attempts)

    assert run_virtual(main()) == (why, took, attempts)


@pytest.mark.parametrize(
    ("theirs", "state"),
    [
        ([metadata(4)], UTDConnectionState.CONNECTED),
        ([metadata(6)], UTDConnectionState.DISCONNECTED),
        ([None, None], UTDConnectionState.CONNECTED),
        ([None, metadata(6)], UTDConnectionState.DISCONNECTED),
    ],
    ids=["an earlier one", "a later one", "nobody any more", "a later one that is not told yet"],
)
def test_who_is_put_out_takes_the_place_again_unless_a_later_one_has_it(
    theirs: list[str | None], state: UTDConnectionState
) -> None:
    async def main() -> UTDConnectionState:
        stage = Stage(clock=LoopClock(asyncio.get_running_loop()))
        answers = iter(theirs)

        async def metadata_of(room: str, identity: str) -> str:
            return next(answers) or nobody()

        stage.engine.participant_metadata = metadata_of  # type: ignore[method-assign] # a fake
        there = stage.room.snapshot
        mine = evolve(there.local, metadata=metadata(5))
        stage.room.snapshot = evolve(there, local=mine)
        session = stage.session
        await session.join()
        stage.room.lose(DisconnectReason.DUPLICATE_IDENTITY)
        await asyncio.sleep(5)
        ended = session.connection_state.value
        await session.aclose()
        return ended

    assert run_virtual(main()) is state
