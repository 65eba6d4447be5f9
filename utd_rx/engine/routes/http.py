"""A request and its reply as the routes see them, whatever carried them: aiohttp, or a call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from secrets import token_hex
from typing import Any, TypeAlias

from attrs import field, frozen

from utd_rx.engine.core import EngineCore
from utd_rx.engine.options import Secrets
from utd_rx.engine.rules.refusal import Refusal
from utd_rx.engine.rules.seat_state import Reply
from utd_rx.engine.signal_hub import SignalHub
from utd_rx.engine.tokens import Tokens
from utd_rx.protocol.wire.errors import error_to_wire


@frozen
class Context:
    """What the routes serve; `livekit_url` and `signal_url` are what the mints say."""

    core: EngineCore
    secrets: Secrets = field(repr=False)
    tokens: Tokens = field(repr=False)
    livekit_url: str
    signal_url: str
    hub: SignalHub
    new_id: Callable[[], str] = lambda: token_hex(12)
    """Makes the ids of calls, which nobody could guess."""


@frozen(eq=False)
class HttpRequest:
    """One request.

    Args:
        context: What is served.
        method: In capitals.
        match_info: What stands in the path where a route has a name.
        query: The last value of each key.
        headers: By name; aiohttp's ask without regard to case.
        chunks: Reads the body.
        trust: Called once its credentials were found good.
    """

    context: Context
    method: str
    match_info: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    chunks: Callable[[], AsyncIterator[bytes]] = field(repr=False)
    trust: Callable[[], None] = field(repr=False)


@frozen
class HttpReply:
    """What is answered: JSON."""

    body: Reply
    status: int = 200
    headers: Mapping[str, str] = {}


RouteHandler: TypeAlias = Callable[[HttpRequest], Coroutine[Any, Any, HttpReply]]
"""Answers, or raises `Refusal`."""


def refused(refusal: Refusal) -> HttpReply:
    """Return the answer that a refusal is."""
    headers = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
    body = error_to_wire(refusal.message, refusal.reason.code, reason=refusal.cause)
    return HttpReply(body, refusal.status, headers)
