"""A whole live stream without a network (`tests.machines.room_world`): stage, hands, broadcast."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeAlias

from attrs import evolve, frozen

from tests.machines.room_world import FAILED, HOST, PEOPLE, Answer, Client, RoomWorld
from utd_rx.engine.rules import room_state
from utd_rx.engine.rules import stage as stage_rules
from utd_rx.engine.rules.effects import PublishStage
from utd_rx.engine.rules.refusal import Refusal
from utd_rx.engine.rules.roles import Actor, Role
from utd_rx.engine.rules.room_state import Admission, Done, RoomState
from utd_rx.models import events as e
from utd_rx.models.participant import RemoteParticipant, TrackPublication
from utd_rx.models.stage import Stage
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol.data import LIVE_ENDED
from utd_rx.protocol.facts.media import PublishingWanted
from utd_rx.protocol.facts.stage import (
    FetchStage,
    HandChanged,
    LiveStopped,
    StageFetched,
    StageNotFetched,
)
from utd_rx.protocol.kinds import LIVE_STREAM
from utd_rx.protocol.live_promises import StagePromise
from utd_rx.protocol.live_stream import LiveStreamState
from utd_rx.protocol.publishing import SOURCES
from utd_rx.protocol.wire.stage import (
    STAGE_KEY,
    requests_in_stage,
    stage_from_wire,
    stage_to_wire,
)

Rule: TypeAlias = Callable[[RoomState, Actor, float], Done]


@frozen
class Kind:
    """Which engine it is; ours has all of these, another one may lack any."""

    numbers: bool = True
    """Whether its stages have revisions."""
    revokes: bool = True
    """Whether it takes the permission back with the place on the stage."""


class LiveWorld(RoomWorld):
    """The room; every method is one thing that happens."""

    rules = LIVE_STREAM

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.revokes = kind.revokes
        self.stages: list[Stage] = []
        """All that there were, in order; without revisions one may be there twice."""
        self.raised: set[str] = set()
        self.has_ended = False
        self.silent: set[str] = set()
        """The tracks that are muted."""
        asked = Admission(HOST, UTDStreamType.LIVE_STREAM, Role.HOST)
        super().__init__(asked, {who: LIVE_STREAM.begin(who, who == HOST) for who in PEOPLE})

    @property
    def stage(self) -> Stage:
        """The engine's stage, as this kind of engine tells it."""
        stage = room_state.stage_of(self.engine)
        return stage if self.kind.numbers else evolve(stage, revision=None)

    @property
    def hands(self) -> list[str]:
        """Whose hand the engine knows to be up, in order."""
        return [hand.asked.identity for hand in self.engine.stage.hands]

    # --- what people do -------------------------------------------------------------------------

    def command(self, who: str, rule: Rule) -> bool:
        """Have the engine carry out a command; return whether it did. The answer comes later."""
        room, client = self.engine, self.clients[who]
        try:
            after, effects, _ = rule(room, room_state.actor_of(room, who), self.now)
        except Refusal:
            assert self.engine is room, "what is refused changes nothing"
            return False
        copy = client.state.stage
        self.become(after, effects)
        told = self.told_to(who, copy.generation, copy.answers)
        client.tasks.append(Answer(told))
        return True

    def promise(self, who: str, promise: StagePromise) -> None:
        """The engine said yes to a command of `who`, who waits for it to show."""
        held = promise.holds_in(self.stage, self.told_to(who, 0, 0).requests)
        assert held, "a command that was accepted took effect"
        self.wait(who, promise)

    def refresh(self, who: str) -> None:
        """The app asks for the stage, whatever else is being asked."""
        client = self.clients[who]
        if client.state.session.connection.is_joined:
            copy = client.state.stage
            client.tasks.append(FetchStage(copy.generation, copy.answers))

    def raise_hand(self, who: str, is_up: bool) -> None:
        client = self.clients[who]
        epoch = client.state.session.connection.epoch
        rule = stage_rules.lower_hand

        def rule_up(room: RoomState, actor: Actor, now: float) -> Done:
            return stage_rules.raise_hand(room, actor, now, "2026-05-04T10:00:00.000Z")

        if self.command(who, rule_up if is_up else rule):
            client.tasks[-1] = Answer(HandChanged(is_up, epoch))

    def stop_live(self) -> None:
        """The host ends the broadcast once their tracks are down, and everybody may hear it."""
        client = self.clients[HOST]
        for source in SOURCES:
            self.tell(client, PublishingWanted(source, False, closes=True))
        self.deliver_all(HOST)
        if client.tracks or not client.state.session.connection.is_joined:
            return
        payload = json.dumps({"type": LIVE_ENDED}).encode()
        for who, other in self.clients.items():
            if other.sid is not None and who != HOST:
                other.messages.append(e.DataReceived(payload, HOST))
        self.has_ended = True
        if self.command(HOST, stage_rules.end):
            client.tasks.append(Answer(LiveStopped()))

    # --- as a room's world ----------------------------------------------------------------------

    def remember(self) -> None:
        if not self.stages or self.stages[-1] != self.stage:
            self.has_ended |= bool(self.stages and self.stages[-1].is_live)
            self.stages.append(self.stage)
        self.raised |= set(self.hands)

    def announce(self, effect: object) -> None:
        if isinstance(effect, PublishStage):
            self.publish()
            self.push("_stage_update", stage_to_wire(self.stage), None)

    def room_metadata(self) -> str:
        return json.dumps(
            {**json.loads(super().room_metadata()), STAGE_KEY: stage_to_wire(self.stage)}
        )

    def told_to(
        self, who: str, generation: int, answers: int, wait_id: int | None = None
    ) -> StageFetched:
        """What the engine answers `who` now, as it is read."""
        wire = stage_rules.shown(self.engine, room_state.actor_of(self.engine, who), self.now)
        stage = stage_from_wire({**wire, **stage_to_wire(self.stage)})
        if not self.kind.numbers:
            stage = evolve(stage, revision=None)
        return StageFetched(stage, requests_in_stage(wire), generation, answers, wait_id)

    def answers_of(self, client: Client, question: object, succeeds: bool) -> tuple[object, ...]:
        who = client.state.identity
        match question:
            case FetchStage(generation, answers, wait_id):
                if not succeeds or who not in self.engine.members:
                    return (StageNotFetched(FAILED, wait_id),)
                return (self.told_to(who, generation, answers, wait_id),)
        return super().answers_of(client, question, succeeds)

    def remote(self, who: str) -> RemoteParticipant:
        tracks = tuple(
            TrackPublication(sid, is_muted=sid in self.silent)
            for sid in sorted(self.clients[who].tracks)
        )
        return evolve(super().remote(who), tracks=tracks)

    def opened(self, who: str, track: TrackPublication) -> None:
        self.clients[who].signals.append(e.LocalTrackPublished(track))
        self.signal_all(e.TrackPublished(who, track), but=who)
        super().opened(who, track)

    def closed(self, who: str, sid: str) -> None:
        self.signal_all(e.TrackUnpublished(who, TrackPublication(sid)), but=who)

    def muted(self, who: str, sid: str, is_muted: bool) -> None:
        (self.silent.add if is_muted else self.silent.discard)(sid)
        told = e.TrackMuted if is_muted else e.TrackUnmuted
        self.signal_all(told(who, TrackPublication(sid, is_muted=is_muted)), but=who)

    def check_step(self, before: LiveStreamState, after: LiveStreamState, fact: object) -> None:
        known, seen = before.stage.stage, after.stage.stage
        is_replaced = before.stage.is_known and after.stage.is_known and known != seen
        if is_replaced and self.kind.numbers:
            newest = len(self.stages) - 1 - self.stages[::-1].index(seen)
            assert newest >= self.stages.index(known), "an older stage replaced a newer one"
        me, own = after.identity, after.session.publications
        is_dropped = known.has(me) and not seen.has(me) and me != HOST
        is_granted = any(own.of(source).is_granted for source in SOURCES)
        assert not (is_dropped and is_granted), "whom the stage drops publishes on"
        copy = after.stage
        hands = {asked.identity for asked in copy.requests}
        assert copy.moderates or not hands, "the hands of others are shown to a viewer"
        assert not hands & {member.identity for member in seen.members}, "a hand on the stage"
        assert not (copy.is_hand_up and seen.has(after.identity)), "an own hand on the stage"
        if isinstance(fact, e.DataReceived):
            assert seen is known, "a message changed the stage"
            told = (copy.requests, copy.is_hand_up)
            assert told == (before.stage.requests, before.stage.is_hand_up), "or a hand"
            is_hosts = fact.sender == HOST
            assert is_hosts or after.broadcast.is_over is before.broadcast.is_over, "or ended it"
