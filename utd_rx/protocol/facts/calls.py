"""What is told and asked about a 1:1 call; a call in a fact has no credentials."""

from __future__ import annotations

from attrs import field, frozen

from utd_rx.errors import UTDStreamException
from utd_rx.models.call import UTDCall
from utd_rx.protocol.facts import Effect, Fact
from utd_rx.protocol.wire.calls import without_credentials


@frozen
class CallJoined(Fact):
    """This device takes part in `call`: it dialled it, or the engine let it accept."""

    call: UTDCall = field(converter=without_credentials)


@frozen
class CallAdopted(Fact):
    """The app rings for `call`, or declines it: this session's now, and it takes no part."""

    call: UTDCall = field(converter=without_credentials)


@frozen
class CallRefused(Fact):
    """The engine let this device dial nobody: `peer` is on a call."""

    peer: str


@frozen
class CallTold(Fact):
    """The engine said how a call stands: a reply, a signal frame or its room's metadata.

    They come in any order, and more than once; the lifecycle only goes forward.
    """

    call: UTDCall = field(converter=without_credentials)


@frozen
class CallNotTold(Fact):
    """It did not say when it was asked; `NOT_FOUND`: it does not know the call.

    `is_last`: it was told of the hang-up then, and nobody asks again.
    """

    call_id: str
    error: UTDStreamException
    is_last: bool = False


@frozen
class AcceptStarted(Fact):
    """The app answers the call here; until the engine has said yes or no, nobody else did."""

    call_id: str


@frozen
class CallDisputed(Fact):
    """The engine refused what the app asked of the call: what is known of it may be old."""

    call_id: str


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
