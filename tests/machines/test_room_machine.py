"""A whole room in bad weather: whatever the network does, nobody believes what is not so, nobody
publishes without a seat, and when it calms down every client equals the engine."""

from __future__ import annotations

import json
import os

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from tests.machines.world import HOST, PEOPLE, World, is_moderator
from utd_rx.engine.rules import moderation, rooms
from utd_rx.engine.rules.refusal import Refusal
from utd_rx.engine.rules.roles import Role
from utd_rx.engine.rules.seat_commands import (
    Actor,
    Command,
    KickSeat,
    LeaveSeat,
    LockSeat,
    MoveSeat,
    SetUpSeats,
    TakeSeat,
    UnlockSeat,
)
from utd_rx.engine.rules.speaker_commands import (
    AcceptInvitation,
    ApproveRequest,
    CancelRequest,
    DeclineInvitation,
    Invite,
    RejectRequest,
    RequestSeat,
    SpeakerCommand,
)
from utd_rx.models import events as e
from utd_rx.models.seats import UTDSeatMode
from utd_rx.protocol.facts import MicrophoneWanted, SpeakRequested

people = st.sampled_from(PEOPLE)
guests = st.sampled_from(PEOPLE[1:])
indices = st.integers(0, 3)
ids = st.integers(1, 5)
commands: st.SearchStrategy[Command | SpeakerCommand] = st.one_of(
    st.builds(TakeSeat, indices),
    st.just(LeaveSeat()),
    st.builds(MoveSeat, indices),
    st.builds(KickSeat, indices),
    st.builds(LockSeat, indices),
    st.builds(UnlockSeat, indices),
    st.builds(SetUpSeats, count=st.integers(1, 4), mode=st.sampled_from(UTDSeatMode)),
    st.just(RequestSeat("2026-05-04T10:00:00.000Z")),
    st.just(CancelRequest()),
    st.builds(ApproveRequest, ids),
    st.builds(RejectRequest, ids),
    st.builds(Invite, people, st.none() | indices),
    st.builds(AcceptInvitation, ids),
    st.builds(DeclineInvitation, ids),
)
MODERATING = (SetUpSeats, KickSeat, LockSeat, UnlockSeat, ApproveRequest, RejectRequest, Invite)
TROUBLES = ("kick", "leave", "interrupt", "lose", "wait", "wait", "restore", "restore")
forgeries = st.one_of(
    st.builds(
        lambda who, rev: {
            "type": "_seat_update", "count": 1, "rev": rev,
            "seats": [{"index": 0, "identity": who, "locked": False}],
        },
        people,
        st.none() | st.integers(0, 99),
    ),
    st.just({"type": "_mode_change", "mode_id": "forged", "seat_count": 1}),
    st.builds(lambda n, who: {"type": "_speaker_request", "request_id": n, "identity": who},
              ids, people),
    st.builds(lambda n, who: {"type": "_speaker_request_approved", "request_id": n,
                              "identity": who, "seat_index": 0}, ids, people),
    st.builds(lambda who, role: {"type": "_role_change", "identity": who, "role": role.value},
              people, st.sampled_from(Role)),
    st.just({"type": "_comment_lock", "locked": True}),
    st.builds(lambda who: {"type": "_banned", "identity": who}, people),
)  # fmt: skip


class WholeRoom(RuleBasedStateMachine):
    @initialize(mode=st.sampled_from(UTDSeatMode), count=st.integers(1, 4))
    def open(self, mode: UTDSeatMode, count: int) -> None:
        self.world = World(mode, count)

    # --- people ---

    @rule(who=people, item=commands)
    def command(self, who: str, item: Command | SpeakerCommand) -> None:
        room = self.world.engine
        if rooms.role_of(room, who) is None:
            return
        if isinstance(item, MODERATING) and not is_moderator(room, who):
            return
        actor, now = rooms.actor_of(room, who), self.world.now
        try:
            if isinstance(item, SpeakerCommand):
                after, effects, outcome = rooms.command_speakers(room, actor, item, now)
            else:
                after, effects = rooms.command_seats(room, actor, item, now)
        except Refusal:
            return
        self.world.become(after, effects)
        if isinstance(item, RequestSeat):
            self.world.tell(self.world.clients[who], SpeakRequested(outcome.id))

    @rule(who=people, index=indices, arrives=st.booleans())
    def take_seat(self, who: str, index: int, arrives: bool) -> None:
        self.command(who, TakeSeat(index))
        if arrives:
            self.everything_arrives(who)

    @rule(who=people)
    def everything_arrives(self, who: str) -> None:
        self.world.deliver_all(who)

    @rule(who=people, enabled=st.booleans())
    def switch_microphone(self, who: str, enabled: bool) -> None:
        client = self.world.clients[who]
        if client.state.session.microphone.is_granted or not enabled:
            self.world.tell(client, MicrophoneWanted(enabled))

    @rule(who=guests, role=st.sampled_from([Role.ADMIN, Role.GUEST, Role.AUDIENCE]))
    def give_role(self, who: str, role: Role) -> None:
        try:
            room, effects, _ = moderation.set_role(
                self.world.engine, Actor(HOST, Role.HOST), who, role
            )
        except Refusal:
            return
        self.world.become(room, effects)

    @rule(is_locked=st.booleans())
    def lock_chat(self, is_locked: bool) -> None:
        self.world.become(*moderation.lock_comments(self.world.engine, is_locked))

    @precondition(lambda self: self.absent())
    @rule(data=st.data())
    def join(self, data: st.DataObject) -> None:
        self.world.join(data.draw(st.sampled_from(self.absent())))

    # --- the network; every one of these does something ---

    @precondition(lambda self: self.having("signals"))
    @rule(data=st.data(), count=st.integers(1, 4))
    def deliver_signals(self, data: st.DataObject, count: int) -> None:
        who = data.draw(st.sampled_from(self.having("signals")))
        for _ in range(count):
            self.world.deliver_signal(who)

    @precondition(lambda self: self.having("messages"))
    @rule(data=st.data(), at=st.integers(0, 9), fate=st.sampled_from(["once", "again", "lost"]))
    def deliver_message(self, data: st.DataObject, at: int, fate: str) -> None:
        who = data.draw(st.sampled_from(self.having("messages")))
        if fate == "lost":
            self.world.clients[who].messages.pop()
        else:
            self.world.deliver_message(who, at, keep=fate == "again")

    @precondition(lambda self: self.having("tasks"))
    @rule(data=st.data(), at=st.integers(0, 9), succeeds=st.booleans())
    def finish_task(self, data: st.DataObject, at: int, succeeds: bool) -> None:
        who = data.draw(st.sampled_from(self.having("tasks")))
        self.world.do_task(who, at, succeeds=succeeds)

    @rule(victim=people, wire=forgeries, sender=st.none() | guests, is_prompt=st.booleans())
    def forge(
        self, victim: str, wire: dict[str, object], sender: str | None, is_prompt: bool
    ) -> None:
        client = self.world.clients[victim]
        if client.sid is not None:
            client.messages.append(e.DataReceived(json.dumps(wire).encode(), sender))
            if is_prompt:
                self.world.deliver_message(victim, -1, keep=False)

    @rule(who=people, what=st.sampled_from(TROUBLES), seconds=st.floats(0.0, 30.0))
    def trouble(self, who: str, what: str, seconds: float) -> None:
        """One rule for all of it, or nobody would be in the room most of the time."""
        match what:
            case "kick" if who != HOST:
                self.world.kick(who)
            case "leave":
                self.world.leave(who)
            case "interrupt" | "lose":
                self.world.interrupt(who, is_lost=what == "lose")
            case "wait":
                self.world.pass_time(seconds)
            case _:
                self.world.restore(who)

    def absent(self) -> list[str]:
        clients = self.world.clients.items()
        return [who for who, c in clients if c.state.session.connection.is_resting]

    def having(self, what: str) -> list[str]:
        return [who for who, client in self.world.clients.items() if getattr(client, what)]

    # --- what always holds ---

    @invariant()
    def a_seat_has_one_occupant_and_a_user_one_seat(self) -> None:
        for client in self.world.clients.values():
            seated = [s.identity for s in client.state.seats.grid.seats if s.identity is not None]
            assert len(seated) == len(set(seated))

    @invariant()
    def nothing_is_invented(self) -> None:
        world = self.world
        for who, client in world.clients.items():
            state = client.state
            assert not state.seats.is_known or state.seats.grid in world.grids
            for identity, role in state.session.roles.known.items():
                assert (identity, role.value) in world.roles
            assert not state.session.chat.is_locked or world.has_locked
            assert state.session.bans.notice is None or who in world.expelled

    @invariant()
    def nobody_is_heard_without_a_seat(self) -> None:
        world = self.world
        for who, client in world.clients.items():
            is_seated = who in world.engine.seats.seated
            assert is_seated or not client.tracks
            if client.sid is not None and who in world.engine.sessions:
                assert world.grants[who] == is_seated
            microphone = client.state.session.microphone
            assert not microphone.is_granted or client.state.my_seat is not None

    @invariant()
    def every_deadline_is_ahead_and_every_outage_ends(self) -> None:
        for client in self.world.clients.values():
            connection = client.state.session.connection
            assert connection.force_exit_at is None or connection.force_exit_at > self.world.now

    def teardown(self) -> None:
        """When the network has calmed down, every client equals the engine."""
        if not hasattr(self, "world"):
            return
        world = self.world
        world.calm_down()
        room = world.engine
        roles = {who: world.written[who].value for who in room.sessions}
        for who, client in world.clients.items():
            session = client.state.session
            assert not client.tasks
            assert session.connection.is_joined == (client.sid is not None)
            if client.sid is None:
                assert not client.tracks
                assert client.state.my_seat is None
                continue
            assert client.state.seats.grid == room.seats.grid
            assert {name: role.value for name, role in session.roles.known.items()} == roles
            assert session.chat.is_locked == room.are_comments_locked
            assert session.microphone.is_granted == (who in room.seats.seated)
            assert session.microphone.is_settled
            assert session.microphone.is_wanted == session.microphone.is_on
            published = session.microphone.track
            assert client.tracks == (set() if published is None else {published.sid})


_IS_NIGHTLY = os.environ.get("UTD_RX_HYPOTHESIS_PROFILE") == "nightly"
WholeRoom.TestCase.settings = settings(
    max_examples=1_000 if _IS_NIGHTLY else max(20, settings().max_examples // 2),
    stateful_step_count=50,
)
TestWholeRoom = WholeRoom.TestCase
