"""`PlainRoomMachine`: a room without an engine in which anything happens."""

from __future__ import annotations

from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from utd_rx.engine.rules.roles import Grant
from utd_rx.models.encryption import Encryption, EncryptionState
from utd_rx.models.participant import TrackSource
from utd_rx.sessions.room import RoomSession
from utd_rx.testing.machines.base import PEOPLE, PRESENT, WorldMachine, is_anybody_there
from utd_rx.testing.machines.exchange import SAID, Exchange
from utd_rx.testing.machines.room import RESTING
from utd_rx.testing.world.loop_world import LOBBY

MOODS = st.sampled_from(["good", "bad", ""])
SECRETS = st.sampled_from(["a", "b"])

MAY: dict[bool, Grant] = {may: Grant(can_publish=may) for may in (True, False)}

is_encrypted = precondition(lambda self: self.encryption is not None and bool(self.present))


class PlainRoomMachine(WorldMachine[RoomSession]):
    """Equals who speak, say things of themselves, choose whom they hear, call each other's methods
    and send each other texts, files and frames of data, and a server that has its own mind.

    After each step nobody is told to be heard who is not; what was received is what was sent, by
    whom it is said to be, and once; and an answer is the one to that question. In the end everybody
    sees everybody as they are, receives exactly those microphones that they said they want, and
    reads and answers exactly those whose key they have.

    Attributes:
        room: The room's name.
        encryption: What all join with, None in clear; rules change the keys.
    """

    room: ClassVar[str] = LOBBY
    encryption: ClassVar[Encryption | None] = None

    def __init__(self) -> None:
        super().__init__()
        self.exchange = Exchange(self.people)
        self.keys: dict[str, str] = {}

    @initialize()
    def open(self) -> None:
        """All come."""
        self.begin()

    def come(self, who: str) -> None:
        if who not in self.sessions:
            encryption = self.encryption
            session = self.world.room_session(who, self.room, encryption=encryption)
            self.sessions[who] = session
            self.keys.pop(who, None)
            self.world.run(self.exchange.begin(who, session, self.world))
        self.command(self.sessions[who].join())

    @property
    def present(self) -> list[str]:
        """Who is in the room, or would be but for an outage."""
        sessions = self.sessions.items()
        return [who for who, one in sessions if one.connection_state.value not in RESTING]

    @is_anybody_there
    @rule(who=PRESENT)
    def leave(self, who: str) -> None:
        """Somebody leaves, and may join again."""
        self.command(self.sessions[who].leave())

    @is_anybody_there
    @rule(who=PRESENT, enabled=st.booleans())
    def switch_microphone(self, who: str, enabled: bool) -> None:
        self.command(self.sessions[who].set_microphone(enabled))

    @is_anybody_there
    @rule(who=PRESENT, mood=MOODS)
    def set_mood(self, who: str, mood: str) -> None:
        """Somebody says how they feel, or that no more."""
        self.command(self.sessions[who].set_attributes({"mood": mood}))

    @is_anybody_there
    @rule(who=PRESENT, text=st.sampled_from(["hello", "louder!"]))
    def say(self, who: str, text: str) -> None:
        self.command(self.sessions[who].chat.send(text))

    @is_anybody_there
    @rule(who=PRESENT, other=PEOPLE)
    def subscribe(self, who: str, other: str) -> None:
        self.command(self.sessions[who].subscribe(other, TrackSource.MICROPHONE))

    @is_anybody_there
    @rule(who=PRESENT, other=PEOPLE)
    def unsubscribe(self, who: str, other: str) -> None:
        self.command(self.sessions[who].unsubscribe(other, TrackSource.MICROPHONE))

    # --- methods, texts, files, frames ----------------------------------------------------------

    @is_anybody_there
    @rule(who=PRESENT, other=PEOPLE, payload=st.sampled_from(["now", "later", "no"]))
    def call(self, who: str, other: str, payload: str) -> None:
        """Somebody calls somebody's method: it answers now, in 2 s, or refuses."""
        self.command(self.exchange.call(who, other, payload))

    @is_anybody_there
    @rule(who=PRESENT, to=st.none() | PEOPLE, is_long=st.booleans())
    def send_text(self, who: str, to: str | None, is_long: bool) -> None:
        self.command(self.exchange.send_text(who, to, is_long=is_long))

    @is_anybody_there
    @rule(who=PRESENT)
    def send_file(self, who: str) -> None:
        self.command(self.exchange.send_file(who))

    @is_anybody_there
    @rule(who=PRESENT)
    def push(self, who: str) -> None:
        """Somebody sends a frame on their data track, which they publish for it."""
        self.command(self.exchange.push(who))

    @is_anybody_there
    @rule(who=PRESENT)
    def unpublish(self, who: str) -> None:
        """Somebody ends their data track."""
        self.command(self.exchange.unpublish(who))

    @is_encrypted
    @rule(who=PRESENT, secret=SECRETS)
    def set_key(self, who: str, secret: str) -> None:
        self.keys[who] = secret
        self.command(self.sessions[who].set_key(secret, index=0))

    # --- the server -----------------------------------------------------------------------------

    @rule(who=PEOPLE, is_muted=st.booleans())
    def mute(self, who: str, is_muted: bool) -> None:
        """The server mutes or unmutes somebody's microphone."""
        session = self.sessions.get(who)
        me = None if session is None else session.local_participant
        track = None if me is None else me.track(TrackSource.MICROPHONE)
        if track is not None:
            server = self.world.media_server
            self.command(server.mute(self.room, who, track.sid, is_muted=is_muted))

    @rule(who=PEOPLE, may=st.booleans())
    def permit(self, who: str, may: bool) -> None:
        """The server lets somebody publish, or not any more, until they join anew."""
        self.command(self.world.media_server.set_grant(self.room, who, MAY[may]))

    @rule(who=PEOPLE)
    def remove(self, who: str) -> None:
        """The server sends somebody away."""
        self.command(self.world.media_server.remove(self.room, who))

    # --- what holds -----------------------------------------------------------------------------

    def always(self) -> None:
        for who, session in self.sessions.items():
            is_on = session.microphone_enabled.value
            assert session.can_publish.value or not is_on, f"{who} may not publish"
        self.exchange.check()

    def when_calm(self) -> None:
        there = {who: one for who, one in self.sessions.items() if one.connected.value}
        for who, session in there.items():
            others = {one.identity: one for one in session.remote_participants.value}
            assert others.keys() >= there.keys() - {who}, f"{who} sees {sorted(others)}"
            for other in there.keys() - {who}:
                seen, me = others[other], there[other].local_participant
                assert me is not None
                assert seen.attributes == me.attributes, f"{who} knows another mood of {other}"
                track, sent = seen.track(TrackSource.MICROPHONE), me.track(TrackSource.MICROPHONE)
                assert (track is None) is (sent is None)
                word = session.state.value.session.subscribing.word(other, TrackSource.MICROPHONE)
                is_heard = track is not None and track.is_subscribed
                assert is_heard is (track is not None and word is not False), f"{who}: {other}"
                if track is None or sent is None:
                    continue
                assert track.is_muted is sent.is_muted, f"{who}: {other} is muted, or is not"
                if is_heard and self.encryption is not None:
                    fits = self._understand(who, other)
                    told = EncryptionState.OK if fits else EncryptionState.DECRYPTION_FAILED
                    assert seen.encryption is told, f"{who}: {other} is {seen.encryption}"
        self._talk(there)

    def _talk(self, there: dict[str, RoomSession]) -> None:
        """Let everybody who is there exchange everything with everybody."""
        for who in there:
            for send in self.exchange.all_of(who):
                self.world.run(send)
        self.world.settle()
        self.always()
        for who in there:
            for other in there.keys() - {who}:
                is_understood = self._understand(who, other)
                last = {kind: self.exchange.last(who, other, kind) for kind in SAID}
                assert set(last.values()) == {is_understood}, f"{who} has of {other}: {last}"
                if is_understood:
                    self.world.run(self.exchange.call(who, other, "now"))

    def _understand(self, who: str, other: str) -> bool:
        return self.keys.get(who, None) == self.keys.get(other, None)
