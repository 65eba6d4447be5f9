"""What makes a method of a session a command."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.checks import arguments

P = ParamSpec("P")
R = TypeVar("R")


def command(method: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Make a method a command: refused on a foreign loop or thread, and after `aclose`.

    An identity, a number and what is on or off are checked here, for every command alike, before
    anything is made of them: `VALIDATION`.
    """
    check = arguments(method)

    @wraps(method)
    async def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        session: Any = args[0]
        session.require_here()
        check(*args, **kwargs)
        return await method(*args, **kwargs)

    return checked


def moderating(method: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Make a method a command of who moderates, refused in a kind of session that nobody does."""

    @command
    @wraps(method)
    async def allowed(*args: P.args, **kwargs: P.kwargs) -> R:
        session: Any = args[0]
        if not session.kind.is_moderated:
            message = "calls have no moderation: end the call instead"
            raise UTDStreamException(message, code=UTDErrorCode.FEATURE_DISABLED)
        return await method(*args, **kwargs)

    return allowed
