"""`AgentMachine`: somebody who talks to a voice agent, for an app's own rules."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from utd_rx.agent.session import AtomsAgentSession
from utd_rx.engine.agent.call import AgentCall
from utd_rx.models.agent import AgentStatus
from utd_rx.testing.machines.base import PRESENT, WorldMachine, is_anybody_there

HAS_SESSION: Final = (AgentStatus.LISTENING, AgentStatus.SPEAKING)
AT_REST: Final = (*HAS_SESSION, AgentStatus.IDLE, AgentStatus.PAUSED, AgentStatus.CLOSED)


class AgentMachine(WorldMachine[AtomsAgentSession]):
    """Somebody talks to an agent, who says back what is said, hangs up and refuses.

    After each step what the streams tell of the session goes together. In the end it is connected
    or meant not to be, nobody talks any more, and every turn is over.

    Attributes:
        options: Keyword arguments of each `AtomsAgentSession`, beside whom it talks to.
        served: The sessions at the agent's end, the newest last.
    """

    people: ClassVar[tuple[str, ...]] = ("anna",)
    options: ClassVar[dict[str, Any]] = {}

    @initialize()
    def open(self) -> None:
        """The session is started."""
        self.begin()

    def begin(self) -> None:
        self.served: list[AgentCall] = []
        self.world.spawn(self._serve())
        super().begin()

    def come(self, who: str) -> None:
        if who in self.sessions:
            self.command(self.sessions[who].start())
        else:
            self.sessions[who] = self.world.agent(who, **self.options)

    # --- the session ----------------------------------------------------------------------------

    @is_anybody_there
    @rule(who=PRESENT)
    def stop(self, who: str) -> None:
        self.command(self.sessions[who].stop())

    @is_anybody_there
    @rule(who=PRESENT)
    def pause(self, who: str) -> None:
        self.command(self.sessions[who].pause())

    @is_anybody_there
    @rule(who=PRESENT)
    def resume(self, who: str) -> None:
        self.command(self.sessions[who].resume())

    @is_anybody_there
    @rule(who=PRESENT, muted=st.booleans())
    def mute(self, who: str, muted: bool) -> None:
        session = self.sessions[who]
        self.command(session.mute() if muted else session.unmute())
        assert session.muted.value is muted, f"{who} is not muted as asked"

    # --- talking --------------------------------------------------------------------------------

    @is_anybody_there
    @rule(who=PRESENT, text=st.sampled_from(["hello", "tell me everything that you know"]))
    def write(self, who: str, text: str) -> None:
        self.command(self.sessions[who].send_text(text))

    # --- the agent ------------------------------------------------------------------------------

    @rule(status=st.sampled_from([503, 429]))
    def refuse(self, status: int) -> None:
        """The agent's server turns the next one away, who may try again."""
        self.world.agents.refusals.append(status)

    @precondition(lambda self: bool(self.served) and self.served[-1].is_open)
    @rule(breaks=st.booleans())
    def end_session(self, breaks: bool) -> None:
        """The agent says goodbye, or its connection breaks."""
        call = self.served[-1]
        self.command(call.cut() if breaks else call.finish())

    async def _serve(self) -> None:
        while True:
            self.served.append(await self.world.agents.next_call())

    # --- what always holds ----------------------------------------------------------------------

    def always(self) -> None:
        for who, session in self.sessions.items():
            status = session.status.value
            assert session.connected.value is (status in HAS_SESSION), f"{who}: {status}"
            if status in HAS_SESSION:  # after it, the end of what was said may still be heard
                is_speaking = status is AgentStatus.SPEAKING
                assert session.agent_talking.value is is_speaking, f"{who}: {status}"
            assert not (session.connected.value and session.failure.value), f"{who} has a failure"

    def _calm_down(self) -> None:
        self.world.agents.refusals.clear()  # a client waits longer after each of them
        super()._calm_down()

    def when_calm(self) -> None:
        for who, session in self.sessions.items():
            status = session.status.value
            assert status in AT_REST, f"{who} is still {status}"
            assert not session.agent_talking.value, f"{who} still hears the agent"
            going_on = [turn.text for turn in session.transcript.value if not turn.is_final]
            assert not going_on, f"{who}'s transcript has turns that are not over: {going_on}"
