"""A whole room without a network: the engine's rules, an SFU that is a few dicts, the clients'
rules, and between them channels that a test delivers, drops, repeats and reorders."""

from __future__ import annotations

import json
from collections import deque

from attrs import define, evolve, field

from utd_rx.engine.metadata import room_metadata_of
from utd_rx.engine.rules import moderation, rooms
from utd_rx.engine.rules.effects import (
    ApplyGrant,
    Effects,
    PublishMetadata,
    PublishSeats,
    Push,
    Remove,
    TellModerators,
    WriteRole,
)
from utd_rx.engine.rules.members import Admission, Session
from utd_rx.engine.rules.roles import MODERATORS, Role
from utd_rx.engine.rules.rooms import Room
from utd_rx.engine.rules.seat_commands import SetUpSeats
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models import events as e
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.participant import (
    LocalParticipant,
    ParticipantPermission,
    RemoteParticipant,
    TrackPublication,
)
from utd_rx.models.role import UTDRole
from utd_rx.models.seats import UTDSeatGrid, UTDSeatMode
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol import audio_room
from utd_rx.protocol import facts as f
from utd_rx.protocol.audio_room import AudioRoomState
from utd_rx.protocol.wire.seats import grid_to_push

PEOPLE = ("sara", "adam", "mona")
HOST = PEOPLE[0]


@define
class Client:
    """One client: its state, and what is on its way to it."""

    state: AudioRoomState
    sid: str | None = None
    signals: deque[object] = field(factory=deque)
    """Reliable and in order while the connection lasts."""
    messages: list[e.DataReceived] = field(factory=list)
    """Neither."""
    tasks: list[object] = field(factory=list)
    """Effects under way."""
    tracks: set[str] = field(factory=set)
    """What it publishes, as the SFU has it."""


class World:
    """The room; every method is one thing that happens."""

    def __init__(self, mode: UTDSeatMode, count: int) -> None:
        self.now = 0.0
        self.serial = 0
        self.clients = {who: Client(AudioRoomState(who)) for who in PEOPLE}
        self.grants: dict[str, bool] = {}
        self.written: dict[str, Role] = {}
        self.metadata = ""
        self.grids: set[UTDSeatGrid] = set()
        self.roles: set[tuple[str, str]] = set()
        self.has_locked = False
        self.expelled: set[str] = set()
        self.room: Room | None = None
        asked = Admission(HOST, UTDStreamType.AUDIO_ROOM, Role.HOST, seats=SetUpSeats(count, mode))
        self.become(*self._admitted(asked))
        for who in PEOPLE:
            self.join(who)

    @property
    def engine(self) -> Room:
        assert self.room is not None
        return self.room

    # --- what the engine does ---

    def become(self, room: Room, effects: Effects) -> None:
        """Commit, in the order of the engine's shell: enforce, then announce."""
        self.room = room
        self.grids.add(room.seats.grid)
        self.has_locked |= room.are_comments_locked
        for effect in effects:
            match effect:
                case ApplyGrant(who):
                    self._grant(who, rooms.grant_of(room, who).can_publish)
                case WriteRole(who):
                    self._write_role(who)
                case Remove(who, _):
                    self.remove(who)
                case _:
                    pass
        for effect in effects:
            match effect:
                case PublishSeats():
                    self._publish()
                    self._push("_seat_update", grid_to_push(room.seats.grid), None)
                case PublishMetadata():
                    self._publish()
                case Push(type_, payload, to):
                    self._push(type_, dict(payload), to)
                case TellModerators(type_, payload):
                    self._push(type_, dict(payload), rooms.moderators_of(room))
                case _:
                    pass

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.become(*rooms.time_passed(self.engine, self.now))
        for client in self.clients.values():
            due = audio_room.next_deadline(client.state)
            if due is not None and due <= self.now:
                self.tell(client, f.DeadlinePassed())

    def kick(self, who: str) -> None:
        self.expelled.add(who)
        self.become(*moderation.expel(self.engine, who, self.now))

    # --- the SFU ---

    def join(self, who: str) -> None:
        client = self.clients[who]
        if not client.state.session.connection.is_resting:
            return
        self.tell(client, f.JoinStarted())
        self.become(*self._admitted(Admission(who, UTDStreamType.AUDIO_ROOM, Role.AUDIENCE)))
        snapshot = self._connect(client)
        self.tell(client, f.JoinSucceeded(client.state.session.connection.epoch, snapshot))

    def leave(self, who: str) -> None:
        client = self.clients[who]
        self._hang_up(client, 0.0)
        self.tell(client, f.LeaveStarted())

    def remove(self, who: str) -> None:
        client = self.clients[who]
        if client.sid is not None:
            self._forget(client)
            client.signals.append(e.Disconnected(DisconnectReason.PARTICIPANT_REMOVED))

    def interrupt(self, who: str, *, is_lost: bool) -> None:
        """The network goes away: LiveKit restores it, or has given up already."""
        client = self.clients[who]
        if client.sid is None or not client.state.session.connection.is_connected:
            return
        client.messages.clear()
        if is_lost:
            self._hang_up(client, 20.0)
            self.tell(client, e.Disconnected(DisconnectReason.UNKNOWN))
        else:
            client.signals.clear()
            self.tell(client, e.Reconnecting())

    def restore(self, who: str) -> None:
        client = self.clients[who]
        connection = client.state.session.connection
        if client.sid is not None and connection.is_joined and not connection.is_connected:
            client.signals.clear()
            self.tell(client, e.Reconnected(self._snapshot(who)))

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
        client = self.clients[who]
        if client.tasks:
            task = client.tasks.pop(at % len(client.tasks))
            for fact in self._done(client, task, succeeds):
                self.tell(client, fact)

    def tell(self, client: Client, fact: object) -> None:
        client.state, effects = audio_room.step(client.state, fact, self.now)
        for effect in effects:
            if isinstance(effect, f.CancelMicrophone):
                client.tasks = [
                    task for task in client.tasks if not isinstance(task, f.PublishMicrophone)
                ]
            elif isinstance(effect, f.DisconnectRoom):
                self._hang_up(client, 20.0)
            else:
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
        for _ in range(200):
            self.deliver_signal(who)
            self.deliver_message(who, 0, keep=False)
            self.do_task(who, 0)
            if not (client.signals or client.messages or client.tasks):
                return

    # --- inside ---

    def _admitted(self, asked: Admission) -> tuple[Room, Effects]:
        self.serial += 1
        room, _, effects = rooms.admit(self.room, "friday", asked, self.serial, self.now)
        return room, effects

    def _connect(self, client: Client) -> e.RoomSnapshot:
        who = client.state.identity
        self.serial += 1
        client.sid = f"PA_{self.serial}"
        client.signals.clear()
        client.messages.clear()
        self.grants[who] = False  # as its token says
        self._write_role(who, tell=False)
        snapshot = self._snapshot(who)
        self._signal_all(
            e.ParticipantConnected(RemoteParticipant(who, metadata=self._own(who))), but=who
        )
        self.become(*rooms.joined(self.engine, self._session(client)))
        return snapshot

    def _session(self, client: Client) -> Session:
        who = client.state.identity
        assert client.sid is not None
        grant = evolve(rooms.grant_of(self.engine, who), can_publish=self.grants[who])
        return Session(who, client.sid, grant, self.written[who])

    def _hang_up(self, client: Client, grace: float) -> None:
        if client.sid is not None:
            session = Session(client.state.identity, client.sid)
            self._forget(client)
            self.become(*rooms.left(self.engine, session, self.now, grace))

    def _forget(self, client: Client) -> None:
        client.sid = None
        client.signals.clear()
        client.messages.clear()
        client.tracks.clear()
        self._signal_all(e.ParticipantDisconnected(client.state.identity), but="")

    def _snapshot(self, who: str) -> e.RoomSnapshot:
        remotes = tuple(
            RemoteParticipant(name, metadata=self._own(name))
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
        if client.sid is not None:
            self.grants[who] = can_publish
            if not can_publish:
                client.tracks.clear()
            client.signals.append(e.ParticipantPermissionsChanged(who, self._permission(who)))

    def _write_role(self, who: str, *, tell: bool = True) -> None:
        role = rooms.role_of(self.engine, who)
        if role is None or (tell and self.clients[who].sid is None):
            return
        self.written[who] = role
        self.roles.add((who, role.value))
        if tell:
            self._signal_all(e.ParticipantMetadataChanged(who, self._own(who)), but="")

    def _publish(self) -> None:
        self.metadata = room_metadata_of(self.engine)
        self._signal_all(e.RoomMetadataChanged(self.metadata), but="")

    def _signal_all(self, fact: object, *, but: str) -> None:
        for who, client in self.clients.items():
            if client.sid is not None and who != but:
                client.signals.append(fact)

    def _push(self, type_: str, payload: dict[str, object], to: tuple[str, ...] | None) -> None:
        message = e.DataReceived(json.dumps({"type": type_, **payload}).encode(), None)
        for who, client in self.clients.items():
            if client.sid is not None and (to is None or who in to):
                client.messages.append(message)

    def _done(self, client: Client, task: object, succeeds: bool) -> tuple[object, ...]:
        who = client.state.identity
        failed = UTDStreamException("no", code=UTDErrorCode.NETWORK)
        match task:
            case f.FetchSeats(generation=generation):
                if not succeeds:
                    return (f.SeatsNotFetched(failed),)
                return (f.SeatGridFetched(self.engine.seats.grid, generation),)
            case f.FetchRole(identity=about, generation=generation):
                role = rooms.role_of(self.engine, about)
                known = None if role is None else UTDRole(role.value)
                return (f.RoleFetched(about, known, generation),)
            case f.AskBan(epoch=epoch):
                return (f.BanAnswered(epoch, False),)
            case f.PublishMicrophone(epoch=epoch):
                if not succeeds or client.sid is None or not self.grants.get(who):
                    return (f.MicrophoneFailed(epoch, failed),)
                self.serial += 1
                track = TrackPublication(f"TR_{self.serial}")
                client.tracks.add(track.sid)
                return (f.MicrophonePublished(epoch, track),)
            case f.MuteMicrophone(epoch=epoch, muted=muted):
                return (f.MicrophoneMuted(epoch, muted),)
            case f.UnpublishMicrophone(epoch=epoch, track_sid=sid):
                client.tracks.discard(sid)
                return (f.MicrophoneUnpublished(epoch),)
            case f.Rejoin(epoch=epoch):
                connection = client.state.session.connection
                if connection.epoch != epoch or not connection.is_lost:
                    return ()
                if not succeeds or who not in self.engine.members:
                    return (f.RejoinFailed(epoch, failed, 0.5),)
                return (e.Reconnected(self._connect(client)),)
            case _:
                raise AssertionError(task)


def is_moderator(room: Room, who: str) -> bool:
    return rooms.role_of(room, who) in MODERATORS
