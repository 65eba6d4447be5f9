"""What every group of endpoints has: the two hosts, who acts, and how a room is addressed."""

from __future__ import annotations

from collections.abc import Mapping

from utd_rx.protocol.wire.reading import Json
from utd_rx.rest.bearer import Bearer
from utd_rx.rest.checks import checked_room, path_of
from utd_rx.rest.client import UTDApiClient


class Endpoints:
    """Base of the groups that make up `UTDApi`.

    Each command is sent once unless its docstring says that it repeats, and once more when its
    bearer was refused and could be renewed. Cancelling is safe on this side; the engine may have
    carried it out all the same. Every method raises `UTDStreamException` as `UTDApiClient.request`
    does, and `VALIDATION` without a status for an argument that is refused before it is sent.

    Args:
        engine: The in-room host.
        tokens: The host that mints; None when it is the same one.
        bearer: The user token that acts, or what keeps a fresh one; the mints need none.
    """

    def __init__(
        self,
        engine: UTDApiClient,
        tokens: UTDApiClient | None = None,
        *,
        bearer: Bearer | str | None = None,
    ) -> None:
        self._engine = engine
        self._tokens = engine if tokens is None else tokens
        self._bearer = bearer

    async def _in_room(
        self,
        method: str,
        room: str,
        *path: str | int,
        body: Mapping[str, object] | None = None,
        is_safe: bool = False,
    ) -> Json:
        """Exchange JSON about a room, as whoever acts."""
        where = path_of("rooms", checked_room(room), *path)
        is_safe = is_safe or method == "GET"
        return await self._engine.request(method, where, body, bearer=self._bearer, is_safe=is_safe)
