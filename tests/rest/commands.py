"""What a command must say to the engine, and make of its reply."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from attrs import field, frozen

from tests.rest.conftest import BEARER
from tests.rest.engines import ScriptedEngine, reply
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.models.token import UTDTokenResponse
from utd_rx.rest import UTDApi

Call: TypeAlias = Callable[[UTDApi], Awaitable[object]]


@frozen
class Command:
    """A call on room `r`: its method, its path after `/api/v1/rooms/` and the body that it sends.

    It returns `result` when the engine answers `answer`.
    """

    call: Call
    method: str
    path: str
    body: object = None
    answer: object = field(factory=dict, kw_only=True)
    result: object = field(default=None, kw_only=True)

    async def check(self, engine: ScriptedEngine, api: UTDApi) -> None:
        engine.will(reply(self.answer))
        assert await self.call(api) == self.result
        (seen,) = engine.seen
        expected = (self.method, f"/api/v1/rooms/{self.path}", self.body)
        assert (seen.method, seen.raw_path, seen.body) == expected
        assert seen.headers["Authorization"] == f"Bearer {BEARER}"


def named(command: Command) -> str:
    """Return the id of a parametrized test."""
    return f"{command.method} {command.path}"


async def mint(api: UTDApi, **options: Any) -> UTDTokenResponse:
    given = {"identity": "sara", "room_name": "friday-room", "type": UTDStreamType.AUDIO_ROOM}
    return await api.mint_token(**{**given, **options})
