"""`AtomsAgentSession`: a voice agent, as state to subscribe to and commands to await."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from utd_rx.agent.access import (
    BASE_URL,
    AgentAddress,
    TokenSource,
    Variables,
    access_of,
    checked_mode,
)
from utd_rx.agent.dialing import Dialer
from utd_rx.agent.incoming import AgentIncoming
from utd_rx.agent.socket import AgentSocket
from utd_rx.agent.sound import AgentSound
from utd_rx.agent.speaking import AgentPlayer
from utd_rx.agent.tool_calls import AgentToolCalls
from utd_rx.agent.tools import ClientTool, Toolbox, ToolFunction
from utd_rx.audio.speaker import Speaker
from utd_rx.errors import ConflictReason, conflict, invalid
from utd_rx.models import checks
from utd_rx.models.agent import AgentMode, AgentStatus
from utd_rx.models.agent_events import AgentEvent
from utd_rx.models.audio import AudioFormat, AudioInput, FrameSink
from utd_rx.ports.agent_socket import AgentSocketPort
from utd_rx.ports.clock import SYSTEM_CLOCK, Clock
from utd_rx.ports.proxy import Proxies
from utd_rx.protocol.agent.promises import HasSession, HasStarted
from utd_rx.protocol.agent.session import AgentOptions, AgentState
from utd_rx.protocol.facts import agent as facts
from utd_rx.protocol.kinds import VOICE_AGENT
from utd_rx.protocol.wire import atoms
from utd_rx.sessions.agent_view import AgentView
from utd_rx.sessions.commands import command
from utd_rx.sessions.owned import Owned
from utd_rx.sessions.rules_runner import RulesRunner
from utd_rx.state.events import EventStream

MAX_WRITTEN = 64 * 1024
"""Characters of a text for the agent."""


class AtomsAgentSession(AgentView, Owned):
    """A conversation with a voice agent over the Atoms protocol (docs/agent.md).

    Every stream is a `StateSubject`; `AgentView` lists them. It belongs to the event loop it was
    made on, and a command from another one raises `CONFLICT`, foreign loop. It connects in
    `start`, and again by itself after a loss; each connection is a session of its own, the
    transcript goes on.

    Args:
        api_key: The account's key; sent in a header. One of this, `token` and `token_source`.
        agent_id: The agent to talk to; not needed with a token.
        token: A token of `register_call`: good for one connection.
        token_source: An async function that mints a token for each attempt to connect.
        mode: An `AgentMode` or its value; a chat has no sound.
        sample_rate: Of the wire, in Hz: 8,000, 16,000, 24,000 or 48,000. What the server answers
            counts, and 24,000 with a token. Devices may have any.
        variables: For the agent's prompt: strings, numbers and booleans by name.
        base_url: The server: its host, with or without the path.
        microphone: What the agent hears: any `AudioInput`, a participant's voice as well.
        speaker: What plays the agent: a `Speaker`, or anything that takes frames, in real time.
        mute_while_agent_speaks: Send silence while the agent is heard, to its last sound.
        local_barge_in: Cut the agent off when the microphone hears a voice, before the server
            says so.
        tools: What the agent may call: async functions, or what `agent_tool` makes of them.
        key_in_url: Send the credential as a parameter, where headers cannot be sent.
        allow_clear_text: Accept a `base_url` without TLS on another machine.
        proxy: As `UTDApiClient`'s.
        trust_env: As `UTDApiClient`'s.
        socket: Instead of a WebSocket, for tests: `utd_rx.testing.agent_socket.FakeAgentSocket`.
        clock: Of deadlines and of sound, for tests.

    Raises:
        UTDStreamException: `VALIDATION` for what cannot be; `FEATURE_DISABLED` for a device whose
            sound does not pass here, or whose rate needs soxr, which is missing.
    """

    def __init__(
        self,
        api_key: str | None = None,
        agent_id: str | None = None,
        *,
        token: str | None = None,
        token_source: TokenSource | None = None,
        mode: AgentMode | str = AgentMode.WEBCALL,
        sample_rate: int = 24_000,
        variables: Variables | None = None,
        base_url: str = BASE_URL,
        microphone: AudioInput | None = None,
        speaker: Speaker | FrameSink | None = None,
        mute_while_agent_speaks: bool = False,
        local_barge_in: bool = False,
        tools: Iterable[ClientTool | ToolFunction] = (),
        key_in_url: bool = False,
        allow_clear_text: bool = False,
        proxy: str | None = None,
        trust_env: bool = False,
        socket: AgentSocketPort | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        access = access_of(
            api_key=api_key,
            token=token,
            token_source=token_source,
            agent_id=agent_id,
            mode=mode,
            sample_rate=sample_rate,
            variables=variables,
            address=AgentAddress.of(base_url, allow_clear_text=allow_clear_text),
            is_in_url=key_in_url,
        )
        checks.source(microphone, "microphone", "an AudioInput", AudioFormat)
        is_chat = checked_mode(mode) is AgentMode.CHAT
        options = AgentOptions(
            sample_rate,
            has_microphone=microphone is not None and not is_chat,
            mutes_while_speaking=checks.flag(mute_while_agent_speaks, "mute_while_agent_speaks"),
            barges_in=checks.flag(local_barge_in, "local_barge_in"),
        )
        self._toolbox = Toolbox(tools, clock)
        proxies = Proxies.of(proxy, trust_env=trust_env)
        self._runner: RulesRunner[AgentState] = RulesRunner(
            VOICE_AGENT, AgentState(options), clock=clock
        )
        events: EventStream[AgentEvent] = EventStream()
        self._agent_id = agent_id or ""
        self._closing: asyncio.Task[None] | None = None
        super().__init__(self._runner.machine, events)
        self._agent_events = events
        self._player = AgentPlayer(
            speaker, sample_rate, on_empty=lambda tail: self._sound.emptied(tail), clock=clock
        )
        self._sound = AgentSound(
            None if is_chat else microphone,
            self._player,
            sample_rate,
            runner=self._runner,
            wake=lambda: self._dialer.wake(),
            clock=clock,
        )
        incoming = AgentIncoming(self._runner, events, self._sound, clock)
        self._dialer = Dialer(
            socket or AgentSocket(proxies=proxies),
            access,
            spawn=self._runner.spawn,
            pull=self._sound.pull,
            heard=incoming.take,
            not_connected=incoming.not_connected,
            clock=clock,
        )
        calls = AgentToolCalls(self._toolbox, self._dialer.put)
        self._runner.start(
            self._sound.handlers,
            {
                facts.OpenAgentSocket: self._dialer.open,
                facts.CloseAgentSocket: self._dialer.close,
                facts.BeginAgentSession: self._begin,
                facts.CallAgentTool: calls.call,
            },
        )

    @property
    def voice(self) -> AudioInput:
        """The agent's voice as a source of sound: to be published in a room, or listened to.

        Paced in real time, silence included; any number may open it, beside `speaker`.
        """
        return self._player.voice

    # --- coming and going -----------------------------------------------------------------------

    @command
    async def start(self) -> None:
        """Connect, and return when the agent listens.

        What may pass, such as a server that drains or a lost network, is tried again until it
        does: give it a time-out of your own, or `stop`. After `stop` it begins a new session with
        an empty transcript.

        Raises:
            UTDStreamException: `UNAUTHORIZED`, `FORBIDDEN` or what else is final; `CONFLICT` when
                it is started already, paused, or stopped meanwhile; what a device or
                `token_source` failed with.

        Cancelling is safe: it stops.
        """
        if self._runner.state.status is AgentStatus.PAUSED:
            raise conflict(ConflictReason.ALREADY, "it is paused: await resume()")
        await self._connect()

    @command
    async def stop(self) -> None:
        """Say goodbye and close: silence at once, devices let go, the socket closed with 1000.

        Does nothing when there is no session. Bounded in time; cancelling is safe: it closes all
        the same.
        """
        await self._put_away()

    @command
    async def pause(self) -> None:
        """Put the session away, as `stop`, until `resume`: for an app that nobody looks at.

        Raises:
            UTDStreamException: `CONFLICT`, not joined: it was not started.
        """
        status = self._runner.state.status
        if status in (AgentStatus.IDLE, AgentStatus.CLOSED):
            raise conflict(ConflictReason.NOT_JOINED, "there is nothing to pause: await start()")
        await self._put_away(is_pause=True)

    @command
    async def resume(self) -> None:
        """Go on after `pause`, in a new session with the same transcript; otherwise as `start`.

        Raises:
            UTDStreamException: `CONFLICT`, not joined: it is not paused; and as `start`.
        """
        if self._runner.state.status is not AgentStatus.PAUSED:
            raise conflict(ConflictReason.NOT_JOINED, "it is not paused")
        await self._connect()

    async def aclose(self) -> None:
        """Stop and end every stream; values stay readable. Idempotent, bounded in time.

        Cancelling is safe: it closes all the same.

        Raises:
            UTDStreamException: `CONFLICT` on a foreign loop.
        """
        if self._machine.closed:
            return
        self._runner.require_here()
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="utd_rx.agent: close")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        try:
            await self._put_away()
            await self._sound.aclose()
        finally:
            await self._runner.aclose()
            self._agent_events.close()

    # --- talking --------------------------------------------------------------------------------

    @command
    async def send_text(self, text: str) -> None:
        """Write to the agent, which answers as to what it hears, and stops what it says.

        While it connects, this waits for the session, 10 s at most. Returns when the text was sent.

        Raises:
            UTDStreamException: `VALIDATION` for no text or more than 64 Ki characters; `CONFLICT`
                when it is not started, paused or stopped meanwhile, or when too much waits to be
                sent; `TIMEOUT` without a session in time; `NETWORK` when the connection ends first.

        Cancelling is safe; the text may have been sent.
        """
        if not isinstance(text, str) or not 0 < len(text) <= MAX_WRITTEN:
            raise invalid(f"text is a string of 1 to {MAX_WRITTEN} characters")
        connection = self._runner.state.connection
        if not connection.is_joined:
            raise conflict(ConflictReason.NOT_JOINED, "not connected to the agent: await start()")
        if not connection.is_listening:
            await self._runner.wait(HasSession(), connection.epoch)
        sent = self._dialer.put(atoms.input_text(text))
        self._runner.offer(facts.AgentTextSent())
        await sent

    @command
    async def mute(self) -> None:
        """Send silence in place of the microphone, from now on, until `unmute`."""
        self._runner.offer(facts.AgentMuteWanted(True))

    @command
    async def unmute(self) -> None:
        """Let the microphone be heard again."""
        self._runner.offer(facts.AgentMuteWanted(False))

    # --- inside ---------------------------------------------------------------------------------

    async def _connect(self) -> None:
        before = self._runner.state.connection
        if before.is_joined:
            raise conflict(ConflictReason.ALREADY, "it is started already")
        self._runner.offer(facts.AgentWanted())
        epoch = self._runner.state.connection.epoch
        try:
            await self._runner.wait(HasStarted(), epoch)
        except BaseException:
            connection = self._runner.state.connection
            if connection.epoch == epoch and connection.is_joined:
                self._runner.offer(facts.AgentUnwanted())
            raise

    async def _put_away(self, *, is_pause: bool = False) -> None:
        self._runner.offer(facts.AgentUnwanted(is_pause))
        await self._dialer.settled()
        await self._sound.settled()

    def _begin(self, effect: facts.BeginAgentSession) -> None:
        if self._toolbox.declared:
            self._dialer.put(atoms.update_tools(self._toolbox.declared))
        self._sound.begin(effect)
        self._dialer.wake()
