"""A request about a room, from credentials to reply: what every route below `rooms/` has in common.

The order is the same everywhere: credentials (401), room (404), ban and table (403), body (413,
422), fields, rule.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler
from attrs import frozen

from utd_rx.engine.access import Principal, RoomAccess
from utd_rx.engine.authorization import Endpoint
from utd_rx.engine.core import EngineCore, Rule
from utd_rx.engine.routes.context import context_of
from utd_rx.engine.routes.fields import number_of, read_body
from utd_rx.engine.routes.identity import acting_identity, authenticate
from utd_rx.engine.rules.names import check_identity
from utd_rx.engine.rules.refusal import Refusal, not_found
from utd_rx.engine.rules.room_state import RoomState
from utd_rx.protocol.wire.reading import Json

T = TypeVar("T")


@frozen
class RoomRequest:
    """A request that was let pass; of a `GET` the query stands for the body."""

    http: web.Request
    access: RoomAccess
    body: Json

    @property
    def core(self) -> EngineCore:
        """Whom to ask."""
        return context_of(self.http).core

    @property
    def room(self) -> RoomState:
        """The room as it was when the request came."""
        return self.access.room

    @property
    def livekit_name(self) -> str:
        """LiveKit's name of it."""
        return self.core.rooms.livekit_name(self.room.name)

    @property
    def target(self) -> str:
        """The identity in the path.

        Raises:
            Refusal: 404 for one that nobody can have.
        """
        try:
            return check_identity(self.http.match_info["identity"])
        except Refusal as refusal:
            raise not_found(refusal.message) from refusal

    def number(self, key: str) -> int:
        """Return a number of the path; 404 when it is none."""
        return number_of(self.http, key)

    async def carry_out(self, rule: Rule[T], target: str | None = None) -> T:
        """Have a rule carried out; see `EngineCore.command`."""
        return await self.core.command(self.access, rule, target)


Answer: TypeAlias = Callable[[RoomRequest], Awaitable[dict[str, object]]]
"""Does what is asked and returns the reply's body."""

EndpointOf: TypeAlias = Callable[[web.Request, Principal], Endpoint]
"""Which row of the table a request is about, where that depends on who asks."""


def about_room(endpoint: Endpoint | EndpointOf, answer: Answer) -> Handler:
    """Return the handler of a path below `rooms/{room}`."""

    async def handle(http: web.Request) -> web.Response:
        principal = authenticate(http)
        row = endpoint if isinstance(endpoint, Endpoint) else endpoint(http, principal)
        core = context_of(http).core
        room = await core.find(http.match_info["room"], principal.identity)
        core.permit(row, principal, room)
        body = http.query if http.method == "GET" else await read_body(http)
        access = RoomAccess(row, principal, room, acting_identity(principal, body))
        return web.json_response(await answer(RoomRequest(http, access, body)))

    return handle
