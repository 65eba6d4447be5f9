"""A whole room in bad weather: whatever the network does, nobody believes what is not so, nobody
publishes without a seat, and when it calms down every client equals the engine."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    invariant,
    rule,
)

from tests.engine.rules.asks import (
    AcceptInvitation,
    ApproveRequest,
    CancelRequest,
    DeclineInvitation,
    Invite,
    KickSeat,
    LeaveSeat,
    LockSeat,
    MoveSeat,
    RejectRequest,
    RequestSeat,
    SeatCommand,
    SetUpSeats,
    SpeakerCommand,
    TakeSeat,
    UnlockSeat,
    command_seats,
    command_speakers,
)
from tests.machines.bad_weather import BadWeather
from tests.machines.room_world import HOST, PEOPLE, is_moderator
from tests.machines.world import Kind, World
from utd_rx.engine.rules import moderation, room_state
from utd_rx.engine.rules import speakers as speaker_rules
from utd_rx.engine.rules.refusal import Refusal
from utd_rx.engine.rules.roles import Actor, Role
from utd_rx.errors import UTDStreamException
from utd_rx.models import events as e
from utd_rx.models.chat import ChatMessage
from utd_rx.models.connection import UTDConnectionState
from utd_rx.models.participant import TrackSource
from utd_rx.models.seats import UTDSeatGrid, UTDSeatMode
from utd_rx.protocol import promises
from utd_rx.protocol.chat import may_write
from utd_rx.protocol.connection import FORCE_EXIT_AFTER
from utd_rx.protocol.facts.media import PublishingWanted
from utd_rx.protocol.facts.seats import InvitationAnswered, SpeakRequested
from utd_rx.protocol.facts.words import ChatSent
from utd_rx.protocol.kinds import AUDIO_ROOM
from utd_rx.protocol.promises import PUSH_TIMEOUT, GridPromise
from utd_rx.protocol.publishing import require_granted
from utd_rx.protocol.speakers import LOOK_AGAIN_SECONDS
from utd_rx.protocol.wire.reading import read_int

people = st.sampled_from(PEOPLE)
guests = st.sampled_from(PEOPLE[1:])
indices = st.integers(0, 3)
ids = st.integers(1, 5)
commands: st.SearchStrategy[SeatCommand | SpeakerCommand] = st.one_of(
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
TROUBLES = (
    "kick", "ban", "leave", "interrupt", "interrupt full", "lose",
    "wait", "wait", "restore", "restore",
)  # fmt: skip
kinds = st.builds(Kind, st.booleans(), st.booleans(), st.sampled_from([True, True, False]))
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
    st.builds(lambda n, by, who: {"type": "_speaker_invitation", "invitation_id": n,
                                  "inviter_identity": by, "target_identity": who},
              st.integers(90, 99), people, people),
    st.builds(lambda who: {"type": "_banned", "identity": who}, people),
)  # fmt: skip


def promised(
    who: str, item: SeatCommand | SpeakerCommand, index: int | None, grid: UTDSeatGrid
) -> GridPromise | None:
    """Return what the session's command waits for, `grid` being the client's."""
    match item:
        case TakeSeat(i) | MoveSeat(i):
            return promises.IsSitting(who, i)
        case AcceptInvitation():
            return promises.IsSitting(who, index)
        case LeaveSeat():
            return promises.IsStanding(who)
        case KickSeat(i):
            return promises.SeatIsVacated(i, grid.seats[i].identity if i < grid.count else None)
        case LockSeat(i) | UnlockSeat(i):
            return promises.SeatIsLocked(i, isinstance(item, LockSeat))
        case RequestSeat():
            return promises.IsAsking(who, None)
        case CancelRequest():
            return promises.IsSilent(who)
        case ApproveRequest(id) | RejectRequest(id):
            return promises.IsAnswered(id)
        case _:
            return None


class WholeRoom(BadWeather):
    @initialize(mode=st.sampled_from(UTDSeatMode), count=st.integers(1, 4), kind=kinds)
    def open(self, mode: UTDSeatMode, count: int, kind: Kind) -> None:
        self.world = World(mode, count, kind)

    # --- people ---

    @rule(who=people, item=commands)
    def command(self, who: str, item: SeatCommand | SpeakerCommand) -> None:
        room = self.world.engine
        if room_state.role_of(room, who) is None:
            return
        if isinstance(item, MODERATING) and not is_moderator(room, who):
            return
        actor, now = room_state.actor_of(room, who), self.world.now
        offered = {offer.invitation.id for offer in room.seats.invitations}
        try:
            if isinstance(item, SpeakerCommand):
                after, effects, reply = command_speakers(room, actor, item, now)
                index = read_int(reply.get("seat_index"))
            else:
                after, effects = command_seats(room, actor, item, now)
                index = None
        except Refusal:
            assert self.world.engine is room, "what is refused changes nothing"
            return
        client = self.world.clients[who]
        self.world.become(after, effects)
        promise = promised(who, item, index, client.state.seats.grid)
        if isinstance(item, RequestSeat):
            id_ = read_int(reply["request_id"])
            assert id_ is not None
            self.world.tell(client, SpeakRequested(id_, client.state.session.microphone.stated))
        if isinstance(item, AcceptInvitation | DeclineInvitation):
            assert item.id in offered
            self.world.tell(client, InvitationAnswered(item.id))
        if promise is not None:
            self.world.promise(who, promise)

    @rule(who=people, index=indices, arrives=st.booleans())
    def take_seat(self, who: str, index: int, arrives: bool) -> None:
        self.command(who, TakeSeat(index))
        if arrives:
            self.everything_arrives(who)

    @rule(who=people)
    def everything_arrives(self, who: str) -> None:
        self.world.deliver_all(who)

    @rule(who=people, by=people, item=commands)
    def a_change_falls_between_two_questions(
        self, who: str, by: str, item: SeatCommand | SpeakerCommand
    ) -> None:
        """The later one is answered first."""
        self.world.get_seats(who)
        self.world.do_task(who, -1)
        self.command(by, item)
        self.world.get_seats(who)
        for _ in range(3):
            self.world.do_task(who, -1)

    @rule(who=people, enabled=st.booleans())
    def switch_microphone(self, who: str, enabled: bool) -> None:
        client, source = self.world.clients[who], TrackSource.MICROPHONE
        if not client.state.session.connection.is_joined:
            return
        try:
            if enabled:
                require_granted(client.state.session.microphone)
        except UTDStreamException:
            assert not client.state.session.microphone.is_granted
            return
        self.world.tell(client, PublishingWanted(source, enabled))
        stated = client.state.session.microphone.stated
        self.world.wait(who, promises.Published(source, enabled, stated))

    @rule(who=guests, role=st.sampled_from([Role.ADMIN, Role.GUEST, Role.AUDIENCE]))
    def give_role(self, who: str, role: Role) -> None:
        try:
            room, effects, _ = moderation.set_role(
                self.world.engine, Actor(HOST, Role.HOST), self.world.now, who, role
            )
        except Refusal:
            return
        self.world.become(room, effects)

    @rule(is_locked=st.booleans())
    def lock_chat(self, is_locked: bool) -> None:
        host, now = Actor(HOST, Role.HOST), self.world.now
        room, effects, _ = moderation.lock_comments(self.world.engine, host, now, is_locked)
        self.world.become(room, effects)

    @rule(who=people, text=st.sampled_from("abc"), claimed=people, is_known=st.booleans())
    def chat(self, who: str, text: str, claimed: str, is_known: bool) -> None:
        state = self.world.clients[who].state.session
        is_there = self.world.clients[who].sid is not None and state.connection.is_connected
        if is_there and may_write(state.chat, state.roles.known.get(who)):
            self.world.tell(self.world.clients[who], ChatSent(ChatMessage(text, text, who)))
        if is_there:  # a client that does not keep to the lock sends all the same
            self.world.say(who, text, claimed=claimed, is_known=is_known)

    @rule(who=people, index=indices, words=st.lists(st.booleans(), max_size=3))
    def an_outage_while_speaking_is_survived(self, who: str, index: int, words: list[bool]) -> None:
        world, client = self.world, self.world.clients[who]
        self.command(who, TakeSeat(index))
        world.deliver_all(who)
        if not (client.state.session.microphone.is_granted and world.kind.revokes):
            return
        world.tell(client, PublishingWanted(TrackSource.MICROPHONE, True))
        world.deliver_all(who)
        # In an outage already, its own state is what was; the seat may be gone.
        is_there = client.sid is not None and client.state.session.connection.is_connected
        if is_there and client.state.session.microphone.is_on:
            world.interrupt(who, is_lost=True)
            assert not client.tracks
            for enabled in words:
                self.switch_microphone(who, enabled)
            world.deliver_all(who)
            is_on = words[-1] if words else True
            assert client.state.session.microphone.is_on is is_on, "what was wanted last"
            assert bool(client.tracks) is is_on

    # --- the network, beside `BadWeather` ---

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
            case "kick" | "ban" if who != HOST:
                self.world.kick(who, for_good=what == "ban")
            case "leave":
                self.world.leave(who)
            case "interrupt" | "interrupt full" | "lose":
                self.world.interrupt(who, is_lost=what == "lose", is_full="full" in what)
            case "wait":
                self.world.pass_time(seconds)
            case _:
                self.world.restore(who)

    # --- what always holds ---

    @invariant()
    def a_seat_has_one_occupant_and_a_user_one_seat(self) -> None:
        for client in self.world.clients.values():
            seated = [s.identity for s in client.state.seats.grid.seats if s.identity is not None]
            assert len(seated) == len(set(seated))
        seats = self.world.engine.seats
        seated = [seat.identity for seat in seats.grid.seats if seat.identity is not None]
        assert len(seated) == len(set(seated))
        assert not seats.seated & {request.identity for request in seats.grid.requests}
        assert not seats.seated & {offer.invitation.target for offer in seats.invitations}

    @invariant()
    def nothing_is_invented(self) -> None:
        world = self.world
        for who, client in world.clients.items():
            state = client.state
            assert not state.seats.is_known or state.seats.grid in world.grids
            assert state.session.connection.is_joined or state.seats.grid == UTDSeatGrid()
            for identity, role in state.session.roles.known.items():
                assert (identity, role.value) in world.roles
            assert not state.session.chat.is_locked or world.has_locked
            assert state.session.bans.notice is None or who in world.were_banned
            if world.kind.lists and state.speakers.is_listed:
                for offer in state.speakers.offers:
                    target, expires_at = world.offered[offer.invitation.id]
                    assert target == who
                    assert world.now < expires_at, "an offer that is over is shown"

    @invariant()
    def the_chat_holds_what_was_said_once_and_by_whom(self) -> None:
        for who, client in self.world.clients.items():
            history = client.state.session.chat.history
            named = [(message.sender, message.id) for message in history]
            assert len(named) == len(set(named))
            assert {key for key in named if key[0] is not None} <= self.world.said | {
                (who, text) for text in "abc"
            }

    @invariant()
    def nobody_is_heard_without_a_seat(self) -> None:
        world = self.world
        for who, client in world.clients.items():
            is_seated = who in world.engine.seats.seated
            if world.kind.revokes:
                assert is_seated or not client.tracks
                if client.sid is not None and who in world.engine.sessions:
                    assert world.grants[who] == is_seated
            microphone = client.state.session.microphone
            assert not microphone.is_granted or client.state.my_seat is not None
            assert not microphone.is_wanted or microphone.is_granted or microphone.resume_by

    @invariant()
    def every_deadline_is_ahead_and_every_outage_ends(self) -> None:
        for client in self.world.clients.values():
            connection = client.state.session.connection
            is_out = connection.state is UTDConnectionState.RECONNECTING
            ends_at = client.dropped_at + FORCE_EXIT_AFTER if is_out else None
            assert connection.force_exit_at == ends_at
            assert ends_at is None or ends_at > self.world.now
            assert client.sid is None or not connection.is_resting
            due = AUDIO_ROOM.next_deadline(client.state)
            assert due is None or due > self.world.now, "a deadline that passed is left behind"

    def nobody_waits_for_ever(self) -> None:
        """Commands took effect or raised, and offers are as the engine has them."""
        world = self.world
        for seconds in (0.0, PUSH_TIMEOUT, LOOK_AGAIN_SECONDS):
            world.pass_time(seconds)
            for _ in range(2):  # what one does, others hear of
                for who in PEOPLE:
                    world.restore(who)
                    world.deliver_all(who)
        for who, client in world.clients.items():
            if client.sid is None:
                continue
            for wait in client.state.waits:
                raise AssertionError(f"{who} waits for {wait.promise.what}")
            if world.kind.lists:
                world.interrupt(who, is_lost=False)
                world.restore(who)
                world.deliver_all(who)
                offers = speaker_rules.invitations_of(world.engine.seats, who, world.now)
                shown = {invitation.id for invitation in client.state.speakers.invitations}
                assert shown == {offer.invitation.id for offer in offers}

    def teardown(self) -> None:
        """When the network has calmed down, every client equals the engine."""
        if not hasattr(self, "world"):
            return
        world = self.world
        self.nobody_waits_for_ever()
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
            assert client.state.seats.grid == world.grid
            assert set(session.roster.remotes) == {
                name for name, other in world.clients.items() if other.sid and name != who
            }
            assert {name: role.value for name, role in session.roles.known.items()} == roles
            assert session.chat.is_locked == room.are_comments_locked
            assert session.microphone.is_granted == (who in room.seats.seated)
            assert session.microphone.is_settled
            assert session.microphone.is_wanted == session.microphone.is_on
            published = session.microphone.track
            shown = set() if published is None else {published.sid}
            assert client.tracks == shown - client.silenced


_IS_NIGHTLY = os.environ.get("UTD_RX_HYPOTHESIS_PROFILE") == "nightly"
WholeRoom.TestCase.settings = settings(
    # Examples may end early: of 2,000, well over 1,000 have all 50 steps.
    max_examples=2_000 if _IS_NIGHTLY else max(20, settings().max_examples // 2),
    stateful_step_count=50,
)
TestWholeRoom = pytest.mark.timeout(3_600 if _IS_NIGHTLY else 300)(WholeRoom.TestCase)
