"""What is told and asked about a 1:1 call."""

from __future__ import annotations

from attrs import frozen

from utd_rx.errors import UTDStreamException
from utd_rx.models.call import UTDCall
from utd_rx.protocol.facts import Effect, Fact


@frozen
class CallJoined(Fact):
    """This device takes part in `call`: it dialled it, or the engine let it accept.

    Without credentials, as every call in a fact.
    """

    call: UTDCall


@frozen
class CallRefused(Fact):
    """The engine let this device dial nobody: whom it called, or it itself, is on a call."""

    peer: str


@frozen
class CallTold(Fact):
    """The engine said how a call stands: a reply, a signal frame or its room's metadata.

    They come in any order, and more than once; the lifecycle only goes forward.
    """

    call: UTDCall


@frozen
class CallNotTold(Fact):
    """It did not say when it was asked; `NOT_FOUND`: it does not know the call."""

    call_id: str
    error: UTDStreamException


@frozen
class CallEnded(Fact):
    """The app hung up; whatever the engine says of it later, this device is out."""

    call_id: str


@frozen
class SignalChanged(Fact):
    """The signal socket is up or not; what was told while it was not is lost."""

    is_up: bool


@frozen
class FetchCall(Effect):
    """Ask how a call stands; answer with `CallTold` or `CallNotTold`."""

    call_id: str
