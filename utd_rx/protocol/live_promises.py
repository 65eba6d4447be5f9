"""What the commands of a live stream are promised, as `utd_rx.protocol.promises`."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from utd_rx.errors import UTDStreamException
from utd_rx.models.stage import Stage, StageRequest
from utd_rx.protocol.facts import stage as facts
from utd_rx.protocol.live_stream import LiveStreamState
from utd_rx.protocol.promises import PUSH_TIMEOUT, SWITCH_TIMEOUT, Published
from utd_rx.protocol.publishing import SOURCES
from utd_rx.protocol.waiting import Promise, taken_back


@frozen
class StagePromise(Promise):
    """Something about `identity` that the engine's stage bears out or not, so it can be asked."""

    asks_after = PUSH_TIMEOUT

    identity: str

    def holds_in(self, stage: Stage, requests: tuple[StageRequest, ...] | None) -> bool:
        """Whether the engine's word bears it out; `requests` None: it told none."""
        raise NotImplementedError

    def holds(self, state: LiveStreamState) -> bool:
        copy = state.stage
        return copy.is_known and self.holds_in(copy.stage, copy.requests)

    def shows(self, state: LiveStreamState) -> bool:
        return self.holds(state)

    def question(self, state: LiveStreamState, wait_id: int) -> facts.FetchStage:
        return facts.FetchStage(state.stage.generation, state.stage.answers, wait_id)

    def denial(self, answer: object) -> UTDStreamException | None:
        match answer:
            case facts.StageFetched(stage=stage, requests=requests):
                return None if self.holds_in(stage, requests) else taken_back(self.what)
            case facts.StageNotFetched(error=error):
                return error
            case _:
                return None


@frozen
class IsOnStage(StagePromise):
    says = "the place of {identity!r} on the stage"

    def holds_in(self, stage: Stage, requests: tuple[StageRequest, ...] | None) -> bool:
        return stage.has(self.identity)


@frozen
class IsOffStage(StagePromise):
    says = "the end of the place of {identity!r} on the stage"

    def holds_in(self, stage: Stage, requests: tuple[StageRequest, ...] | None) -> bool:
        return not stage.has(self.identity)


@frozen
class HasLeftStage(IsOffStage):
    """`identity`, who is this client, is not on the stage and publishes nothing."""

    says = "the end of {identity!r} on the stage"

    def shows(self, state: LiveStreamState) -> bool:
        own = state.session.publications
        return super().shows(state) and all(own.of(source).track is None for source in SOURCES)


@frozen
class HandIsDown(StagePromise):
    """`identity`, whom this client may see, has no hand up."""

    says = "the end of the raised hand of {identity!r}"

    def holds_in(self, stage: Stage, requests: tuple[StageRequest, ...] | None) -> bool:
        return all(asked.identity != self.identity for asked in requests or ())


@frozen
class IsOnAir(Promise):
    """All of the own sources are on that were switched on together."""

    says = "what goes live"
    seconds = SWITCH_TIMEOUT

    words: tuple[Published, ...]

    def shows(self, state: LiveStreamState) -> bool:
        return all(word.shows(state) for word in self.words)

    def failure(self, state: LiveStreamState) -> UTDStreamException | None:
        failures = (word.failure(state) for word in self.words)
        return next((one for one in failures if one is not None), None)


ON_STAGE: Final = (IsOnAir, IsOnStage, IsOffStage, HasLeftStage, HandIsDown)
"""The promises of a live stream: its row names them (`protocol.kinds`)."""
