"""`AudioRoomMachine`: an audio room in which anything happens, for an app's own rules."""

from __future__ import annotations

from typing import ClassVar, Final

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from utd_rx.client import UTDStreamClient
from utd_rx.models.role import UTDRole
from utd_rx.models.seats import UTDSeatMode
from utd_rx.sessions.audio_room import UTDAudioRoomSession
from utd_rx.testing.machines.base import PEOPLE, PRESENT, is_anybody_there, known
from utd_rx.testing.machines.room import RoomMachine, has_host
from utd_rx.testing.told import told

INDICES: Final = known(lambda machine: range(machine.seats))
MODES: Final = known(lambda machine: machine.modes)


class AudioRoomMachine(RoomMachine[UTDAudioRoomSession]):
    """A host and listeners in an audio room; they sit down, ask, invite, chat and moderate.

    After each step nobody sits twice, nobody is heard without a seat, and no client knows a grid
    that contradicts itself. In the end all clients know the engine's.

    Attributes:
        seats: How many there are.
        modes: How one may come by a seat, at first and later.
    """

    seats: ClassVar[int] = 3
    modes: ClassVar[tuple[UTDSeatMode, ...]] = tuple(UTDSeatMode)

    @initialize(mode=MODES)
    def open(self, mode: UTDSeatMode) -> None:
        """The host opens the room, and everybody comes."""
        self._mode = mode
        self.begin()

    def make_session(self, who: str, client: UTDStreamClient) -> UTDAudioRoomSession:
        is_host = who == self.people[0]
        return client.audio_room(
            who,
            self.room,
            as_host=is_host,
            seat_count=self.seats if is_host else None,
            seat_mode=self._mode if is_host else None,
        )

    @property
    def seated(self) -> list[str]:
        """Who sits, as far as they know themselves."""
        return [who for who in self.present if self.sessions[who].my_seat.value is not None]

    # --- seats ----------------------------------------------------------------------------------

    @is_anybody_there
    @rule(who=PRESENT, index=INDICES)
    def take_seat(self, who: str, index: int) -> None:
        self.command(self.sessions[who].take_seat(index))

    @is_anybody_there
    @rule(who=PRESENT)
    def leave_seat(self, who: str) -> None:
        self.command(self.sessions[who].leave_seat())

    @precondition(lambda self: bool(self.seated))
    @rule(who=known(lambda machine: machine.seated), index=INDICES)
    def move_seat(self, who: str, index: int) -> None:
        self.command(self.sessions[who].move_seat(index))

    @has_host
    @rule(index=INDICES)
    def lock_seat(self, index: int) -> None:
        self.command(self.host.lock_seat(index))

    @has_host
    @rule(index=INDICES)
    def unlock_seat(self, index: int) -> None:
        self.command(self.host.unlock_seat(index))

    @has_host
    @rule(index=INDICES)
    def kick_seat(self, index: int) -> None:
        self.command(self.host.kick_seat(index))

    @has_host
    @rule(index=INDICES)
    def mute_seat(self, index: int) -> None:
        self.command(self.host.mute_seat(index))

    @has_host
    @rule(mode=MODES)
    def setup_seats(self, mode: UTDSeatMode) -> None:
        self.command(self.host.setup_seats(seat_mode=mode))

    # --- requests and invitations ---------------------------------------------------------------

    @is_anybody_there
    @rule(who=PRESENT)
    def request_to_speak(self, who: str) -> None:
        self.command(self.sessions[who].request_to_speak())

    @is_anybody_there
    @rule(who=PRESENT)
    def cancel_request(self, who: str) -> None:
        self.command(self.sessions[who].cancel_request())

    @has_host
    @rule(approved=st.booleans())
    def answer_request(self, approved: bool) -> None:
        """The host answers whoever has waited longest."""
        for request in self.host.pending_requests.value[:1]:
            answer = self.host.approve_speaker if approved else self.host.reject_speaker
            self.command(answer(request.id))

    @has_host
    @rule(who=PEOPLE, index=st.none() | INDICES)
    def invite(self, who: str, index: int | None) -> None:
        self.command(self.host.invite_to_speak(who, seat_index=index))

    @is_anybody_there
    @rule(who=PRESENT, accepted=st.booleans())
    def answer_invitation(self, who: str, accepted: bool) -> None:
        """Somebody answers their oldest invitation."""
        session = self.sessions[who]
        for offer in session.invitations.value[:1]:
            answer = session.accept_invitation if accepted else session.decline_invitation
            self.command(answer(offer.id))

    # --- the rest -------------------------------------------------------------------------------

    @is_anybody_there
    @rule(who=PRESENT, enabled=st.booleans())
    def switch_microphone(self, who: str, enabled: bool) -> None:
        self.command(self.sessions[who].set_microphone(enabled))

    @is_anybody_there
    @rule(who=PRESENT, text=st.sampled_from(["hello", "who speaks?"]))
    def say(self, who: str, text: str) -> None:
        self.command(self.sessions[who].chat.send(text))

    @has_host
    @rule(locked=st.booleans())
    def lock_chat(self, locked: bool) -> None:
        self.command(self.host.lock_chat(locked))

    @has_host
    @rule(who=PEOPLE)
    def kick(self, who: str) -> None:
        self.command(self.host.kick(who))

    @has_host
    @rule(who=PEOPLE, role=st.sampled_from([UTDRole.ADMIN, UTDRole.AUDIENCE]))
    def set_role(self, who: str, role: UTDRole) -> None:
        self.command(self.host.set_role(who, role))

    # --- what always holds ----------------------------------------------------------------------

    def always(self) -> None:
        for who, session in self.sessions.items():
            grid = session.seats.value
            seated = [seat.identity for seat in grid.seats if seat.identity is not None]
            asking = [request.identity for request in grid.requests]
            assert len({*seated, *asking}) == len(seated) + len(asking), f"{who} knows {told(grid)}"
            may_speak = session.my_seat.value is not None
            assert may_speak or not session.microphone_enabled.value, f"{who} has no seat"
            assert may_speak or not session.can_publish.value, f"{who} may speak without a seat"

    def when_calm(self) -> None:
        there = {who: one for who, one in self.sessions.items() if one.connected.value}
        for who, session in there.items():
            known = session.seats.value  # before the answer makes it so
            asked = self.world.run(session.get_seats())
            assert known == asked, f"{who} knows {told(known)}, not {told(asked)}"
            others = {one.identity for one in session.remote_participants.value}
            assert others >= there.keys() - {who}, f"{who} sees {others}"
            is_seated = asked.seat_of(who) is not None
            assert session.can_publish.value is is_seated, f"{who} is granted otherwise"
