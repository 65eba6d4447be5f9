"""A whole room under any commands by anybody: seats, requests, invitations, roles, kicks, bans.

Beside the room there is a media server that believes only effects, and whose reports arrive late
and out of order. Whatever happens, once its reports are in it agrees with the room.
"""

from __future__ import annotations

from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.engine.rules.asks import (
    AcceptInvitation,
    ApproveRequest,
    DeclineInvitation,
    Invite,
    RejectRequest,
    RequestSeat,
    SeatCommand,
    SetUpSeats,
    SpeakerCommand,
    command_seats,
    command_speakers,
)
from tests.engine.rules.room_model import (
    MODERATING,
    Connection,
    Report,
    Token,
    people,
    seat_commands,
    speaker_commands,
)
from utd_rx.engine.rules import moderation, room_state
from utd_rx.engine.rules import seat_state as seat_rules
from utd_rx.engine.rules.effects import (
    ApplyGrant,
    Effects,
    PublishSeats,
    Push,
    Remove,
    TellModerators,
    WriteRole,
)
from utd_rx.engine.rules.gate import Ban, Gate
from utd_rx.engine.rules.refusal import Refusal
from utd_rx.engine.rules.roles import MODERATORS, UNPROVEN_ROLES, Actor, Role
from utd_rx.engine.rules.room_state import Admission, Member, RoomState, Session
from utd_rx.models.seats import UTDSeatMode
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol.wire.reading import read_int

NAME = "friday"
AUDIO = UTDStreamType.AUDIO_ROOM


class RoomMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.gate = Gate()
        self.tokens: list[Token] = []
        self.live: dict[str, Connection] = {}
        self.reports: list[Report] = []
        self.sids = 0
        self.published = 0
        self.last_id = 0

    @initialize(mode=st.sampled_from(UTDSeatMode), count=st.integers(1, 4))
    def open(self, mode: UTDSeatMode, count: int) -> None:
        """Everybody is there: a host, an admin, three listeners."""
        self.room = RoomState(NAME, AUDIO)
        asked = Admission("sara", AUDIO, Role.HOST, seats=SetUpSeats(count, mode))
        self._admit(asked)
        self._admit(Admission("adam", AUDIO, Role.ADMIN, is_proven=True))
        for who in ("mona", "omar", "李雷"):
            self._admit(Admission(who, AUDIO, Role.AUDIENCE))
        for token in self.tokens:
            self._connect(token)
        while self.reports:
            self._heard(self.reports.pop(0), 0.0)

    # -- the front door

    @rule(
        who=people,
        role=st.sampled_from(Role),
        is_proven=st.booleans(),
        joins=st.sampled_from([True, True, False]),
    )
    def mint(self, who: str, role: Role, is_proven: bool, joins: bool) -> None:
        if self.gate.is_banned(who, NAME, self.now):
            return
        self._admit(Admission(who, AUDIO, role, is_proven=is_proven))
        if joins:
            self._connect(self.tokens[-1])

    @rule(data=st.data())
    def connect(self, data: st.DataObject) -> None:
        """With any token ever signed, the newest or a worthless one."""
        self._connect(data.draw(st.sampled_from(self.tokens)))

    @rule(who=people, grace=st.sampled_from([0.0, 2.0, 20.0, None]))
    def disconnect(self, who: str, grace: float | None) -> None:
        """Go; the report of it comes at once, or when it comes (None)."""
        was_live = who in self.live
        self._drop(who)
        if was_live and grace is not None:
            self._heard(self.reports.pop(), grace)

    @precondition(lambda self: self.reports)
    @rule(data=st.data(), grace=st.sampled_from([0.0, 2.0, 20.0]))
    def hear(self, data: st.DataObject, grace: float) -> None:
        """Of one report; only those of joining come in their order."""
        seen: set[str] = set()
        ready = []
        for number, report in enumerate(self.reports):
            who = report.connection.token.identity
            if not report.is_join or who not in seen:
                ready.append(number)
            if report.is_join:
                seen.add(who)
        report = self.reports.pop(data.draw(st.sampled_from(ready)))
        self._heard(report, grace)

    @rule(heir=people, data=st.data())
    def end(self, heir: str, data: st.DataObject) -> None:
        """The room, not what was signed for it: an heir opens the next one, and that is tried."""
        for who in tuple(self.live):
            self._drop(who)
        self.reports.clear()
        self.room = RoomState(NAME, AUDIO)
        self.published = self.last_id = 0
        self.mint(heir, Role.HOST, is_proven=False, joins=True)
        self.connect(data)
        while self.reports:
            self._heard(self.reports.pop(0), 0.0)

    # -- commands

    @rule(who=people, item=seat_commands)
    def sit(self, who: str, item: SeatCommand) -> None:
        self._command(who, item)

    @rule(who=people, item=speaker_commands)
    def speak(self, who: str, item: SpeakerCommand) -> None:
        self._command(who, item)

    @precondition(lambda self: self.room.seats.grid.requests)
    @rule(who=st.sampled_from(("sara", "adam")), is_approved=st.booleans(), data=st.data())
    def answer_request(self, who: str, is_approved: bool, data: st.DataObject) -> None:
        request = data.draw(st.sampled_from(self.room.seats.grid.requests))
        item = ApproveRequest(request.id) if is_approved else RejectRequest(request.id)
        self._command(who, item)

    @precondition(lambda self: self.room.seats.invitations)
    @rule(is_accepted=st.booleans(), data=st.data())
    def answer_invitation(self, is_accepted: bool, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.room.seats.invitations)).invitation
        item = AcceptInvitation(one.id) if is_accepted else DeclineInvitation(one.id)
        self._command(one.target, item)

    @precondition(lambda self: self.room.owner is not None)
    @rule(who=people, role=st.sampled_from(Role))
    def give_role(self, who: str, role: Role) -> None:
        owner = Actor(self.room.owner, Role.HOST)
        try:
            room, effects, change = moderation.set_role(self.room, owner, self.now, who, role)
        except Refusal as refusal:
            assert refusal.status in (404, 409, 422)
        else:
            assert change["role"] != change["previous_role"]
            self._become(room, effects)
            assert room_state.role_of(room, who) is role

    @rule(who=people, is_silenced=st.booleans())
    def silence(self, who: str, is_silenced: bool) -> None:
        try:
            rule = moderation.silence if is_silenced else moderation.unsilence
            room, effects, _ = rule(self.room, Actor(None, Role.HOST), self.now, who)
            self._become(room, effects)
        except Refusal as refusal:
            assert refusal.status == 404

    @rule(who=people, seconds=st.sampled_from([0.0, 0.0, 5.0, 40.0, None]))
    def expel(self, who: str, seconds: float | None) -> None:
        """Kick, which is a ban of no length, or ban, for a time or for good."""
        if seconds != 0.0:
            expires_at = None if seconds is None else self.now + seconds
            ban = Ban(0, who, self.now, NAME, expires_at=expires_at)
            self.gate, _ = self.gate.ban(ban)
        room, effects = moderation.expel(self.room, who, self.now)
        self.gate = self.gate.void_tokens(NAME, who, self.now)
        self._become(room, effects)

    @rule(who=people)
    def unban(self, who: str) -> None:
        self.gate, _ = self.gate.unban(who, NAME)

    @rule(seconds=st.floats(0.0, 70.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self._become(*room_state.time_passed(self.room, self.now))

    def _command(self, who: str, item: SeatCommand | SpeakerCommand) -> None:
        """What the table of callers lets pass; an illegal command changes nothing."""
        if room_state.role_of(self.room, who) is None:
            return
        actor = room_state.actor_of(self.room, who)
        if isinstance(item, MODERATING) and actor.role not in MODERATORS:
            return
        try:
            if isinstance(item, SpeakerCommand):
                room, effects, outcome = command_speakers(self.room, actor, item, self.now)
                if isinstance(item, RequestSeat | Invite):
                    (id_,) = map(read_int, outcome.values())
                    assert id_ is not None
                    assert id_ > self.last_id, "ids only grow"
                    self.last_id = id_
            else:
                room, effects = command_seats(self.room, actor, item, self.now)
        except Refusal as refusal:
            assert refusal.status in (403, 404, 409, 422)
        else:
            self._become(room, effects)

    # -- the media server

    def _admit(self, asked: Admission) -> None:
        serial = self.gate.next_serial
        self.gate = evolve(self.gate, next_serial=serial + 1)
        room, member, effects = room_state.admit(self.room, asked, serial, self.now)
        self._become(room, effects)
        self._sign(member)

    def _connect(self, token: Token) -> None:
        self._drop(token.identity)
        self.sids += 1
        connection = Connection(f"PA_{self.sids}", token, token.grant, token.role)
        self.live[token.identity] = connection
        self.reports.append(Report(True, connection))

    def _sign(self, member: Member) -> None:
        role = room_state.role_of(self.room, member.identity)
        assert role is not None
        grant = room_state.grant_of(self.room, member.identity)
        self.tokens.append(Token(member.identity, member.serial, role, grant))

    def _drop(self, who: str) -> None:
        connection = self.live.pop(who, None)
        if connection is not None:
            self.reports.append(Report(False, connection))

    def _heard(self, report: Report, grace: float) -> None:
        connection, token = report.connection, report.connection.token
        if not report.is_join:
            session = Session(token.identity, connection.sid)
            self._become(*room_state.left(self.room, session, self.now, grace))
            return
        if self.gate.is_unwelcome(NAME, token.identity, token.serial, self.now):
            self._do((Remove(token.identity, connection.sid),))
            return
        session = Session(token.identity, connection.sid, connection.grant, connection.role)
        if token.identity not in self.room.members:
            asked = Admission(token.identity, AUDIO, token.role)
            room, _, effects = room_state.admit(self.room, asked, token.serial, self.now)
            self._become(room, effects)
        self._become(*room_state.joined(self.room, session, self.now))

    def _become(self, room: RoomState, effects: Effects) -> None:
        step = (room.seats.grid.revision or 0) - (self.room.seats.grid.revision or 0)
        assert step == int(room.seats.grid != self.room.seats.grid)
        self.room = room
        self._do(effects)

    def _do(self, effects: Effects) -> None:
        for effect in effects:
            match effect:
                case ApplyGrant(who) if who in self.live:
                    grant = room_state.grant_of(self.room, who)
                    self.live[who] = evolve(self.live[who], grant=grant)
                case WriteRole(who) if who in self.live:
                    role = room_state.role_of(self.room, who)
                    assert role is not None
                    self.live[who] = evolve(self.live[who], role=role)
                case Remove(who, sid) if who in self.live and sid in (None, self.live[who].sid):
                    self._drop(who)
                case PublishSeats():
                    self.published = self.room.seats.grid.revision or 0
                case Push(_, _, to):
                    assert to is None or to
                case TellModerators("_speaker_request", payload):
                    assert payload["identity"] not in self.room.seats.seated
                case _:
                    pass

    def _known(self) -> dict[str, Connection]:
        """Connections of which the room heard, and that are still there."""
        return {
            who: connection
            for who, connection in self.live.items()
            if self.room.sessions.get(who) == connection.sid
        }

    # -- what always holds

    @invariant()
    def a_user_has_at_most_one_seat_and_whoever_sits_does_not_wait(self) -> None:
        grid = self.room.seats.grid
        seated = [seat.identity for seat in grid.seats if seat.identity is not None]
        waiting = [request.identity for request in grid.requests]
        assert len(seated) == len(set(seated))
        assert len(waiting) == len(set(waiting))
        assert not set(seated) & set(waiting)
        assert grid.mode is UTDSeatMode.REQUEST or not waiting
        assert not set(seated) & self.room.silenced
        numbers = [request.id for request in grid.requests]
        assert numbers == sorted(set(numbers))

    @invariant()
    def who_may_publish_is_who_sits(self) -> None:
        for who, connection in self._known().items():
            assert connection.grant == room_state.grant_of(self.room, who)
            assert connection.grant.can_publish == (who in self.room.seats.seated)

    @invariant()
    def metadata_says_the_role_that_counts(self) -> None:
        for who, connection in self._known().items():
            assert connection.role is room_state.role_of(self.room, who)

    @invariant()
    def there_is_one_host(self) -> None:
        roles = {who: room_state.role_of(self.room, who) for who in self.room.members}
        assert {who for who, role in roles.items() if role is Role.HOST} <= {self.room.owner}

    @invariant()
    def nobody_has_a_role_that_this_room_did_not_give(self) -> None:
        for who, member in self.room.members.items():
            if who != self.room.owner and member.role not in UNPROVEN_ROLES:
                assert who in self.room.roles

    @invariant()
    def everybody_was_told(self) -> None:
        assert self.published == (self.room.seats.grid.revision or 0)

    @invariant()
    def no_worthless_token_is_in_the_room(self) -> None:
        for who, connection in self._known().items():
            assert not self.gate.is_stale(NAME, who, connection.token.serial)

    @invariant()
    def invitations_are_between_two_and_one_a_target(self) -> None:
        invitations = self.room.seats.invitations
        assert all(one.invitation.inviter != one.invitation.target for one in invitations)
        targets = [one.invitation.target for one in invitations]
        assert len(targets) == len(set(targets))
        assert all(one.expires_at > self.now for one in invitations)

    @invariant()
    def exactly_who_is_away_with_something_to_lose_has_a_deadline(self) -> None:
        seats = self.room.seats
        assert set(seats.frees_at) == seats.involved - seats.connected
        assert all(at > self.now for at in seats.frees_at.values())
        assert seats.connected == set(self.room.sessions)

    def teardown(self) -> None:
        """In the end, when nobody acts any more, all that is left belongs to who is there."""
        if not hasattr(self, "room"):
            return
        while self.reports:
            self._heard(self.reports.pop(0), 0.0)
        self.now += 120.0
        self._become(*room_state.time_passed(self.room, self.now))
        assert self.room.sessions == {who: c.sid for who, c in self.live.items()}
        assert self.room.seats.involved <= set(self.live)
        assert self.room.seats.invitations == ()
        assert seat_rules.time_passed(self.room.seats, self.now)[1] == ()


TestRoomMachine = RoomMachine.TestCase
