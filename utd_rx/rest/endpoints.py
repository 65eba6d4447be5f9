"""What every group of endpoints has: the two hosts and who acts."""

from __future__ import annotations

from utd_rx.rest.client import UTDApiClient


class Endpoints:
    """Base of the groups that make up `UTDApi`.

    Each command is sent once unless its docstring says that it repeats. Cancelling any of them
    is safe on this side; the engine may have carried it out all the same.

    Every method raises `UTDStreamException` as `UTDApiClient.request` does, and `VALIDATION`
    without a status for an argument that is refused before anything is sent.

    Args:
        engine: The in-room host.
        tokens: The host that mints; None when it is the same one.
        bearer: The user token that acts; the mints need none.
    """

    def __init__(
        self,
        engine: UTDApiClient,
        tokens: UTDApiClient | None = None,
        *,
        bearer: str | None = None,
    ) -> None:
        self._engine = engine
        self._tokens = engine if tokens is None else tokens
        self._bearer = bearer
