"""What every route has at hand: the hub, this run's secrets, and where media is."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from attrs import field, frozen

from utd_rx.engine.hub import Hub
from utd_rx.engine.options import Secrets


@frozen
class Context:
    """One engine as its routes see it."""

    hub: Hub
    secrets: Secrets = field(repr=False)
    livekit_url: str


CONTEXT: Final = web.AppKey("context", Context)


def context_of(request: web.Request) -> Context:
    """Return the engine that serves `request`."""
    return request.app[CONTEXT]
