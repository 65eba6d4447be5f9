"""Who hears of calls: their parties, and a customer's backend."""

from __future__ import annotations

from typing import Protocol

from utd_rx.models.call import UTDCall


class CallTeller(Protocol):
    """Who tells users of their calls: the signal socket's hub. Neither raises nor waits."""

    def tell(
        self, identity: str, kind: str, call: UTDCall, *, except_device: str | None = None
    ) -> None:
        """Tell all devices of `identity` but one; `kind` is a frame's type without `call_`."""


class Poster(Protocol):
    """Who tells a customer's backend: the sender of webhooks. Neither raises nor waits."""

    def post(self, event: str, **body: object) -> None: ...


class Posters:
    """Several `Poster`s as one."""

    def __init__(self, *posters: Poster) -> None:
        self._posters = posters

    def post(self, event: str, **body: object) -> None:
        for poster in self._posters:
            poster.post(event, **body)


class Nobody:
    """A `CallTeller` and `Poster` that tells nobody."""

    def tell(
        self, identity: str, kind: str, call: UTDCall, *, except_device: str | None = None
    ) -> None: ...
    def post(self, event: str, **body: object) -> None: ...
