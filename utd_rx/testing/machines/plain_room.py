"""`PlainRoomMachine`: a room without an engine in which anything happens."""

from __future__ import annotations

from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from utd_rx.models.participant import TrackSource
from utd_rx.sessions.room import RoomSession
from utd_rx.testing.machines.base import PEOPLE, PRESENT, WorldMachine, is_anybody_there
from utd_rx.testing.machines.room import RESTING
from utd_rx.testing.world.loop_world import LOBBY

MOODS = st.sampled_from(["good", "bad", ""])


class PlainRoomMachine(WorldMachine[RoomSession]):
    """Equals who speak, say things of themselves, and choose whom they hear.

    After each step nobody is told to be heard who is not. In the end everybody sees everybody as
    they are, and receives exactly those microphones that they said they want.

    Attributes:
        room: The room's name.
    """

    room: ClassVar[str] = LOBBY

    @initialize()
    def open(self) -> None:
        """All come."""
        self.begin()

    def come(self, who: str) -> None:
        if who not in self.sessions:
            self.sessions[who] = self.world.room_session(who, self.room)
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

    def always(self) -> None:
        for who, session in self.sessions.items():
            is_on = session.microphone_enabled.value
            assert session.can_publish.value or not is_on, f"{who} may not publish"

    def when_calm(self) -> None:
        there = {who: one for who, one in self.sessions.items() if one.connected.value}
        for who, session in there.items():
            others = {one.identity: one for one in session.remote_participants.value}
            assert others.keys() >= there.keys() - {who}, f"{who} sees {sorted(others)}"
            for other in there.keys() - {who}:
                seen, me = others[other], there[other].local_participant
                assert me is not None
                assert seen.attributes == me.attributes, f"{who} knows another mood of {other}"
                track = seen.track(TrackSource.MICROPHONE)
                assert (track is not None) is (me.track(TrackSource.MICROPHONE) is not None)
                word = session.state.value.session.subscribing.word(other, TrackSource.MICROPHONE)
                is_heard = track is not None and track.is_subscribed
                assert is_heard is (track is not None and word is not False), f"{who}: {other}"
