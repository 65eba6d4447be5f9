"""What crosses a room port when methods are called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from attrs import field, frozen

from utd_rx.errors import UTDStreamException, invalid
from utd_rx.models.checks import identity, number
from utd_rx.models.methods import MethodInvocation

MAX_METHOD: Final = 64
"""Bytes of a method's name; LiveKit's native code has no bound of its own."""

MAX_PAYLOAD: Final = 1_000_000
"""Bytes of a payload or an answer; an older client of LiveKit's takes 15 KiB, and one that gets
more is told so (docs/livekit.md, "Methods")."""

MAX_TIMEOUT: Final = 3_600.0

Reply: TypeAlias = str | UTDStreamException
"""What a method returned, or raised."""

InvocationSink: TypeAlias = Callable[[MethodInvocation], None]
"""Takes one call, on its own loop; never raises."""


def text(value: object, what: str, most: int) -> str:
    """Return a text that can be sent, of `most` bytes, or raise `VALIDATION`."""
    if not isinstance(value, str):
        raise invalid(f"{what} is a str, not {type(value).__name__}")
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise invalid(f"{what} is text that UTF-8 can say") from error
    if size > most:
        raise invalid(f"{what} holds at most {most} bytes; this one has {size}")
    return value


def method_name(value: str) -> str:
    """Return the name of a method, or raise `VALIDATION`."""
    if not text(value, "method", MAX_METHOD):
        raise invalid("method is a name that is not empty")
    return value


def _payload(value: str) -> str:
    return text(value, "payload", MAX_PAYLOAD)


def _to(value: str) -> str:
    return identity(value, "to")


def _timeout(value: float) -> float:
    rule = f"timeout is seconds from 0.1 to {MAX_TIMEOUT:g}"
    return number(value, rule, 0.1, MAX_TIMEOUT)


@frozen
class MethodRequest:
    """A call that can be made, any other raises `VALIDATION`."""

    method: str = field(converter=method_name)
    payload: str = field(repr=False, converter=_payload)
    to: str = field(converter=_to)
    timeout: float = field(default=10.0, converter=_timeout)
