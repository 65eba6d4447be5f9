"""What every route has at hand: the core, this run's secrets, and where media is."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from attrs import field, frozen

from utd_rx.engine.core import EngineCore
from utd_rx.engine.options import Secrets


@frozen
class Context:
    """One engine as its routes see it."""

    core: EngineCore
    secrets: Secrets = field(repr=False)
    livekit_url: str


CONTEXT: Final = web.AppKey("context", Context)


def context_of(request: web.Request) -> Context:
    """Return the engine that serves `request`."""
    return request.app[CONTEXT]
