"""What is told and asked about the signal socket; a call in a fact has no credentials."""

from __future__ import annotations

from attrs import field, frozen

from utd_rx.errors import UTDStreamException
from utd_rx.models.call import UTDCall
from utd_rx.protocol.facts import Effect, Fact
from utd_rx.protocol.facts.calls import CallTold, SignalChanged


@frozen
class SignalWanted(Fact):
    """The user is signed in; `has_socket`: the engine said where its socket is."""

    identity: str
    has_socket: bool


@frozen
class SignalUnwanted(Fact):
    """The client is being closed."""


@frozen
class SocketOpened(Fact):
    """The engine took the bearer of the socket number `attempt`."""

    attempt: int


@frozen
class SocketClosed(Fact):
    """Socket `attempt` is over, or never came up.

    Args:
        attempt: Its number.
        code: The engine's close code, None without one.
        error: Why.
        jitter: From 0 to 1: the share of the back-off to wait.
        is_final: Whether trying again would do harm.
    """

    attempt: int
    code: int | None
    error: UTDStreamException = field(repr=False)
    jitter: float
    is_final: bool = False


@frozen
class FrameHeard(Fact):
    """A frame about a call; `kind` as in `SignalCall`."""

    attempt: int
    kind: str
    call: UTDCall


@frozen
class FrameRefused(Fact):
    """A frame that means nothing."""

    attempt: int


@frozen
class OpenSocket(Effect):
    """Open the socket number `attempt`, in place of any other; answer with `SocketClosed`."""

    attempt: int


@frozen
class CloseSocket(Effect):
    """Close the socket that there is."""


@frozen
class TellSessions(Effect):
    """Tell the sessions that listen; `is_last`: they listen in vain from then on."""

    fact: CallTold | SignalChanged
    is_last: bool = False
