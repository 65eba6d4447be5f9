"""A bearer that is outlived is renewed, once for all who need it, and nobody hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import attrs
import jwt
import pytest
from aiohttp import web

from tests.rest.conftest import HandClock, MakeClient
from tests.rest.engines import Answer, ScriptedEngine, reply
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.ports.engine import EnginePort, JoinRequest
from utd_rx.protocol.wire.tokens import lifetime_of
from utd_rx.rest import UTDApi
from utd_rx.rest.bearer import Bearer

SARA = JoinRequest("sara", "friday", UTDStreamType.AUDIO_ROOM, role="host", seat_count=4)
DAY = 86_400.0


def bearer(number: int, lifetime: float = DAY) -> str:
    # By a wall clock that is years off: only the difference of the two counts.
    claims = {"sub": f"sara{number}", "iat": 7, "exp": 7 + int(lifetime)}
    return jwt.encode(claims, "k" * 32, algorithm="HS256")


class Engine:
    """Mints bearers 1, 2, … and accepts those in `valid`, or the newest when that is None."""

    def __init__(self, scripted: ScriptedEngine) -> None:
        self.mints = 0
        self.calls: list[int] = []
        self.lifetime = DAY
        self.valid: set[int] | None = None
        self.refusal: Answer | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.news = asyncio.Event()
        scripted.will(self.answer)

    async def called(self, times: int) -> None:
        """Wait until so many calls have come, mints not counted."""
        while len(self.calls) < times:
            self.news.clear()
            await self.news.wait()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/api/v1/token":
            await self.gate.wait()
            self.mints += 1
            if self.refusal is not None:
                return await self.refusal(request)
            token = bearer(self.mints, self.lifetime)
            wire = {"token": f"livekit{self.mints}", "url": "ws://m", "user_token": token}
            return web.json_response(wire)
        token = request.headers["Authorization"].removeprefix("Bearer ")
        number = int(jwt.decode(token, options={"verify_signature": False})["sub"][4:])
        self.calls.append(number)
        self.news.set()
        if number in ({self.mints} if self.valid is None else self.valid):
            return web.json_response({"seats": []})
        return web.json_response({"message": "the bearer has expired; mint again"}, status=401)


@pytest.fixture
def minting(engine: ScriptedEngine) -> Engine:
    return Engine(engine)


@pytest.fixture
def sara(make_client: MakeClient) -> UTDApi:
    return UTDApi(make_client()).acting_as(SARA)


def test_the_api_is_an_engine_port() -> None:
    _: Callable[[UTDApi], EnginePort] = lambda api: api  # noqa: E731 - mypy is the test


async def test_a_mint_says_who_joins_and_its_bearer_acts(
    engine: ScriptedEngine, minting: Engine, sara: UTDApi
) -> None:
    reply = await sara.mint()
    assert (reply.token, reply.room_name) == ("livekit1", "friday")
    assert engine.seen[0].body == {
        "identity": "sara",
        "room_name": "friday",
        "type": "audio_room",
        "role": "host",
        "seat_count": 4,
    }
    await sara.take_seat("friday", 0)
    assert minting.calls == [1]
    assert (await sara.mint()).token == "livekit2"
    await sara.take_seat("friday", 0)
    assert minting.calls == [1, 2]


async def test_two_who_act_over_one_client_do_not_share_a_bearer(
    minting: Engine, make_client: MakeClient
) -> None:
    both = UTDApi(make_client())
    minting.valid = {1, 2}
    sara, mona = both.acting_as(SARA), both.acting_as(attrs.evolve(SARA, identity="mona"))
    await sara.mint()
    await mona.mint()
    await sara.leave_seat("friday")
    await mona.leave_seat("friday")
    assert minting.calls == [1, 2]


async def test_the_first_call_mints_when_nobody_has(minting: Engine, sara: UTDApi) -> None:
    await sara.take_seat("friday", 0)
    assert (minting.mints, minting.calls) == (1, [1])


async def test_a_refused_bearer_is_renewed_and_the_command_repeated(
    minting: Engine, sara: UTDApi
) -> None:
    await sara.mint()
    minting.valid = {2}
    await sara.take_seat("friday", 0)
    assert minting.calls == [1, 2]


async def test_many_refused_at_once_share_one_mint(minting: Engine, sara: UTDApi) -> None:
    await sara.mint()
    minting.valid = {2}
    minting.gate.clear()
    calls = [asyncio.create_task(sara.take_seat("friday", n)) for n in range(20)]
    await minting.called(20)
    minting.gate.set()
    await asyncio.gather(*calls)
    assert minting.mints == 2
    assert sorted(minting.calls) == [1] * 20 + [2] * 20


async def test_many_refused_at_once_share_the_failure_of_one_mint(
    minting: Engine, sara: UTDApi
) -> None:
    await sara.mint()
    minting.valid = set()
    minting.refusal = reply({"message": "User is banned"}, 403)
    minting.gate.clear()
    calls = [asyncio.create_task(sara.take_seat("friday", n)) for n in range(20)]
    await minting.called(20)
    minting.gate.set()
    errors = await asyncio.gather(*calls, return_exceptions=True)
    assert {getattr(error, "code", error) for error in errors} == {UTDErrorCode.BANNED}
    assert minting.mints == 2


async def test_a_second_refusal_is_told(minting: Engine, sara: UTDApi) -> None:
    minting.valid = set()
    with pytest.raises(UTDStreamException, match="mint again") as caught:
        await sara.take_seat("friday", 0)
    assert caught.value.code is UTDErrorCode.UNAUTHORIZED
    assert minting.mints == 2


async def test_whoever_is_cancelled_renewing_leaves_it_to_the_next(
    minting: Engine, sara: UTDApi
) -> None:
    await sara.mint()
    minting.valid = {2}
    minting.gate.clear()
    first, second = (asyncio.create_task(sara.take_seat("friday", n)) for n in range(2))
    await minting.called(2)
    first.cancel()
    await asyncio.wait([first])
    assert first.cancelled()
    minting.valid = {2, 3}  # the mint of who was cancelled may come first, or last
    minting.gate.set()
    await second


async def test_a_bearer_is_renewed_before_it_ends(
    minting: Engine, sara: UTDApi, clock: HandClock
) -> None:
    await sara.mint()
    clock.seconds += DAY - 61
    await sara.take_seat("friday", 0)
    assert minting.mints == 1
    clock.seconds += 2
    await sara.take_seat("friday", 0)
    assert minting.calls == [1, 2]


async def test_a_bearer_that_still_holds_acts_when_it_cannot_be_renewed(
    minting: Engine, sara: UTDApi, clock: HandClock
) -> None:
    await sara.mint()
    minting.refusal, minting.valid = reply({"message": "maintenance"}, 500), {1}
    clock.seconds += DAY - 59
    await sara.take_seat("friday", 0)
    await sara.take_seat("friday", 1)
    assert (minting.mints, minting.calls) == (2, [1, 1])
    clock.seconds += 60
    with pytest.raises(UTDStreamException, match="maintenance"):
        await sara.take_seat("friday", 2)


async def test_a_short_life_is_renewed_at_its_half(
    minting: Engine, sara: UTDApi, clock: HandClock
) -> None:
    minting.lifetime = 20
    await sara.mint()
    clock.seconds += 9
    await sara.take_seat("friday", 0)
    clock.seconds += 2
    await sara.take_seat("friday", 0)
    assert minting.calls == [1, 2]


async def test_a_mint_that_fails_leaves_the_bearer(minting: Engine, sara: UTDApi) -> None:
    await sara.mint()
    minting.refusal, minting.valid = reply({"message": "no"}, 403), {1}
    with pytest.raises(UTDStreamException, match="no"):
        await sara.mint()
    await sara.take_seat("friday", 0)
    assert minting.calls == [1]


async def test_a_bearer_that_was_given_is_what_it_is(
    engine: ScriptedEngine, minting: Engine, make_client: MakeClient
) -> None:
    minting.valid = set()
    api = UTDApi(make_client(), bearer=bearer(7))
    with pytest.raises(UTDStreamException) as caught:
        await api.take_seat("friday", 0)
    assert caught.value.code is UTDErrorCode.UNAUTHORIZED
    assert minting.mints == 0
    with pytest.raises(UTDStreamException, match="acting_as") as caught:
        await api.mint()
    assert caught.value.code is UTDErrorCode.VALIDATION


async def test_another_loop_is_refused_before_it_can_renew(minting: Engine, sara: UTDApi) -> None:
    await sara.mint()

    def elsewhere(call: Callable[[], Any]) -> ConflictReason | None:
        with pytest.raises(UTDStreamException) as caught:
            asyncio.run(call())
        return caught.value.reason

    for call in (sara.mint, lambda: sara.take_seat("friday", 0)):
        assert await asyncio.to_thread(elsewhere, call) is ConflictReason.FOREIGN_LOOP
    assert minting.mints == 1


def test_a_bearer_has_no_secret_to_show() -> None:
    async def mint() -> Any: ...

    assert "object at" in repr(Bearer(mint))


@pytest.mark.parametrize(
    ("claims", "lifetime"),
    [
        ({"iat": 10, "exp": 70}, 60.0),
        ({"iat": 10.5, "exp": 70}, 59.5),
        ({"iat": 70, "exp": 70}, None),
        ({"iat": 71, "exp": 70}, None),
        ({"exp": 70}, None),
        ({"iat": 70}, None),
    ],
)
def test_a_lifetime_is_the_difference_of_two_claims(
    claims: dict[str, Any], lifetime: float | None
) -> None:
    assert lifetime_of(jwt.encode(claims, "k" * 32, algorithm="HS256")) == lifetime
