"""`LoopWorld`: a world without a network, for coroutines on a `VirtualLoop`."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Coroutine, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Final, Self, TypeVar, Unpack

from utd_rx.agent.session import AtomsAgentSession
from utd_rx.client import UTDStreamClient
from utd_rx.engine.agent.host import Agent, AgentHost
from utd_rx.engine.media import Media
from utd_rx.engine.options import EngineOptions
from utd_rx.errors import invalid
from utd_rx.models.checks import number
from utd_rx.models.participant import ParticipantPermission
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.rest.client import UTDApiClient
from utd_rx.rooms import AudioRoomOptions, LiveStreamOptions
from utd_rx.sessions.audio_room import UTDAudioRoomSession
from utd_rx.sessions.call import UTDCallSession
from utd_rx.sessions.live_stream import UTDLiveStreamSession
from utd_rx.sessions.room import PlainRoomOptions, RoomSession
from utd_rx.state.reports import running_loop
from utd_rx.testing import pictures
from utd_rx.testing.audio import FakeAudio
from utd_rx.testing.loop import VirtualLoop
from utd_rx.testing.world.agent import AGENT_URL
from utd_rx.testing.world.clock import WorldClock
from utd_rx.testing.world.devices import VirtualCamera, VirtualMicrophone
from utd_rx.testing.world.engine import BASE_URL, LIVEKIT_URL, WorldEngine
from utd_rx.testing.world.network import Network
from utd_rx.testing.world.process import Process, WorldClient
from utd_rx.testing.world.room import WorldRoom
from utd_rx.testing.world.sent import Asked

T = TypeVar("T")

LOBBY: Final = "lobby"
"""The room of whoever names none."""

SEATS: Final = 8
"""How many a new audio room has."""

TOKEN_SECONDS: Final = 6 * 3600.0
"""How long a token for a plain room holds: as LiveKit's own library makes it."""

ALL_GRANTED: Final = ParticipantPermission(
    can_subscribe=True, can_publish=True, can_publish_data=True, can_update_metadata=True
)

PATIENCE: Final = 600.0
"""Virtual seconds that `run` waits: longer than anything the SDK does by itself."""


class LoopWorld:
    """`FakeWorld` as coroutines; made by `FakeWorld.on_loop`, which explains it."""

    def __init__(self, seed: int, options: EngineOptions, network: Network | None = None) -> None:
        loop = running_loop()
        if not isinstance(loop, VirtualLoop):
            raise invalid("a FakeWorld needs a VirtualLoop: run this with run_virtual(main())")
        self._loop = loop
        self._handler = loop.get_exception_handler()
        loop.set_exception_handler(self._note)
        self._clock = WorldClock(loop, random.Random(seed))  # noqa: S311 - it guards nothing
        self.network = network or Network(seed)
        self._engine = WorldEngine(options)
        self._audio = FakeAudio(self._clock)
        self._processes: dict[str, Process] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failures: list[BaseException] = []
        pictures.begin(loop.time, self._engine.sent)

    def __repr__(self) -> str:
        return f"<FakeWorld after {self.now:g} s: {', '.join(self._processes) or 'nobody'}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await self.aclose(is_failing=kind is not None)

    @property
    def now(self) -> float:
        return self._loop.time()

    @property
    def sent(self) -> Sequence[Asked]:
        return self._engine.sent

    # --- who takes part -------------------------------------------------------------------------

    def client(self, identity: str, *, device_id: str | None = None) -> UTDStreamClient:
        return self._process(identity, device_id).client

    def api_client(self, identity: str) -> UTDApiClient:
        secrets = self._engine.context.secrets
        return UTDApiClient(
            BASE_URL,
            app_id=secrets.app_id,
            app_key=secrets.app_key,
            transport=self._engine.transport(identity, self.network.link(identity)),
            clock=self._clock,
        )

    def microphone(self, identity: str) -> VirtualMicrophone:
        return self._process(identity).microphone

    @property
    def audio(self) -> FakeAudio:
        return self._audio

    def camera(self, identity: str) -> VirtualCamera:
        return self._process(identity).camera

    async def join_audio_room(
        self,
        identity: str,
        room: str = LOBBY,
        *,
        host: bool = False,
        seats: int = SEATS,
        **options: Unpack[AudioRoomOptions],
    ) -> UTDAudioRoomSession:
        given: AudioRoomOptions = {"as_host": host, **options}
        if host:
            given = {"seat_count": seats, **given}
        process = self._process(identity, options.get("device_id"))
        return await process.client.join_audio_room(identity, room, **given)

    async def join_live_stream(
        self,
        identity: str,
        room: str = LOBBY,
        *,
        host: bool = False,
        **options: Unpack[LiveStreamOptions],
    ) -> UTDLiveStreamSession:
        process = self._process(identity, options.get("device_id"))
        given: LiveStreamOptions = {"as_host": host, "camera": process.camera, **options}
        return await process.client.join_live_stream(identity, room, **given)

    async def live_stream(
        self, host: str, room: str = LOBBY, **options: Unpack[LiveStreamOptions]
    ) -> UTDLiveStreamSession:
        session = await self.join_live_stream(host, room, host=True, **options)
        await session.go_live()
        return session

    async def call(
        self,
        caller: str,
        callee: str,
        type: UTDStreamType = UTDStreamType.AUDIO_CALL,  # noqa: A002 (the seed's word)
        *,
        answer: bool = True,
    ) -> tuple[UTDCallSession, UTDCallSession]:
        calling, called = self._process(caller), self._process(callee)
        for process in (calling, called):
            await process.sign_in()
        near, far = calling.call_session(type), called.call_session(type)
        call = await near.start(callee)
        if answer:
            await far.accept(call.call_id)
            await near.connected.until(True, timeout=PATIENCE)
        return near, far

    @property
    def media_server(self) -> Media:
        return self._engine.sfu

    def room_token(
        self,
        identity: str,
        room: str = LOBBY,
        *,
        name: str = "",
        permission: ParticipantPermission = ALL_GRANTED,
        seconds: float = TOKEN_SECONDS,
    ) -> str:
        return self._engine.tokens.sign_plain(room, identity, name, permission, seconds)

    def room_session(
        self,
        identity: str,
        room: str = LOBBY,
        *,
        token: str | None = None,
        **options: Unpack[PlainRoomOptions],
    ) -> RoomSession:
        process = self._process(identity)
        given: PlainRoomOptions = {
            "microphone": process.microphone,
            "camera": process.camera,
            **options,
        }
        if token is None and options.get("token_source") is None:
            token = self.room_token(identity, room)
        port = WorldRoom(self._engine.sfu, process.link)
        session = RoomSession(LIVEKIT_URL, token, room=port, clock=self._clock, **given)
        return process.keep(session)

    async def open_room(
        self,
        identity: str,
        room: str = LOBBY,
        *,
        token: str | None = None,
        **options: Unpack[PlainRoomOptions],
    ) -> RoomSession:
        session = self.room_session(identity, room, token=token, **options)
        await session.join()
        return session

    @property
    def agents(self) -> AgentHost:
        return self._engine.agents

    async def agent(
        self, identity: str, agent: Agent | None = None, **options: Any
    ) -> AtomsAgentSession:
        process = self._process(identity)
        if agent is not None:
            self.agents.agent = agent
        session = AtomsAgentSession(
            self.agents.api_key,
            "agent",
            base_url=AGENT_URL,
            socket=self._engine.agent_socket(process.link),
            clock=self._clock,
            **options,
        )
        process.keep(session)
        await self.run(session.start())  # which by itself tries for ever
        return session

    # --- what happens ---------------------------------------------------------------------------

    async def run(self, work: Awaitable[T], *, within: float = PATIENCE) -> T:
        if asyncio.isfuture(work) and work.get_loop() is not self._loop:
            raise invalid(
                "this was begun on another loop and would never end: begin it in a coroutine, as "
                "`async def both(): await asyncio.gather(…)`, and run that"
            )
        limit = asyncio.timeout(within)
        try:
            async with limit:
                result = await work
        except Exception as error:
            # Whoever waits for what was spawned has heard of it.
            self._failures = [one for one in self._failures if one is not error]
            if isinstance(error, TimeoutError) and limit.expired():
                raise TimeoutError(f"it did not end within {within:g} virtual seconds") from None
            raise
        self._check()
        return result

    def spawn(self, work: Coroutine[Any, Any, T], name: str | None = None) -> asyncio.Task[T]:
        task = self._loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def advance(self, seconds: float) -> None:
        await asyncio.sleep(number(seconds, "time passes by 0 to 1e9 s", 0.0, 1e9))
        await self.settle()

    async def settle(self) -> None:
        await self._loop.settled()
        self._check()

    async def kill(self, who: str) -> None:
        process = self._processes.pop(who, None)
        if process is None:
            raise invalid(f"{who!r} has no client in this world that could be killed")
        process.link.cut()
        await process.aclose()

    async def aclose(self, *, is_failing: bool = False) -> None:
        pictures.end(self._loop.time)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._engine.aclose)
            for process in self._processes.values():
                process.link.cut()
                stack.push_async_callback(process.aclose)
        self._processes.clear()
        self._loop.set_exception_handler(self._handler)
        if not is_failing:  # else what failed first is what to read
            self._check()

    def _process(self, identity: str, device_id: str | None = None) -> Process:
        name = identity if device_id is None else f"{identity}/{device_id}"
        found = self._processes.get(name)
        if found is None:
            link = self.network.link(name)
            secrets = self._engine.context.secrets
            make = partial(
                WorldClient,
                app_id=secrets.app_id,
                app_key=secrets.app_key,
                base_url=BASE_URL,
                token_base_url=BASE_URL,
                make_room=lambda: WorldRoom(self._engine.sfu, link),
                signal=self._engine.signal(link),
                transport=self._engine.transport(name, link),
                clock=self._clock,
            )
            found = self._processes[name] = Process(name, identity, link, make)
        return found

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failures.append(error)

    def _note(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Keep what an observer raised, or a task that nobody awaits."""
        self._failures.append(context.get("exception") or RuntimeError(context["message"]))

    def _check(self) -> None:
        """Raise what failed in the background."""
        if self._failures:
            raise self._failures.pop(0)
