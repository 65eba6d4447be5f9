"""A live stream under any commands by anybody, joins, losses, tracks and time, in any order.

Beside it are a media server that believes only effects, and a moderator who knows the raised hands
by what is pushed alone; both always agree with the room.
"""

from __future__ import annotations

from functools import partial

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from utd_rx.engine.core import Rule
from utd_rx.engine.rules import moderation, room_state, stage
from utd_rx.engine.rules.effects import (
    ApplyGrant,
    Effects,
    PublishStage,
    Push,
    TellModerators,
)
from utd_rx.engine.rules.refusal import Refusal
from utd_rx.engine.rules.roles import Actor, Role
from utd_rx.engine.rules.room_state import Admission, RoomState, Session
from utd_rx.engine.rules.stage_state import HOST_SECONDS
from utd_rx.models.stream_type import UTDStreamType

LIVE = UTDStreamType.LIVE_STREAM
OTHERS = ("adam", "mona", "omar", "李雷")
people = st.sampled_from(("sara", *OTHERS))
moderators = st.sampled_from(("sara", "adam"))
graces = st.sampled_from([0.0, 2.0, 20.0])


class StageMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.room = room_state.fresh("friday", LIVE, 1)
        self.published = room_state.stage_of(self.room)
        self.publishing: set[str] = set()
        self.hands: list[str] = []
        self.host_left: float | None = None
        self.sids = 0

    @initialize(is_live=st.booleans())
    def open(self, is_live: bool) -> None:
        """Everybody is there."""
        for who in ("sara", *OTHERS):
            self.mint(who)
            self.join(who)
        if is_live:
            self.publish("sara")

    @rule(who=people)
    def mint(self, who: str) -> None:
        role = {"sara": Role.HOST, "adam": Role.ADMIN}.get(who, Role.AUDIENCE)
        asked = Admission(who, LIVE, role, is_proven=role is Role.ADMIN)
        room, _, effects = room_state.admit(self.room, asked, 1, self.now)
        self._become(room, effects)

    @rule(who=people)
    def join(self, who: str) -> None:
        if who not in self.room.members:
            return
        self.sids += 1
        grant = room_state.grant_of(self.room, who)
        (self.publishing.add if grant.can_publish else self.publishing.discard)(who)
        session = Session(who, f"PA_{self.sids}", grant)
        if who == "sara":
            self.host_left = None
        self._become(*room_state.joined(self.room, session, self.now))

    @rule(who=people, grace=graces)
    def leave(self, who: str, grace: float) -> None:
        if (sid := self.room.sessions.get(who)) is None:
            return
        if who == "sara":
            self.host_left = self.now
        self._become(*room_state.left(self.room, Session(who, sid), self.now, grace))

    @rule(who=st.sampled_from(("sara", "sara", "mona")))
    def publish(self, who: str) -> None:
        self._become(*room_state.published(self.room, who, self.now))

    @rule(seconds=st.floats(0.0, 70.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self._become(*room_state.time_passed(self.room, self.now))

    @rule(who=moderators, whom=people, is_added=st.booleans())
    def set_stage(self, who: str, whom: str, is_added: bool) -> None:
        self._command(who, partial(stage.add if is_added else stage.remove, target=whom))

    @precondition(lambda self: self.hands)
    @rule(data=st.data())
    def promote_who_asks(self, data: st.DataObject) -> None:
        self._command("sara", partial(stage.add, target=data.draw(st.sampled_from(self.hands))))

    @rule(seconds=st.sampled_from([1.0, 30.0, 59.9, 60.0]))
    def lose_the_host(self, seconds: float) -> None:
        """For as long."""
        self.leave("sara", 20.0)
        self.wait(seconds)
        self.join("sara")

    @rule(who=people)
    def step_down(self, who: str) -> None:
        self._command(who, stage.leave)

    @rule(who=people, is_up=st.sampled_from([True, True, False]))
    def hand(self, who: str, is_up: bool) -> None:
        raised = partial(stage.raise_hand, created_at=f"{self.now}")
        self._command(who, raised if is_up else stage.lower_hand)

    @rule(who=moderators, whom=people)
    def dismiss(self, who: str, whom: str) -> None:
        self._command(who, partial(stage.dismiss, target=whom))

    @rule()
    def end(self) -> None:
        self._command("sara", stage.end)

    @rule(whom=people, is_silenced=st.booleans())
    def silence(self, whom: str, is_silenced: bool) -> None:
        change = moderation.silence if is_silenced else moderation.unsilence
        self._command(None, partial(change, target=whom))

    @rule(who=st.sampled_from(OTHERS), role=st.sampled_from([Role.ADMIN, Role.AUDIENCE]))
    def give_role(self, who: str, role: Role) -> None:
        self._command("sara", partial(moderation.set_role, target=who, role=role))

    @rule(who=people)
    def expel(self, who: str) -> None:
        self._become(*moderation.expel(self.room, who, self.now))
        self.publishing.discard(who)
        assert who not in self.room.stage.involved
        assert who != "sara" or not self.room.stage.is_live

    def _command(self, who: str | None, command: Rule) -> None:
        """An illegal command changes nothing."""
        if who is not None and who not in self.room.members:
            return
        actor = Actor(None, Role.HOST) if who is None else room_state.actor_of(self.room, who)
        before = self.room
        try:
            room, effects, reply = command(before, actor, self.now)
        except Refusal as refusal:
            assert refusal.status in (403, 404, 409, 422)
            assert self.room is before
        else:
            self._become(room, effects)
            if "members" in reply:
                assert reply == stage.shown(room, actor, self.now)

    def _become(self, room: RoomState, effects: Effects) -> None:
        old, new = room_state.stage_of(self.room), room_state.stage_of(room)
        assert (new.revision or 0) - (old.revision or 0) == int(new != old)
        assert (PublishStage() in effects) is (new != old)
        self.room = room
        for effect in effects:
            match effect:
                case ApplyGrant(who):
                    may = room_state.grant_of(room, who).can_publish
                    (self.publishing.add if may else self.publishing.discard)(who)
                case PublishStage():
                    self.published = new
                case Push("_live_ended", payload):
                    assert (old.is_live, new.is_live, len(payload)) == (True, False, 0)
                    self.hands.clear()
                case TellModerators("_stage_request", payload):
                    identity = str(payload["identity"])
                    if identity not in self.hands:
                        self.hands.append(identity)
                case TellModerators("_stage_request_closed", payload, also):
                    assert also == (payload["identity"],)
                    self.hands.remove(str(payload["identity"]))
                case _:
                    pass

    @invariant()
    def everybody_was_told(self) -> None:
        assert self.published == room_state.stage_of(self.room)

    @invariant()
    def moderators_know_the_hands_in_order(self) -> None:
        assert self.hands == [hand.asked.identity for hand in self.room.stage.hands]
        ages = [hand.raised_at for hand in self.room.stage.hands]
        assert ages == sorted(ages)

    @invariant()
    def who_may_publish_is_who_is_on_the_stage(self) -> None:
        for who in self.room.sessions:
            is_on = who in self.room.stage.members and who not in self.room.silenced
            assert (who in self.publishing) is is_on

    @invariant()
    def the_host_is_first_and_there_while_connected(self) -> None:
        members = self.room.stage.members
        assert len(members) == len(set(members))
        assert ("sara" in members[:1]) is ("sara" in members)
        assert "sara" in members or "sara" not in self.room.sessions

    @invariant()
    def nobody_on_the_stage_has_a_hand_up(self) -> None:
        assert set(self.hands).isdisjoint(self.room.stage.members)
        assert len(self.hands) == len(set(self.hands))

    @invariant()
    def a_broadcast_waits_for_its_host_and_no_longer(self) -> None:
        found = self.room.stage
        if found.ends_at is not None:
            assert found.is_live
            assert self.host_left is not None
            assert found.ends_at == self.host_left + HOST_SECONDS
            assert found.ends_at > self.now
        elif found.is_live:
            assert "sara" in self.room.sessions

    @invariant()
    def exactly_who_is_away_with_something_to_lose_has_a_deadline(self) -> None:
        found = self.room.stage
        assert set(found.frees_at) == found.involved - set(self.room.sessions)
        assert all(at > self.now for at in found.frees_at.values())

    def teardown(self) -> None:
        """In the end, when nobody acts any more, all that is left belongs to who is there."""
        self.wait(120.0)
        assert self.room.stage.involved <= set(self.room.sessions)
        if "sara" not in self.room.sessions:
            assert not self.room.stage.is_live
        assert room_state.next_deadline(self.room) is None


TestStageMachine = StageMachine.TestCase
