"""The signal port: the one socket on which the engine tells a user, in no room, of calls.

`rest.SignalClient` serves it over a WebSocket, `FakeSignal` for tests. One `run` is one socket,
from its opening to its end; when to try again is `protocol.signalling`'s to say. What crosses is
frozen and picklable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from attrs import field, frozen

from utd_rx.errors import UTDStreamException
from utd_rx.models.call import UTDCall


@frozen
class SignalOpened:
    """The engine took the bearer: `auth_ok`."""


@frozen
class SignalCall:
    """A frame about a call, without credentials; `kind` is its type without `call_`."""

    kind: str
    call: UTDCall


@frozen
class SignalRefused:
    """A frame that means nothing, was too early, or an error that the engine tells."""


@frozen
class SignalEnded:
    """The socket is over.

    Args:
        code: The WebSocket's close code; None when it broke, or never came up.
        error: Why.
        is_final: Whether trying again would do harm.
    """

    code: int | None
    error: UTDStreamException = field(repr=False)
    is_final: bool = False


SignalEvent: TypeAlias = SignalOpened | SignalCall | SignalRefused | SignalEnded
SignalSink: TypeAlias = Callable[[tuple[SignalEvent, ...]], None]
"""Takes what one turn of the loop brought, on its own loop; never raises."""


class SignalPort(Protocol):
    """The engine's signal socket, one connection at a time."""

    async def run(self, url: str, token: str, sink: SignalSink) -> None:
        """Connect, authenticate, and deliver until the socket ends; the last event is its end.

        Raises nothing. Cancelling is safe: it closes the socket, and delivers nothing more.
        """
