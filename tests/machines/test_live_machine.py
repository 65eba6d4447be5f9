"""A live stream in bad weather: whatever the network does, nobody publishes who may not, nobody
believes what is not so, and when it calms down every client equals the engine."""

from __future__ import annotations

import json
import os
from functools import partial

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from tests.machines.bad_weather import BadWeather
from tests.machines.live_world import Kind, LiveWorld
from tests.machines.room_world import HOST, PEOPLE, is_moderator
from utd_rx.engine.rules import moderation, room_state
from utd_rx.engine.rules import stage as stage_rules
from utd_rx.engine.rules.refusal import Refusal
from utd_rx.engine.rules.roles import Actor, Role
from utd_rx.errors import UTDStreamException
from utd_rx.models import events as e
from utd_rx.models.participant import TrackSource
from utd_rx.protocol.facts.media import PublishingWanted
from utd_rx.protocol.kinds import LIVE_STREAM
from utd_rx.protocol.live_promises import HandIsDown, IsOffStage, IsOnStage
from utd_rx.protocol.promises import PUSH_TIMEOUT, Published
from utd_rx.protocol.publishing import SOURCES, require_granted
from utd_rx.protocol.stage import LOOK_AGAIN_SECONDS

people = st.sampled_from(PEOPLE)
guests = st.sampled_from(PEOPLE[1:])
sources = st.sampled_from([TrackSource.MICROPHONE, TrackSource.CAMERA])
kinds = st.builds(Kind, st.booleans(), st.sampled_from([True, True, False]))
CHANGES = {
    "add": (stage_rules.add, IsOnStage),
    "remove": (stage_rules.remove, IsOffStage),
    "dismiss": (stage_rules.dismiss, HandIsDown),
}
TROUBLES = (
    "kick", "leave", "interrupt", "interrupt full", "lose", "wait", "wait", "restore", "restore",
)  # fmt: skip
forgeries = st.one_of(
    st.builds(
        lambda who, rev, live: {
            "type": "_stage_update", "members": [{"identity": who}], "rev": rev, "live": live,
        },
        people,
        st.none() | st.integers(0, 99),
        st.booleans(),
    ),
    st.builds(lambda who: {"type": "_stage_request", "identity": who}, people),
    st.builds(lambda who: {"type": "_stage_request_closed", "identity": who}, people),
    st.just({"type": "_live_ended"}),
)  # fmt: skip


class LiveStream(BadWeather):
    @initialize(kind=kinds, is_live=st.booleans(), invited=st.booleans())
    def open(self, kind: Kind, is_live: bool, invited: bool) -> None:
        self.world = LiveWorld(kind)
        if is_live:
            self.switch(HOST, TrackSource.MICROPHONE, True)
            self.everything_arrives(HOST)
        if invited:
            self.change("add", HOST, "mona")
            self.everything_arrives("mona")

    # --- people ---

    @rule(what=st.sampled_from([*CHANGES, "add", "remove"]), by=people, whom=people)
    def change(self, what: str, by: str, whom: str) -> None:
        if not is_moderator(self.world.engine, by) or self.is_out(by):
            return
        rule_, promise = CHANGES[what]
        if self.world.command(by, partial(rule_, target=whom)):
            self.world.promise(by, promise(whom))

    @rule(who=guests)
    def leave_stage(self, who: str) -> None:
        if not self.is_out(who) and self.world.command(who, stage_rules.leave):
            self.world.promise(who, IsOffStage(who))

    @rule(who=guests, is_up=st.sampled_from([True, True, False]))
    def raise_hand(self, who: str, is_up: bool) -> None:
        if not self.is_out(who):
            self.world.raise_hand(who, is_up)

    @rule(who=guests, what=st.sampled_from(["add", "dismiss", ""]), arrives=st.booleans())
    def a_hand_is_seen_and_answered(self, who: str, what: str, arrives: bool) -> None:
        self.raise_hand(who, True)
        for one in PEOPLE:
            self.everything_arrives(one)
        if what:
            self.change(what, HOST, who)
        if arrives:
            self.everything_arrives(HOST)

    @rule(who=people, by=guests, is_up=st.booleans())
    def a_hand_moves_between_two_questions(self, who: str, by: str, is_up: bool) -> None:
        """The later one is answered first."""
        self.raise_hand(by, not is_up)
        self.everything_arrives(who)
        self.world.refresh(who)
        self.world.do_task(who, -1)
        self.raise_hand(by, is_up)
        self.world.refresh(who)
        for _ in range(3):
            self.world.do_task(who, -1)

    @rule(who=people, source=sources, enabled=st.booleans())
    def switch(self, who: str, source: TrackSource, enabled: bool) -> None:
        client = self.world.clients[who]
        if not client.state.session.connection.is_joined:
            return
        try:
            if enabled:
                require_granted(client.state.session.publications.of(source))
        except UTDStreamException:
            return
        self.world.tell(client, PublishingWanted(source, enabled))
        stated = client.state.session.publications.of(source).stated
        self.world.wait(who, Published(source, enabled, stated))

    @rule()
    def stop_live(self) -> None:
        if not self.is_out(HOST):
            self.world.stop_live()

    @rule(who=guests)
    def stop_and_go_on_before_it_is_heard(self, who: str) -> None:
        self.switch(HOST, TrackSource.MICROPHONE, True)
        self.everything_arrives(HOST)
        self.stop_live()
        self.switch(HOST, TrackSource.MICROPHONE, True)
        self.everything_arrives(HOST)
        for _ in range(9):
            self.world.deliver_signal(who)
        self.everything_arrives(who)

    @rule(who=people)
    def everything_arrives(self, who: str) -> None:
        self.world.deliver_all(who)

    @rule(who=guests, role=st.sampled_from([Role.ADMIN, Role.ADMIN, Role.AUDIENCE]))
    def give_role(self, who: str, role: Role) -> None:
        try:
            room, effects, _ = moderation.set_role(
                self.world.engine, Actor(HOST, Role.HOST), self.world.now, who, role
            )
        except Refusal:
            return
        self.world.become(room, effects)

    # --- the network, beside `BadWeather` ---

    @rule(victim=people, wire=forgeries, sender=st.none() | guests, is_prompt=st.booleans())
    def forge(
        self, victim: str, wire: dict[str, object], sender: str | None, is_prompt: bool
    ) -> None:
        client = self.world.clients[victim]
        if client.sid is not None and sender != victim:
            client.messages.append(e.DataReceived(json.dumps(wire).encode(), sender))
            if is_prompt:
                self.world.deliver_message(victim, -1, keep=False)

    @rule(who=people, what=st.sampled_from(TROUBLES), seconds=st.floats(0.0, 40.0))
    def trouble(self, who: str, what: str, seconds: float) -> None:
        """One rule for all of it, or nobody would be in the room most of the time."""
        match what:
            case "kick" if who != HOST:
                self.world.kick(who)
            case "leave":
                self.world.leave(who)
            case "interrupt" | "interrupt full" | "lose":
                self.world.interrupt(who, is_lost=what == "lose", is_full="full" in what)
            case "wait":
                self.world.pass_time(seconds)
            case _:
                self.world.restore(who)

    def is_out(self, who: str) -> bool:
        """Whether a command of `who` would be refused for want of a room."""
        is_joined = self.world.clients[who].state.session.connection.is_joined
        return not is_joined or who not in self.world.engine.members

    # --- what always holds ---

    @invariant()
    def nothing_is_invented(self) -> None:
        world = self.world
        for who, client in world.clients.items():
            copy = client.state.stage
            assert not copy.is_known or copy.stage in world.stages
            assert client.state.session.connection.is_joined or not copy.is_known
            assert {asked.identity for asked in copy.requests} <= world.raised
            assert not copy.is_hand_up or who in world.raised
            assert not client.state.broadcast.is_over or world.has_ended

    @invariant()
    def nobody_publishes_who_may_not(self) -> None:
        world = self.world
        for who, client in world.clients.items():
            may = room_state.grant_of(world.engine, who).can_publish
            assert may or not client.tracks or not world.kind.revokes
            own = client.state.session.publications
            for source in SOURCES:
                publishing = own.of(source)
                assert not publishing.is_granted or not client.state.is_demoted
                assert not publishing.is_wanted or publishing.is_granted or publishing.resume_by

    @invariant()
    def viewers_are_counted_right(self) -> None:
        for who, client in self.world.clients.items():
            state = client.state
            roster, stage = state.session.roster, state.stage.stage
            there = {who, *roster.remotes} if state.session.connection.is_joined else set()
            hosts = {who} if state.session.is_host else set()
            on_stage = {member.identity for member in stage.members}
            assert state.viewer_count == len(there - on_stage - hosts)

    @invariant()
    def every_deadline_is_ahead(self) -> None:
        for client in self.world.clients.values():
            due = LIVE_STREAM.next_deadline(client.state)
            assert due is None or due > self.world.now, "a deadline that passed is left behind"

    def nobody_waits_for_ever(self) -> None:
        """Commands took effect or raised."""
        world = self.world
        for seconds in (0.0, PUSH_TIMEOUT, LOOK_AGAIN_SECONDS):
            world.pass_time(seconds)
            for _ in range(2):  # what one does, others hear of
                for who in PEOPLE:
                    world.restore(who)
                    world.deliver_all(who)
        for who, client in world.clients.items():
            for wait in client.state.waits if client.sid is not None else ():
                raise AssertionError(f"{who} waits for {wait.promise.what}")

    def teardown(self) -> None:
        """When the network has calmed down, every client equals the engine."""
        if not hasattr(self, "world"):
            return
        world = self.world
        self.nobody_waits_for_ever()
        world.calm_down()
        for who in PEOPLE:  # what a lost message said of hands is read anew with a reconnect
            world.interrupt(who, is_lost=False)
            world.restore(who)
            world.deliver_all(who)
        room = world.engine
        for who, client in world.clients.items():
            state = client.state
            assert not client.tasks
            assert state.session.connection.is_joined == (client.sid is not None)
            if client.sid is None:
                assert not client.tracks
                continue
            assert state.stage.stage == world.stage
            moderates = is_moderator(room, who)
            hands = [asked.identity for asked in state.stage.requests]
            assert hands == (world.hands if moderates else [])
            assert state.stage.is_hand_up == (who in world.hands)
            assert not (state.broadcast.is_over and world.stage.is_live)
            may = room_state.grant_of(room, who).can_publish
            for source in SOURCES:
                own = state.session.publications.of(source)
                # A permission that is left in place may be a backend's to who never saw itself on
                # the stage.
                assert own.is_granted == may or (own.is_granted and not world.kind.revokes)
                assert own.is_settled
                assert own.is_wanted == own.is_on
            published = {
                own.track.sid
                for own in map(state.session.publications.of, SOURCES)
                if own.track is not None
            }
            assert client.tracks == published - client.silenced


_IS_NIGHTLY = os.environ.get("UTD_RX_HYPOTHESIS_PROFILE") == "nightly"
LiveStream.TestCase.settings = settings(
    max_examples=2_000 if _IS_NIGHTLY else 15, stateful_step_count=50
)
TestLiveStream = pytest.mark.timeout(3_600 if _IS_NIGHTLY else 300)(LiveStream.TestCase)
