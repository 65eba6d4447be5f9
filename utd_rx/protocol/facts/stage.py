"""What is told and asked about the stage of a live stream, raised hands and the broadcast."""

from __future__ import annotations

from attrs import frozen

from utd_rx.errors import UTDStreamException
from utd_rx.models.stage import Stage, StageRequest
from utd_rx.protocol.facts import Effect, Fact


@frozen
class StageReceived(Fact):
    """Room metadata carries this stage; only the engine writes there."""

    stage: Stage


@frozen
class StageHinted(Fact):
    """A message without a sender claims this stage; the engine's, or a newcomer's forgery."""

    stage: Stage


@frozen
class HandHinted(Fact):
    """A message without a sender claims that somebody's hand is, or is not, up now."""

    identity: str
    is_up: bool


@frozen
class LiveEndHinted(Fact):
    """A message without a sender claims that the broadcast is over."""


@frozen
class StageFetched(Fact):
    """The engine told the stage; `generation` and `answers` were the state's when it was asked.

    `requests` are the raised hands that this client may see: all of them for who moderates; None
    where the engine told none. `wait_id` is the command's that asked.
    """

    stage: Stage
    requests: tuple[StageRequest, ...] | None
    generation: int
    answers: int
    wait_id: int | None = None


@frozen
class StageNotFetched(Fact):
    """The engine did not tell it."""

    error: UTDStreamException
    wait_id: int | None = None


@frozen
class HandChanged(Fact):
    """The engine took this client's own hand up, or down, as it was asked in join `epoch`."""

    is_up: bool
    epoch: int


@frozen
class LiveStopped(Fact):
    """The app, which hosts, ended the broadcast."""


@frozen
class FetchStage(Effect):
    """Ask `GET R/stage`; `StageFetched` of the same three, or `StageNotFetched`."""

    generation: int
    answers: int
    wait_id: int | None = None
