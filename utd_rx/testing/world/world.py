"""`FakeWorld`: engine, media server, network and devices on one virtual clock, for plain tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Self, TypeVar, Unpack

from utd_rx.agent.session import AtomsAgentSession
from utd_rx.client import UTDStreamClient
from utd_rx.engine.agent.host import Agent, AgentHost
from utd_rx.engine.options import EngineOptions
from utd_rx.errors import ConflictReason, conflict, invalid
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.rest.client import UTDApiClient
from utd_rx.rooms import AudioRoomOptions, LiveStreamOptions
from utd_rx.sessions.audio_room import UTDAudioRoomSession
from utd_rx.sessions.call import UTDCallSession
from utd_rx.sessions.live_stream import UTDLiveStreamSession
from utd_rx.state.reports import running_loop
from utd_rx.testing.audio import FakeAudio
from utd_rx.testing.loop import VirtualLoop
from utd_rx.testing.world.devices import VirtualCamera, VirtualMicrophone
from utd_rx.testing.world.loop_world import LOBBY, PATIENCE, SEATS, LoopWorld
from utd_rx.testing.world.network import Network
from utd_rx.testing.world.plain import PlainRooms
from utd_rx.testing.world.sent import Asked

T = TypeVar("T")


class FakeWorld(PlainRooms):
    """Any number of people in genuine sessions, without a network, on virtual time.

    Behind their clients is the genuine engine; media server, network and devices are made up. Time
    passes in `advance` and `run` only, and takes none: an hour is a millisecond. What happens is
    the same each time for the same `seed`, but for the ids of chat messages and of sessions with
    an agent, which are random.

    This one is for tests that are no coroutines, rules of Hypothesis above all: it brings its own
    loop, whose time stands still between two verbs. `FakeWorld.on_loop` gives the same verbs as
    coroutines. It ends with `with` or `close`.

    What an observer raises, and what fails in the background, is raised by the verb in which it
    happens.

    Args:
        seed: Of every dice: jitter, and what the network loses.
        ring_timeout: Seconds for which a call rings, 10 to 120.
        max_call_seconds: The longest that a call lasts, 60 to 14,400.
        host_grace: Seconds for which a broadcast waits for its host, 1 to 3,600.
        silent_update_interval: Seconds for which news of participants that publish nothing is
            collected, 0 to 3,600; livekit-server takes 3, and what they send meanwhile names no
            sender (docs/livekit.md, "News of the silent").

    Raises:
        UTDStreamException: `VALIDATION`: out of range, or a loop runs here already.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        ring_timeout: float = 30.0,
        max_call_seconds: float = 3600.0,
        host_grace: float = 60.0,
        silent_update_interval: float = 0.0,
    ) -> None:
        if running_loop() is not None:
            raise invalid("a loop runs here: use `async with FakeWorld.on_loop() as world`")
        options = _options(ring_timeout, max_call_seconds, host_grace, silent_update_interval)
        self._is_over = False
        self._runner = asyncio.Runner(loop_factory=VirtualLoop)
        self._world = self._act(lambda: LoopWorld(seed, options, Network(seed, self._act)))

    @staticmethod
    def on_loop(
        seed: int = 0,
        *,
        ring_timeout: float = 30.0,
        max_call_seconds: float = 3600.0,
        host_grace: float = 60.0,
        silent_update_interval: float = 0.0,
    ) -> LoopWorld:
        """Return a world whose verbs are coroutines, for `async with` on a `VirtualLoop`.

        Args:
            seed: As of `FakeWorld`, like the others.
            ring_timeout: Likewise.
            max_call_seconds: Likewise.
            host_grace: Likewise.
            silent_update_interval: Likewise.

        Raises:
            UTDStreamException: `VALIDATION`: out of range, or the running loop is not virtual.
        """
        options = _options(ring_timeout, max_call_seconds, host_grace, silent_update_interval)
        return LoopWorld(seed, options)

    def __repr__(self) -> str:
        return repr(self._world)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._end(is_failing=kind is not None)

    @property
    def now(self) -> float:
        """Seconds since the world began."""
        return self._world.now

    @property
    def network(self) -> Network:
        """What happens to messages: `drop`, `delay`, `reorder`, `partition`, `heal`."""
        return self._world.network

    @property
    def sent(self) -> Sequence[Asked]:
        """What was asked of the engine so far, in the order in which it came; it grows."""
        return self._world.sent

    def client(self, identity: str, *, device_id: str | None = None) -> UTDStreamClient:
        """Return the client of `identity`, who has one until it is killed.

        With a `device_id` here, or where they join, it is another program on another device, which
        `kill`, `network` and `sent` call `"ben/tablet"`.
        """
        return self._act(lambda: self._world.client(identity, device_id=device_id))

    def api_client(self, identity: str) -> UTDApiClient:
        """Return an HTTP client of the engine, for `UTDApi`, over the network of `identity`."""
        return self._act(lambda: self._world.api_client(identity))

    def microphone(self, identity: str) -> VirtualMicrophone:
        """Return the microphone that sessions of `identity` publish unless told otherwise.

        It is silent until `world.run(world.microphone("anna").say(2.0))`.
        """
        return self._act(lambda: self._world.microphone(identity))

    @property
    def audio(self) -> FakeAudio:
        """Whole sound devices on the world's time, for `Microphone(backend=world.audio)` and
        `Speaker(backend=world.audio)`: what they hear is `say`, what they play `played`."""
        return self._world.audio

    def camera(self, identity: str) -> VirtualCamera:
        """Return the camera of `identity`, in live streams and video calls; as `microphone`."""
        return self._act(lambda: self._world.camera(identity))

    def join_audio_room(
        self,
        identity: str,
        room: str = LOBBY,
        *,
        host: bool = False,
        seats: int = SEATS,
        **options: Unpack[AudioRoomOptions],
    ) -> UTDAudioRoomSession:
        """Let somebody join an audio room, and return their session.

        Args:
            identity: Who joins.
            room: Which room.
            host: Claim the host's role.
            seats: Host only: how many a new grid has.
            options: As of `UTDStreamClient.audio_room`.

        Raises:
            UTDStreamException: As `UTDStreamClient.join_audio_room`.
        """
        joining = self._world.join_audio_room(identity, room, host=host, seats=seats, **options)
        return self._do(joining)

    def join_live_stream(
        self,
        identity: str,
        room: str = LOBBY,
        *,
        host: bool = False,
        **options: Unpack[LiveStreamOptions],
    ) -> UTDLiveStreamSession:
        """Let somebody join a live stream, and return their session.

        Args:
            identity: Who joins.
            room: Which room.
            host: Claim the host's role.
            options: As of `UTDStreamClient.live_stream`.

        Raises:
            UTDStreamException: As `UTDStreamClient.join_live_stream`.
        """
        return self._do(self._world.join_live_stream(identity, room, host=host, **options))

    def live_stream(
        self, host: str, room: str = LOBBY, **options: Unpack[LiveStreamOptions]
    ) -> UTDLiveStreamSession:
        """Let `host` join a live stream and go live, and return their session.

        Args:
            host: Who broadcasts.
            room: Which room.
            options: As of `UTDStreamClient.live_stream`.

        Raises:
            UTDStreamException: As `join_live_stream` and `UTDLiveStreamSession.go_live`.
        """
        return self._do(self._world.live_stream(host, room, **options))

    def call(
        self,
        caller: str,
        callee: str,
        type: UTDStreamType = UTDStreamType.AUDIO_CALL,  # noqa: A002 (the seed's word)
        *,
        answer: bool = True,
    ) -> tuple[UTDCallSession, UTDCallSession]:
        """Let `caller` call `callee`, and return the sessions of both, the caller's first.

        Args:
            caller: Who calls; signed in by this if need be.
            callee: Who is called; likewise.
            type: `AUDIO_CALL` or `VIDEO_CALL`.
            answer: Whether the callee answers, and both are in the call then; else it rings.

        Raises:
            UTDStreamException: As `UTDCallSession.start` and `accept`.
        """
        return self._do(self._world.call(caller, callee, type, answer=answer))

    @property
    def agents(self) -> AgentHost:
        """The voice agent at the other end of every `agent`: what it is, whom it refuses, and its
        sessions (`world.run(world.agents.next_call())`)."""
        return self._world.agents

    def agent(self, identity: str, agent: Agent | None = None, **options: Any) -> AtomsAgentSession:
        """Let somebody talk to a voice agent, and return their session, started.

        Args:
            identity: Who talks.
            agent: What serves this session and those after it, an `EchoAgent` until one is given.
            options: As of `AtomsAgentSession`. Without a `microphone` they write, and without a
                `speaker` nobody hears the agent; `world.microphone(identity)` sends its silence,
                too, which costs a millisecond for each second that passes.

        Raises:
            UTDStreamException: As `AtomsAgentSession.start`.
            TimeoutError: Nobody could be reached within 600 virtual seconds.
        """
        return self._do(self._world.agent(identity, agent, **options))

    def run(self, work: Awaitable[T], *, within: float = PATIENCE) -> T:
        """Wait for a coroutine to end, while time passes as it needs, and return its result.

        Args:
            work: What to do: a command of a session, say.
            within: Virtual seconds it may take.

        Raises:
            TimeoutError: It did not end in time.
            StandstillError: It waits for what cannot happen any more.
            UTDStreamException: `VALIDATION`: it is a future of another loop, as what
                `asyncio.gather` returns outside of coroutines.
        """
        return self._do(self._world.run(work, within=within))

    def spawn(self, work: Coroutine[Any, Any, T], name: str | None = None) -> asyncio.Task[T]:
        """Let a coroutine run in the background, as a bot does, until the world ends.

        Args:
            work: What to do.
            name: Of the task.
        """
        return self._act(lambda: self._world.spawn(work, name))

    def advance(self, seconds: float) -> None:
        """Let time pass: everything that is due meanwhile happens, each at its time, in order."""
        self._do(self._world.advance(seconds))

    def settle(self) -> None:
        """Let everything happen that needs no time."""
        self._do(self._world.settle())

    def kill(self, who: str) -> None:
        """End the program of `who` without a word to anybody; a new client is a new program.

        Raises:
            UTDStreamException: `VALIDATION`: they have no client.
        """
        self._do(self._world.kill(who))

    def close(self) -> None:
        """End the world and every session in it. Idempotent."""
        self._end(is_failing=False)

    def _end(self, *, is_failing: bool) -> None:
        if not self._is_over:
            try:
                self._do(self._world.aclose(is_failing=is_failing))
            finally:
                self._is_over = True
                self._runner.close()

    def _act(self, what: Callable[[], T]) -> T:
        """Do on the loop what does not wait; a coroutine that runs there may ask for it, too."""

        async def act() -> T:
            return what()

        return what() if self._is_inside() else self._do(act())

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        error = None
        if self._is_over:
            error = conflict(ConflictReason.CLOSED, "this world is over: make another one")
        elif self._is_inside():
            error = invalid(
                "a verb that waits is for plain code; in a coroutine, await what a session offers, "
                "and asyncio.sleep"
            )
        if error is not None:
            work.close()
            raise error
        return self._runner.get_loop().run_until_complete(work)

    def _is_inside(self) -> bool:
        """Whether the caller runs on the loop of this world."""
        return not self._is_over and running_loop() is self._runner.get_loop()


def _options(
    ring_timeout: float, max_call_seconds: float, host_grace: float, silent_update_interval: float
) -> EngineOptions:
    return EngineOptions(
        app_id="1000000001",
        app_key="a" * 32,
        app_secret="5" * 32,
        ring_timeout=ring_timeout,
        max_call_seconds=max_call_seconds,
        host_grace=host_grace,
        silent_update_interval=silent_update_interval,
    )
