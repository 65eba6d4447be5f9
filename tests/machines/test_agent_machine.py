"""A voice agent in bad weather: sound comes in bursts and is heard at its own pace, users speak
over it, sockets break, frames are lost and doubled, and time passes. What is heard is never of a
turn that was cut off, and the agent talks exactly as long as it is heard."""

from __future__ import annotations

import pickle

import pytest
from attrs import frozen
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.protocol.agent.story import INTERRUPTED, STARTED, STOPPED, AgentStory, said, says
from utd_rx.models import agent_events as e
from utd_rx.models.agent import AgentRole, AgentStatus
from utd_rx.protocol.agent.connecting import AgentPhase
from utd_rx.protocol.agent.session import AgentOptions
from utd_rx.protocol.agent.transcript import MAX_TURNS
from utd_rx.protocol.agent.turns import LONGEST_PAUSE
from utd_rx.protocol.facts import Effect
from utd_rx.protocol.facts.agent import (
    AgentAttemptOpened,
    AgentMuteWanted,
    AgentSoundArrived,
    AgentSoundEnded,
    AgentTextSent,
    AgentUnwanted,
    AgentWanted,
    BeginAgentSession,
    CloseAgentSocket,
    EndAgentSession,
    FlushAgentSound,
    OpenAgentSocket,
    ReleaseAgentDevices,
    SilenceMicrophone,
    UserSpeakingChanged,
)

TAIL = 0.125
"""Seconds that the last sound takes through the device; like all times here a sum of eighths, so
that no time is beside another."""

SECONDS = st.integers(1, 40).map(lambda eighths: eighths / 8)
CODES = st.sampled_from([None, 1000, 1006, 1011, 4000, 4401, 503])
ROLES = st.sampled_from(AgentRole)


@frozen
class Chunk:
    """Some sound of a turn of the server's."""

    turn: int
    seconds: float


class AgentWorld:
    """The shell as it is meant to be: one socket, one player, one microphone; and their server."""

    def __init__(self, options: AgentOptions) -> None:
        self.story = AgentStory(options)
        self.opened: list[int] = []
        self.is_up = False
        self.is_sending = False
        self.has_devices = False
        self.is_silent = False
        self.waiting: list[Chunk] = []
        self.tail_until: float | None = None
        self.heard: list[Chunk] = []
        self.turn = 0
        self.is_speaking = False
        self.quiet_since: float | None = None
        self.void: set[int] = set()

    @property
    def phase(self) -> AgentPhase:
        return self.story.state.connection.phase

    def tell(self, *facts: object) -> None:
        for fact in facts:
            for effect in self.story.hear(fact):
                self.perform(effect)
        self.look()

    def look(self) -> None:
        """Give up on a server that began a turn and brings no sound."""
        is_heard = bool(self.waiting) or self.tail_until is not None
        if is_heard or not self.is_speaking or not self.story.state.accepts_audio:
            self.quiet_since = None
        elif self.quiet_since is None:
            self.quiet_since = self.story.now
        elif self.story.now >= self.quiet_since + LONGEST_PAUSE:
            self.quiet_since, self.is_speaking = None, False

    def perform(self, effect: Effect) -> None:
        match effect:
            case OpenAgentSocket(attempt=attempt):
                assert not self.is_up, "one socket at a time"
                assert attempt not in self.opened
                self.opened.append(attempt)
                self.is_up = True
            case CloseAgentSocket(attempt=attempt):
                assert attempt == self.opened[-1]
                self.over()
            case BeginAgentSession():
                assert not self.is_sending
                self.is_sending = self.has_devices = True
                self.turn += 1  # of another server, also if it does not say that it begins
            case EndAgentSession():
                assert self.is_sending
                self.is_sending = False
            case ReleaseAgentDevices():
                assert not self.is_sending
                assert not self.waiting
                self.has_devices = False
            case SilenceMicrophone(is_silent=is_silent):
                assert is_silent is not self.is_silent
                self.is_silent = is_silent
            case FlushAgentSound():
                self.void |= {chunk.turn for chunk in self.waiting} | {self.turn}
                self.waiting.clear()
                self.tail_until = None

    def over(self) -> None:
        """The socket is over, and the server with it."""
        self.is_up = self.is_speaking = False

    def end(self, code: int | None, jitter: float) -> None:
        self.over()
        effects = self.story.end(code, jitter=jitter)
        for effect in effects:
            self.perform(effect)

    def arrive(self, seconds: float) -> None:
        """Some sound of the turn that the server is in, or was."""
        if not self.story.state.accepts_audio:
            return
        was_empty = not self.waiting
        self.waiting.append(Chunk(self.turn, seconds))
        self.tail_until = None
        if was_empty:
            self.tell(AgentSoundArrived(seconds))

    def start(self) -> None:
        self.turn += 1
        self.is_speaking = True
        self.tell(STARTED)

    def pass_time(self, seconds: float) -> None:
        """Let time pass for the player and for the timer, whichever is first."""
        left = seconds
        while left > 0:
            is_heard = self.waiting or self.tail_until is not None
            step = min(left, 0.125) if is_heard else left
            left -= step
            for effect in self.story.pass_time(step):
                self.perform(effect)
            if self.tail_until is not None and self.story.now >= self.tail_until:
                self.tail_until = None
            played = step
            while self.waiting and played > 0:
                chunk = self.waiting.pop(0)
                part = min(chunk.seconds, played)
                played -= part
                self.heard.append(Chunk(chunk.turn, part))
                if chunk.seconds > part:
                    self.waiting.insert(0, Chunk(chunk.turn, chunk.seconds - part))
                elif not self.waiting:
                    self.tail_until = self.story.now + TAIL
                    self.tell(AgentSoundEnded(TAIL))
            self.look()
        # What is heard was never cut off before.
        assert not {chunk.turn for chunk in self.waiting} & self.void


class AgentMachine(RuleBasedStateMachine):
    """One session, one server, and everything between them."""

    @initialize(mutes=st.booleans(), barges=st.booleans(), has_microphone=st.booleans())
    def begin(self, mutes: bool, barges: bool, has_microphone: bool) -> None:
        options = AgentOptions(24_000, has_microphone, mutes, barges)
        self.world = AgentWorld(options)
        self.sessions = 0

    # --- the app

    @rule()
    def start(self) -> None:
        self.world.tell(AgentWanted())

    @rule(is_pause=st.booleans())
    def put_away(self, is_pause: bool) -> None:
        self.world.tell(AgentUnwanted(is_pause))
        assert not self.world.waiting
        assert not self.world.has_devices

    @rule(is_muted=st.booleans())
    def mute(self, is_muted: bool) -> None:
        self.world.tell(AgentMuteWanted(is_muted))

    @rule()
    def write(self) -> None:
        self.world.tell(AgentTextSent())

    # --- the user

    @precondition(lambda self: self.world.has_devices)
    @rule(is_speaking=st.booleans())
    def speak(self, is_speaking: bool) -> None:
        state = self.world.story.state
        barges = state.options.barges_in and state.turns.is_agent_talking
        before = state.is_user_talking
        self.world.tell(UserSpeakingChanged(is_speaking))
        state = self.world.story.state
        if barges and state.is_user_talking and not before:
            assert not self.world.waiting
            assert not state.accepts_audio

    # --- the server, while a socket is up

    @precondition(lambda self: self.world.is_up)
    @rule()
    def open(self) -> None:
        world = self.world
        world.tell(AgentAttemptOpened(world.opened[-1]))
        self.sessions += 1
        world.tell(e.AgentSessionCreated(f"s{self.sessions}", f"CALL-{self.sessions}", 24_000))

    @precondition(lambda self: self.world.is_sending)
    @rule(is_told=st.booleans(), repeats=st.integers(1, 2))
    def begin_turn(self, is_told: bool, repeats: int) -> None:
        for _ in range(repeats):
            if is_told and not self.world.is_speaking:
                self.world.start()
            elif is_told:
                self.world.tell(STARTED)  # in the other spelling

    @precondition(lambda self: self.world.is_sending)
    @rule(chunks=st.lists(SECONDS, max_size=4))
    def send_sound(self, chunks: list[float]) -> None:
        for seconds in chunks:
            self.world.arrive(seconds)

    @precondition(lambda self: self.world.is_sending)
    @rule()
    def end_turn(self) -> None:
        self.world.is_speaking = False
        self.world.tell(STOPPED)

    @precondition(lambda self: self.world.is_sending)
    @rule()
    def interrupt(self) -> None:
        self.world.is_speaking = False
        self.world.tell(INTERRUPTED)
        assert not self.world.waiting
        assert not self.world.story.state.accepts_audio
        assert self.world.story.state.status is AgentStatus.LISTENING

    @rule(role=ROLES, text=st.sampled_from("abc"), is_final=st.booleans())
    def tell_words(self, role: AgentRole, text: str, is_final: bool) -> None:
        """Also while no socket is up: what comes late."""
        before = self.world.story.said
        self.world.tell(said(text, role) if is_final else says(text, role))
        if not self.world.is_sending:
            assert self.world.story.said == before

    @precondition(lambda self: self.world.is_up)
    @rule(code=st.sampled_from(["404", "internal_error", "invalid_event", "no_credits"]))
    def tell_error(self, code: str) -> None:
        for effect in self.world.story.tell_error(code):
            self.world.perform(effect)

    @precondition(lambda self: self.world.is_up)
    @rule(code=CODES, jitter=st.floats(0.0, 1.0), is_announced=st.booleans())
    def end(self, code: int | None, jitter: float, is_announced: bool) -> None:
        if is_announced:
            self.world.tell(e.AgentSessionClosed("ended"))
        waiting = list(self.world.waiting)
        self.world.end(code, jitter)
        assert self.world.waiting == waiting, "what arrived is still heard"
        assert self.world.phase in (AgentPhase.WAITING, AgentPhase.OVER)

    # --- time

    @rule(seconds=SECONDS)
    def pass_time(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule()
    def pass_a_minute(self) -> None:
        """Whatever was under way has come to an end."""
        self.world.pass_time(60.0)
        assert self.world.waiting or not self.world.story.state.turns.voice.has_sound

    # --- what always holds

    @invariant()
    def the_agent_talks_as_long_as_it_is_heard(self) -> None:
        world = self.world
        turns = world.story.state.turns
        sounds = bool(world.waiting) or world.tail_until is not None
        assert turns.voice.has_sound is sounds
        if sounds or not world.is_sending:
            assert turns.is_agent_talking is sounds
        elif turns.accepts_audio:
            assert turns.is_agent_talking is world.is_speaking

    @invariant()
    def the_microphone_is_silent_when_it_is_to_be(self) -> None:
        state = self.world.story.state
        shy = state.options.mutes_while_speaking and state.turns.is_agent_talking
        assert self.world.is_silent is (state.is_muted or shy)
        assert not (state.is_user_talking and state.options.has_microphone and self.world.is_silent)

    @invariant()
    def what_is_held_is_what_is_needed(self) -> None:
        world, state = self.world, self.world.story.state
        assert world.is_sending is (world.phase is AgentPhase.LISTENING)
        assert world.is_up is (world.phase in (AgentPhase.OPENING, AgentPhase.LISTENING))
        assert world.has_devices is state.has_devices
        if not state.connection.is_joined and not state.turns.is_agent_talking:
            assert not world.has_devices

    @invariant()
    def whoever_waits_has_a_time_at_which_it_ends(self) -> None:
        connection = self.world.story.state.connection
        assert (connection.retry_at is not None) is (connection.phase is AgentPhase.WAITING)
        if connection.phase is AgentPhase.OPENING:
            assert connection.ends_at is not None

    @invariant()
    def of_each_role_only_the_newest_turn_is_under_way(self) -> None:
        state = self.world.story.state
        for role in AgentRole:
            mine = [turn for turn in state.turns.transcript.turns if turn.role is role]
            assert all(turn.is_final for turn in mine[:-1])
            if not state.connection.is_listening:
                assert all(turn.is_final for turn in mine)


TestAgentMachine = AgentMachine.TestCase


def test_the_guard_of_the_machine_sees_what_was_cut_off() -> None:
    world = AgentWorld(AgentOptions())
    world.tell(AgentWanted(), e.AgentSessionCreated("s", "c", 24_000))
    world.start()
    world.arrive(2.0)
    world.tell(INTERRUPTED)
    world.waiting.append(Chunk(world.turn, 1.0))  # as one who does not drop it
    with pytest.raises(AssertionError):
        world.pass_time(0.125)


def test_an_hour_of_talking_does_not_grow() -> None:
    world = AgentWorld(AgentOptions(mutes_while_speaking=True))
    world.tell(AgentWanted())
    sizes: list[int] = []
    for minute in range(60):
        world.tell(AgentAttemptOpened(world.opened[-1]))
        world.tell(e.AgentSessionCreated(f"s{minute:02}", f"CALL-{minute:02}", 24_000))
        for turn in range(10):
            asked, answer = f"question {turn}", f"answer {turn}"
            world.tell(UserSpeakingChanged(True), says(asked, AgentRole.USER))
            world.pass_time(1.0)
            world.tell(UserSpeakingChanged(False), said(asked, AgentRole.USER))
            world.start()
            world.tell(says(answer[:4]), says(answer))
            world.arrive(1.5)
            world.arrive(2.0)
            world.tell(INTERRUPTED if turn % 3 == 0 else STOPPED, said(answer))
            world.pass_time(5.0)
            assert not world.story.state.turns.is_agent_talking
        world.end(1006, 0.0)
        world.pass_time(0.5)
        world.story.effects.clear()
        world.heard.clear()
        sizes.append(len(pickle.dumps(world.story.state)))
    assert len(world.story.state.turns.transcript.turns) == MAX_TURNS
    assert max(sizes[30:]) < 1.02 * sizes[30]
    assert world.story.state.statistics.reconnects == 59
