"""`LiveStreamMachine`: a broadcast in which anything happens, for an app's own rules."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from utd_rx.client import UTDStreamClient
from utd_rx.sessions.live_stream import UTDLiveStreamSession
from utd_rx.testing.machines.base import PEOPLE, PRESENT, is_anybody_there
from utd_rx.testing.machines.room import RoomMachine, has_host
from utd_rx.testing.told import told


class LiveStreamMachine(RoomMachine[UTDLiveStreamSession]):
    """A host who broadcasts, and viewers who raise hands and are taken on the stage and off it.

    After each step only those are heard and seen who may be, and the host is first on the stage. In
    the end all clients know the engine's stage, and nobody off it is heard or seen.
    """

    @initialize()
    def open(self) -> None:
        """The host and the viewers come."""
        self.begin()

    def make_session(self, who: str, client: UTDStreamClient) -> UTDLiveStreamSession:
        is_host = who == self.people[0]
        return client.live_stream(who, self.room, as_host=is_host, camera=self.world.camera(who))

    # --- the broadcast --------------------------------------------------------------------------

    @has_host
    @rule(with_video=st.booleans())
    def go_live(self, with_video: bool) -> None:
        self.command(self.host.go_live(with_video=with_video))

    @has_host
    @rule()
    def stop_live(self) -> None:
        self.command(self.host.stop_live())

    # --- the stage ------------------------------------------------------------------------------

    @has_host
    @rule(who=PEOPLE)
    def invite_to_stage(self, who: str) -> None:
        self.command(self.host.invite_to_stage(who))

    @has_host
    @rule(who=PEOPLE)
    def remove_from_stage(self, who: str) -> None:
        self.command(self.host.remove_from_stage(who))

    @is_anybody_there
    @rule(who=PRESENT)
    def leave_stage(self, who: str) -> None:
        self.command(self.sessions[who].leave_stage())

    @is_anybody_there
    @rule(who=PRESENT)
    def raise_hand(self, who: str) -> None:
        self.command(self.sessions[who].request_stage())

    @is_anybody_there
    @rule(who=PRESENT)
    def lower_hand(self, who: str) -> None:
        self.command(self.sessions[who].cancel_stage_request())

    @has_host
    @rule(invited=st.booleans())
    def answer_hand(self, invited: bool) -> None:
        """The host answers the hand that has been up for longest."""
        for hand in self.host.stage_requests.value[:1]:
            answer = self.host.invite_to_stage if invited else self.host.dismiss_stage_request
            self.command(answer(hand.identity))

    # --- the rest -------------------------------------------------------------------------------

    @is_anybody_there
    @rule(who=PRESENT, enabled=st.booleans())
    def switch_microphone(self, who: str, enabled: bool) -> None:
        self.command(self.sessions[who].set_microphone(enabled))

    @is_anybody_there
    @rule(who=PRESENT, enabled=st.booleans())
    def switch_camera(self, who: str, enabled: bool) -> None:
        self.command(self.sessions[who].set_camera(enabled))

    @is_anybody_there
    @rule(who=PRESENT, text=st.sampled_from(["hello", "louder!"]))
    def say(self, who: str, text: str) -> None:
        self.command(self.sessions[who].chat.send(text))

    @has_host
    @rule(who=PEOPLE)
    def kick(self, who: str) -> None:
        self.command(self.host.kick(who))

    # --- what always holds ----------------------------------------------------------------------

    def always(self) -> None:
        for who, session in self.sessions.items():
            is_live = session.microphone_enabled.value or session.camera_enabled.value
            assert session.can_publish.value or not is_live, f"{who} may not publish"
            stage = [member.identity for member in session.stage.value]
            assert len(set(stage)) == len(stage), f"{who} knows {stage}"
            assert self.people[0] not in stage[1:], f"{who} knows {stage}"

    def when_calm(self) -> None:
        there = {who: one for who, one in self.sessions.items() if one.connected.value}
        for who, session in there.items():
            known = session.stage.value
            asked = self.world.run(session.refresh_stage())
            assert known == asked, f"{who} knows {told(known)}, not {told(asked)}"
            is_on_it = any(member.identity == who for member in asked)
            assert session.can_publish.value is is_on_it, f"{who} is granted otherwise"
            others = {one.identity for one in session.remote_participants.value}
            assert others >= there.keys() - {who}, f"{who} sees {others}"
