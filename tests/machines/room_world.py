"""A room of any product without a network: the engine's rules, an SFU that is a few dicts, the
clients' rules, and between them channels that a test delivers, drops, repeats and reorders.

An effect is carried out in two steps, each at a time of the test's choice: the question reaches
the engine or the SFU, then its answer comes back. So an answer may be old when it arrives.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from typing import Any, ClassVar

from attrs import define, evolve, field, frozen

from utd_rx.engine.metadata import room_metadata_of
from utd_rx.engine.rules import moderation, room_state
from utd_rx.engine.rules.effects import (
    ApplyGrant,
    Effects,
    PublishMetadata,
    Push,
    Remove,
    TellModerators,
    WriteRole,
)
from utd_rx.engine.rules.roles import MODERATORS, Role
from utd_rx.engine.rules.room_state import Admission, RoomState, Session
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models import events as e
from utd_rx.models.connection import DisconnectReason, UTDConnectionState
from utd_rx.models.participant import (
    LocalParticipant,
    ParticipantPermission,
    RemoteParticipant,
    TrackPublication,
)
from utd_rx.models.role import UTDRole
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol.facts.connection import (
    DeadlinePassed,
    DisconnectRoom,
    JoinFailed,
    JoinStarted,
    JoinSucceeded,
    LeaveStarted,
    Rejoin,
    RejoinFailed,
)
from utd_rx.protocol.facts.media import (
    CancelTrack,
    CloseTrack,
    MuteTrack,
    OpenTrack,
    TrackClosed,
    TrackFailed,
    TrackMuteChanged,
    TrackOpened,
)
from utd_rx.protocol.facts.people import AskBan, BanAnswered, FetchRole, RoleFetched
from utd_rx.protocol.kinds import Kind as AppKind
from utd_rx.protocol.publishing import SOURCES
from utd_rx.protocol.waiting import EndWait, Promise, WaitStarted

PEOPLE = ("sara", "adam", "mona")
HOST = PEOPLE[0]
FAILED = UTDStreamException("no", code=UTDErrorCode.NETWORK)
BANNED = UTDStreamException("banned", code=UTDErrorCode.BANNED, status_code=403)


@frozen
class Join:
    """A join under way."""

    epoch: int


@frozen
class Answer:
    """What comes back."""

    fact: object


@define
class Client:
    """One client: its state, and what is on its way to it."""

    state: Any
    sid: str | None = None
    signals: deque[object] = field(factory=deque)
    """Reliable and in order while the connection lasts."""
    messages: list[e.DataReceived] = field(factory=list)
    """Neither."""
    tasks: list[object] = field(factory=list)
    """Questions and answers under way."""
    tracks: set[str] = field(factory=set)
    """What it publishes, as the SFU has it."""
    silenced: set[str] = field(factory=set)
    """What the SFU took in an outage that LiveKit survived, and gave the permission back: it tells
    nobody (docs/livekit.md, "Silent revocation"), so the client cannot know."""
    dropped_at: float = 0.0
    """When the present outage began."""


class RoomWorld:
    """The room; every method is one thing that happens.

    Attributes:
        rules: The clients'.
        revokes: Whether the engine takes the permission back with the seat, or the place on the
            stage (docs/contract.md, "Seats").
    """

    rules: ClassVar[AppKind[Any]]
    revokes = True

    def __init__(self, asked: Admission, states: Mapping[str, Any]) -> None:
        self.now = 0.0
        self.serial = 0
        self.clients = {who: Client(state) for who, state in states.items()}
        self.grants: dict[str, bool] = {}
        self.written: dict[str, Role] = {}
        self.metadata = ""
        self.roles: set[tuple[str, str]] = set()
        self.said: set[tuple[str, str]] = set()
        self.has_locked = False
        self.banned: set[str] = set()
        self.were_banned: set[str] = set()
        self.room: RoomState | None = None
        self.become(*self._admitted(asked))
        for who in self.clients:
            self.join(who)
            self.deliver_all(who)

    @property
    def engine(self) -> RoomState:
        assert self.room is not None
        return self.room

    # --- a product's own ---

    def remember(self) -> None:
        """Keep what invariants look at of the engine's new state."""

    def announce(self, effect: object) -> None:
        """Carry out an effect of the engine that only this product has."""

    def room_metadata(self) -> str:
        return room_metadata_of(self.engine)

    def answers_of(self, client: Client, question: object, succeeds: bool) -> tuple[object, ...]:
        """Answer what only this product's clients ask."""
        raise AssertionError(question)

    def check_step(self, before: Any, after: Any, fact: object) -> None:
        """Look at what no single step may do."""

    def remote(self, who: str) -> RemoteParticipant:
        return RemoteParticipant(who, metadata=self._own(who))

    def opened(self, who: str, track: TrackPublication) -> None:
        """The SFU has a new track."""
        self.become(*room_state.published(self.engine, who, self.now))

    def closed(self, who: str, sid: str) -> None:
        """The SFU has a track no more."""

    def muted(self, who: str, sid: str, is_muted: bool) -> None:
        """The SFU has a track that was muted or not."""

    # --- what the engine does ---

    def become(self, room: RoomState, effects: Effects) -> None:
        """Commit, in the order of the engine's shell: enforce, then announce."""
        self.room = room
        self.remember()
        self.has_locked |= room.are_comments_locked
        for effect in effects:
            match effect:
                case ApplyGrant(who):
                    self._grant(who, room_state.grant_of(room, who).can_publish)
                case WriteRole(who):
                    self._write_role(who)
                case Remove(who, _):
                    self.remove(who)
                case _:
                    pass
        for effect in effects:
            match effect:
                case PublishMetadata():
                    self.publish()
                case Push(type_, payload, to):
                    self.push(type_, dict(payload), to)
                case TellModerators(type_, payload, also):
                    told = (*room_state.moderators_of(room), *also)
                    self.push(type_, dict(payload), told)
                case _:
                    self.announce(effect)

    def wait(self, who: str, promise: Promise) -> None:
        """A command of `who` waits until it shows."""
        client = self.clients[who]
        connection = client.state.session.connection
        if connection.is_joined:
            self.serial += 1
            self.tell(client, WaitStarted(self.serial, promise, connection.epoch))

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.become(*room_state.time_passed(self.engine, self.now))
        for client in self.clients.values():
            due = self.rules.next_deadline(client.state)
            if due is not None and due <= self.now:
                self.tell(client, DeadlinePassed())

    def kick(self, who: str, *, for_good: bool = False) -> None:
        if for_good:
            self.banned.add(who)
            self.were_banned.add(who)
            self.push("_banned", {"identity": who, "reason": "spam"}, (who,))
        self.become(*moderation.expel(self.engine, who, self.now))

    # --- the SFU ---

    def join(self, who: str) -> None:
        client = self.clients[who]
        if client.state.session.connection.is_resting:
            self.tell(client, JoinStarted())
            client.tasks.append(Join(client.state.session.connection.epoch))

    def leave(self, who: str) -> None:
        """The app is out at once; what is on its way to it arrives behind."""
        client = self.clients[who]
        self.tell(client, LeaveStarted())
        signals = list(client.signals)
        self._hang_up(client, 0.0)
        client.signals.extend(signals)

    def remove(self, who: str) -> None:
        client = self.clients[who]
        if client.sid is not None:
            # Of what was sent before, some is still read: `_banned` is meant to be.
            messages = list(client.messages)
            self._forget(client)
            client.messages = messages
            client.signals.append(e.Disconnected(DisconnectReason.PARTICIPANT_REMOVED))

    def interrupt(self, who: str, *, is_lost: bool, is_full: bool = False) -> None:
        """The network goes away: LiveKit restores it, or has given up already."""
        client = self.clients[who]
        connection = client.state.session.connection
        if client.sid is None or not connection.is_joined:
            return
        client.messages.clear()
        if is_lost:
            if connection.is_connected:
                client.dropped_at = self.now
            self._hang_up(client, 20.0)
            self.tell(client, e.Disconnected(DisconnectReason.UNKNOWN))
            return
        client.signals.clear()
        client.dropped_at = self.now
        self.tell(client, e.Reconnecting())
        if is_full:  # LiveKit reports everybody as gone, though nobody is
            for remote in client.state.session.roster.participants:
                self.tell(client, e.ParticipantDisconnected(remote.identity))

    def restore(self, who: str) -> None:
        client = self.clients[who]
        connection = client.state.session.connection
        if client.sid is not None and connection.is_joined and not connection.is_connected:
            client.signals.clear()
            self.tell(client, e.Reconnected(self._snapshot(who)))
            own = client.state.session.publications
            for track in (own.of(source).track for source in SOURCES):
                if track is not None and track.sid not in client.tracks:
                    client.silenced.add(track.sid)

    def say(self, who: str, text: str, *, claimed: str, is_known: bool) -> None:
        """A chat message, which may claim to be another's; LiveKit may not know the sender yet."""
        chat = {"message": "chatMessage", "text": text, "messageID": text, "senderUserId": claimed}
        payload = json.dumps({"roomChat": chat}).encode()
        self.said.add((who, text))
        for name, client in self.clients.items():
            if client.sid is not None and name != who:
                client.messages.append(e.DataReceived(payload, who if is_known else None))

    # --- the channels ---

    def deliver_signal(self, who: str) -> None:
        client = self.clients[who]
        # Of a connection that is being restored nothing arrives.
        if client.signals and (client.sid is None or client.state.session.connection.is_connected):
            self.tell(client, client.signals.popleft())

    def deliver_message(self, who: str, at: int, *, keep: bool) -> None:
        client = self.clients[who]
        if client.messages:
            at %= len(client.messages)
            message = client.messages[at] if keep else client.messages.pop(at)
            if client.state.session.connection.is_connected:
                self.tell(client, message)

    def do_task(self, who: str, at: int, *, succeeds: bool = True) -> None:
        """Let a question arrive, or an answer."""
        client = self.clients[who]
        if not client.tasks:
            return
        match client.tasks.pop(at % len(client.tasks)):
            case Answer(fact):
                self.tell(client, fact)
            case question:
                client.tasks += map(Answer, self._answers(client, question, succeeds))

    def tell(self, client: Client, fact: object) -> None:
        """Let a client see a fact; what no single step may do is looked at here."""
        before = client.state
        client.state, effects = self.rules.step(client.state, fact, self.now)
        self._check_step(before, client.state, fact)
        for effect in effects:
            if isinstance(effect, CancelTrack):
                # What LiveKit has done already comes back all the same.
                client.tasks = [
                    effect if isinstance(t, OpenTrack) and t.source is effect.source else t
                    for t in client.tasks
                ]
            elif isinstance(effect, DisconnectRoom):
                self._hang_up(client, 20.0)
            elif not isinstance(effect, EndWait):
                client.tasks.append(effect)

    def calm_down(self) -> None:
        """Let everything arrive that is on its way, for longer than any outage may last."""
        for _ in range(80):
            self.pass_time(1.0)
            for who in self.clients:
                self.restore(who)
                self.deliver_all(who)

    def deliver_all(self, who: str) -> None:
        """Let everything arrive at one client that is on its way to it."""
        client = self.clients[who]
        for _ in range(400):
            self.deliver_signal(who)
            self.deliver_message(who, 0, keep=False)
            self.do_task(who, 0)
            if not (client.signals or client.messages or client.tasks):
                return

    # --- inside ---

    def _check_step(self, before: Any, after: Any, fact: object) -> None:
        old, new = before.session, after.session
        is_out = old.connection.state is UTDConnectionState.RECONNECTING
        if is_out and new.connection.state is old.connection.state:
            people = set(old.roster.remotes)
            assert people <= set(new.roster.remotes), "the roster flickers in an outage"
        if isinstance(fact, e.DataReceived):
            assert new.roles.known is old.roles.known, "a message gave a role"
            assert new.chat.is_locked is old.chat.is_locked, "a message locked the chat"
            assert new.bans.notice is old.bans.notice, "a message banned"
            role = None if fact.sender is None else old.roles.known.get(fact.sender)
            if old.chat.is_locked and (role is None or role.is_audience):
                assert new.chat.history is old.chat.history, "a locked chat took the audience"
        self.check_step(before, after, fact)

    @property
    def type(self) -> UTDStreamType:
        """What kind of room it is."""
        assert isinstance(self.rules.type, UTDStreamType)
        return self.rules.type

    def _admitted(self, asked: Admission) -> tuple[RoomState, Effects]:
        self.serial += 1
        room = self.room or room_state.fresh("friday", self.type, self.serial)
        admitted, _, effects = room_state.admit(room, asked, self.serial, self.now)
        return admitted, effects

    def _connect(self, client: Client) -> e.RoomSnapshot:
        who = client.state.identity
        self.serial += 1
        client.sid = f"PA_{self.serial}"
        client.signals.clear()
        client.messages.clear()
        self.grants[who] = False  # as its token says
        self._write_role(who, tell=False)
        snapshot = self._snapshot(who)
        self.signal_all(e.ParticipantConnected(self.remote(who)), but=who)
        self.become(*room_state.joined(self.engine, self._session(client), self.now))
        return snapshot

    def _session(self, client: Client) -> Session:
        who = client.state.identity
        assert client.sid is not None
        grant = evolve(room_state.grant_of(self.engine, who), can_publish=self.grants[who])
        return Session(who, client.sid, grant, self.written[who])

    def _hang_up(self, client: Client, grace: float) -> None:
        if client.sid is not None:
            session = Session(client.state.identity, client.sid)
            self._forget(client)
            self.become(*room_state.left(self.engine, session, self.now, grace))

    def _forget(self, client: Client) -> None:
        client.sid = None
        client.signals.clear()
        client.messages.clear()
        client.tracks.clear()
        self.signal_all(e.ParticipantDisconnected(client.state.identity), but="")

    def _snapshot(self, who: str) -> e.RoomSnapshot:
        remotes = tuple(
            self.remote(name)
            for name, client in self.clients.items()
            if name != who and client.sid is not None
        )
        local = LocalParticipant(who, metadata=self._own(who), permission=self._permission(who))
        return e.RoomSnapshot("friday", local, metadata=self.metadata, remotes=remotes)

    def _permission(self, who: str) -> ParticipantPermission:
        return ParticipantPermission(True, self.grants.get(who, False), True)

    def _own(self, who: str) -> str:
        return json.dumps({"role": self.written[who].value})

    def _grant(self, who: str, can_publish: bool) -> None:
        client = self.clients[who]
        if client.sid is None or not (can_publish or self.revokes):
            return
        self.grants[who] = can_publish
        if not can_publish:
            client.tracks.clear()
        client.signals.append(e.ParticipantPermissionsChanged(who, self._permission(who)))

    def _write_role(self, who: str, *, tell: bool = True) -> None:
        role = room_state.role_of(self.engine, who)
        if role is None or (tell and self.clients[who].sid is None):
            return
        self.written[who] = role
        self.roles.add((who, role.value))
        if tell:
            self.signal_all(e.ParticipantMetadataChanged(who, self._own(who)), but="")

    def publish(self) -> None:
        self.metadata = self.room_metadata()
        self.signal_all(e.RoomMetadataChanged(self.metadata), but="")

    def signal_all(self, fact: object, *, but: str) -> None:
        for who, client in self.clients.items():
            if client.sid is not None and who != but:
                client.signals.append(fact)

    def push(self, type_: str, payload: dict[str, object], to: tuple[str, ...] | None) -> None:
        message = e.DataReceived(json.dumps({"type": type_, **payload}).encode(), None)
        for who, client in self.clients.items():
            if client.sid is not None and (to is None or who in to):
                client.messages.append(message)

    def _answers(self, client: Client, question: object, succeeds: bool) -> tuple[object, ...]:
        """What the engine or the SFU says, now."""
        who = client.state.identity
        match question:
            case Join(epoch):
                return self._joined(client, epoch)
            case FetchRole(identity=about, generation=generation):
                role = room_state.role_of(self.engine, about)
                known = None if role is None else UTDRole(role.value)
                return (RoleFetched(about, known, generation),)
            case AskBan(epoch=epoch):
                return (BanAnswered(epoch, who in self.banned),)
            case OpenTrack(source=source, epoch=epoch):
                if not succeeds or client.sid is None or not self.grants.get(who):
                    return (TrackFailed(source, epoch, FAILED),)
                self.serial += 1
                track = TrackPublication(f"TR_{self.serial}", source=source)
                client.tracks.add(track.sid)
                self.opened(who, track)
                return (TrackOpened(source, epoch, track),)
            case MuteTrack(source=source, epoch=epoch, track_sid=sid, muted=muted):
                self.muted(who, sid, muted)
                return (TrackMuteChanged(source, epoch, muted),)
            case CloseTrack(source=source, epoch=epoch, track_sid=sid):
                client.tracks.discard(sid)
                self.closed(who, sid)
                return (TrackClosed(source, epoch),)
            case CancelTrack(source=source, epoch=epoch):
                return (TrackClosed(source, epoch),)
            case Rejoin(epoch=epoch):
                connection = client.state.session.connection
                if connection.epoch != epoch or not connection.is_lost:
                    return ()
                if not succeeds or who not in self.engine.members:
                    return (RejoinFailed(epoch, FAILED, 0.5),)
                # At once: what the new connection says begins behind its snapshot.
                self.tell(client, e.Reconnected(self._connect(client)))
                return ()
            case _:
                return self.answers_of(client, question, succeeds)

    def _joined(self, client: Client, epoch: int) -> tuple[object, ...]:
        who = client.state.identity
        connection = client.state.session.connection
        if connection.epoch != epoch or connection.is_resting:
            # Left meanwhile; what the shell drops is told too late, and must not count.
            return (JoinSucceeded(epoch, e.RoomSnapshot("friday", LocalParticipant("late"))),)
        if who in self.banned:
            self.tell(client, JoinFailed(epoch, BANNED))
            return ()
        self.become(*self._admitted(Admission(who, self.type, Role.AUDIENCE)))
        self.tell(client, JoinSucceeded(epoch, self._connect(client)))
        return ()


def is_moderator(room: RoomState, who: str) -> bool:
    return room_state.role_of(room, who) in MODERATORS
