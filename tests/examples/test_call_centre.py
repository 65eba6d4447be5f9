"""Whoever calls, waits, gives up and talks: each caller gets an agent who is free, if one is."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule

from examples import call_centre
from tests.examples.planting import SHORT, AppMachine, planted, play, story_of
from utd_rx import UTDCallSession, UTDCallStatus, UTDStreamType
from utd_rx.models.events import DataReceived

CALLERS: Final = st.sampled_from(["ben", "cleo", "dora"])
AGENTS: Final = ("ada", "bob")


class HotlineMachine(AppMachine):
    """A call centre of two agents, and three callers."""

    app: Any = call_centre

    def __init__(self) -> None:
        super().__init__()
        agents = {name: self.phone(name) for name in AGENTS}
        for name, session in agents.items():
            self.world.spawn(self.app.answer(self.world.client(name), session))
        hotline = self.phone("hotline")
        self.world.network.delay("hotline", 0.1)  # it is not beside the engine
        self.world.spawn(self.app.CallCentre(self.world.client("hotline"), hotline, agents).run())
        self.callers = {name: self.phone(name) for name in ("ben", "cleo", "dora")}
        self.told: dict[str, str] = {}
        self.kept_free: dict[str, float] = {}
        for name, session in self.callers.items():
            session.messages("handed-on").subscribe(partial(self.is_handed_on, name))

    def phone(self, name: str) -> UTDCallSession:
        client = self.world.client(name)

        async def signed_in() -> UTDCallSession:
            await client.authenticate(name)
            return client.call_session(UTDStreamType.AUDIO_CALL)

        return self.world.run(signed_in())

    @rule(who=CALLERS)
    def calls_the_hotline(self, who: str) -> None:
        if self.is_talking(who):
            return
        began = self.world.now
        self.told.pop(who, None)
        self.world.run(self.callers[who].start("hotline"))
        self.world.advance(1.0)
        if who in self.told:
            agent = self.told[who]
            assert self.is_free(agent, began), f"{who} was handed to {agent}, who is not free"
            self.kept_free[agent] = began + 10.0
            self.world.run(self.callers[who].end())
            self.world.advance(0.5)
        else:
            assert self.callers[who].status.value is UTDCallStatus.BUSY, f"{who} was left alone"
            free = [name for name in AGENTS if self.is_free(name, began - 1.0)]
            assert not free, f"{who} was sent away though {free} were free"

    @rule(who=CALLERS)
    def is_put_through(self, who: str) -> None:
        agent = self.told.pop(who, None)
        if agent is not None and not self.is_talking(who) and not self.is_on_a_call(agent):
            self.world.run(self.callers[who].start(agent))
            self.world.advance(1.0)
            assert self.callers[who].status.value is UTDCallStatus.ACTIVE, f"{agent} is asleep"

    @rule(who=CALLERS)
    def gives_up_at_once(self, who: str) -> None:
        if not self.is_talking(who):
            self.world.run(self.callers[who].start("hotline"))
            self.world.advance(0.15)  # it rings there, and is answered too late
            self.world.run(self.callers[who].end())
            self.world.advance(1.0)

    @rule(who=CALLERS)
    def hangs_up(self, who: str) -> None:
        self.world.run(self.callers[who].end())

    @rule()
    def a_while_passes(self) -> None:
        self.world.advance(12.0)

    def is_handed_on(self, who: str, message: DataReceived) -> None:
        self.told[who] = message.payload.decode()

    def is_talking(self, who: str) -> bool:
        return self.callers[who].status.value is UTDCallStatus.ACTIVE

    def is_on_a_call(self, agent: str) -> bool:
        return any(
            self.is_talking(who) and session.peer.value == agent
            for who, session in self.callers.items()
        )

    def is_free(self, agent: str, at: float) -> bool:
        return not self.is_on_a_call(agent) and at >= self.kept_free.get(agent, 0.0)


def test_each_caller_gets_an_agent_who_is_free() -> None:
    play(HotlineMachine)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("line", "instead"),
    [
        pytest.param(
            "self._last[agent] = now", "self._last[agent] = 0.0", id="an agent is promised twice"
        ),
        pytest.param(
            "now < self._last[agent] + TALKING_SOON",
            'self._last[agent] > float("-inf")',
            id="an agent who was promised once is never free again",
        ),
        pytest.param(
            "with suppress(UTDStreamException):  # who called has given up",
            "if True:",
            id="who gives up is the end",
        ),
    ],
)
def test_a_bug_is_found_in_a_short_story(line: str, instead: str) -> None:
    story = story_of(HotlineMachine, planted(call_centre, line, instead))
    assert 1 <= len(story) <= SHORT, story
