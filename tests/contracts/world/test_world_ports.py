"""What a world serves keeps the promises of the ports, on virtual time."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
from aiohttp import WSMsgType
from attrs import define, frozen

from utd_rx.engine.agent.gate import AgentAdmission, NotAdmitted
from utd_rx.engine.agent.host import AgentHost
from utd_rx.engine.agent.line import AgentLine
from utd_rx.engine.tasks import OwnedTasks
from utd_rx.engine.web_socket import WebSocket
from utd_rx.models.call import UTDCall
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.role import UTDRole
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.ports.agent_socket import AgentSocketAddress
from utd_rx.ports.clock import Clock, sleep_until
from utd_rx.ports.engine import CallCalls, EnginePort, JoinRequest, StageCalls
from utd_rx.protocol.wire.calls import call_to_wire, without_credentials
from utd_rx.rest import UTDApi
from utd_rx.testing import FakeWorld, LoopWorld
from utd_rx.testing.contracts.agent_socket import AgentSocketContract
from utd_rx.testing.contracts.calls import CallContract
from utd_rx.testing.contracts.clock import ClockContract
from utd_rx.testing.contracts.engine import EngineContract
from utd_rx.testing.contracts.signal import SignalContract
from utd_rx.testing.contracts.stage import StageContract
from utd_rx.testing.world.agent import WorldAgentSocket
from utd_rx.testing.world.clock import WorldClock
from utd_rx.testing.world.network import Link, LinkNews, Network
from utd_rx.testing.world.signal import WorldSignal

ROOM, HOST, OTHER = "friday", "sara", "mona"
DAY = 86_400.0


@pytest.fixture
async def world() -> AsyncIterator[LoopWorld]:
    async with FakeWorld.on_loop() as world:
        yield world


@frozen
class WorldEngineBench:
    """A host's API in a world, whose other people are in their sessions."""

    engine: EnginePort
    others: UTDApi
    world: LoopWorld
    room: str = ROOM
    me: str = HOST
    other: str = OTHER

    async def outlive(self) -> None:
        await self.world.advance(DAY + 1)

    async def ask(self) -> int:
        request_id = await self.others.request_to_speak(ROOM)
        assert request_id is not None
        return request_id

    async def invite(self) -> int:
        if await self.engine.get_role(ROOM, OTHER) is not UTDRole.ADMIN:
            await self.engine.set_role(ROOM, OTHER, UTDRole.ADMIN)
        invitation_id = await self.others.invite_to_speak(ROOM, HOST)
        assert invitation_id is not None
        return invitation_id

    async def fail(self) -> None:
        self.world.network.partition(HOST)


class TestWorldEngine(EngineContract):
    @pytest.fixture
    async def bench(self, world: LoopWorld) -> WorldEngineBench:
        await world.join_audio_room(HOST, ROOM, host=True, seats=4)
        await world.join_audio_room(OTHER, ROOM)
        host, other = (
            UTDApi(world.api_client(identity)).acting_as(
                JoinRequest(identity, ROOM, UTDStreamType.AUDIO_ROOM, role=role)
            )
            for identity, role in ((HOST, "host"), (OTHER, "audience"))
        )
        return WorldEngineBench(host, other, world)


@frozen
class WorldStageBench:
    """A host and a viewer in a world."""

    host: StageCalls
    viewer: StageCalls
    room: str = ROOM
    me: str = HOST
    other: str = OTHER


class TestWorldStage(StageContract):
    @pytest.fixture
    async def bench(self, world: LoopWorld) -> WorldStageBench:
        await world.join_live_stream(HOST, ROOM, host=True)
        await world.join_live_stream(OTHER, ROOM)
        host, viewer = (
            UTDApi(world.api_client(identity)).acting_as(
                JoinRequest(identity, ROOM, UTDStreamType.LIVE_STREAM, role=role)
            )
            for identity, role in ((HOST, "host"), (OTHER, "audience"))
        )
        return WorldStageBench(host, viewer)


@frozen
class WorldCallBench:
    """Several users' devices in a world."""

    caller: CallCalls
    callee: CallCalls
    tablet: CallCalls
    stranger: CallCalls
    me: str = "ana"
    them: str = "ben"


class TestWorldCalls(CallContract):
    @pytest.fixture
    async def bench(self, world: LoopWorld) -> WorldCallBench:
        async def device(identity: str, device_id: str) -> UTDApi:
            client = world.api_client(identity)
            reply = await UTDApi(client).mint_session(identity=identity, device_id=device_id)
            return UTDApi(client, bearer=reply.user_token)

        return WorldCallBench(
            await device("ana", "phone"),
            await device("ben", "phone"),
            await device("ben", "tablet"),
            await device("cem", "phone"),
        )


@define
class WorldSignalBench:
    """A socket over a link, whose other end is the test's."""

    link: Link
    url: str = "wss://engine.world/api/v1/signal"
    token: str = "eyJhbGciOiJIUzI1NiJ9.secret-bearer.signature"
    trouble: str = ""
    far: WebSocket | None = None
    serving: asyncio.Task[None] | None = None

    @property
    def port(self) -> WorldSignal:
        return WorldSignal(self._serve, self.link)

    def _serve(self, far: WebSocket) -> None:
        self.far = far
        self.serving = asyncio.create_task(self._read(far))

    async def _read(self, far: WebSocket) -> None:
        if self.trouble == "vanished":
            far.abort()
            return
        shown = await far.receive()
        assert self.token in shown.data
        if self.trouble == "refused":
            await far.close(4001)
        elif not self.trouble:
            await far.send_str('{"type": "auth_ok"}')
        while (await far.receive()).type is not WSMsgType.CLOSED:
            pass

    async def tell(self, *frames: tuple[str, UTDCall]) -> None:
        assert self.far is not None
        for kind, call in frames:
            wire = {"type": f"call_{kind}", "call": call_to_wire(without_credentials(call))}
            await self.far.send_str(json.dumps(wire))

    async def babble(self) -> None:
        assert self.far is not None
        await self.far.send_str('{"type": "call_waiting", "call": {}}')

    async def end(self, code: int | None) -> None:
        assert self.far is not None
        if code is None:
            self.far.abort()
        else:
            await self.far.close(code)

    async def refuse(self) -> None:
        self.trouble = "refused"

    async def vanish(self) -> None:
        self.trouble = "vanished"

    async def hang_on(self) -> None:
        self.trouble = "silent"

    async def reached(self) -> None:
        await asyncio.sleep(1.0)
        assert self.far is not None

    async def deserted(self) -> None:
        assert self.serving is not None
        await self.serving


class TestWorldSignal(SignalContract):
    @pytest.fixture
    async def bench(self) -> WorldSignalBench:
        return WorldSignalBench(Network().link("sara"))


class BenchHost(AgentHost):
    """Serves lines of the test's instead of an agent; what came on them is kept.

    Attributes:
        link: The way to it.
        trouble: What becomes of connections.
        line: The newest.
        received: The frames so far.
    """

    def __init__(self, link: Link) -> None:
        super().__init__()
        self.link = link
        self.trouble: NotAdmitted | LinkNews | None = None
        self.line: AgentLine | None = None
        self.received: list[str] = []
        self._live = 0
        self._changed = asyncio.Event()

    def admit(self, query: Mapping[str, str], authorization: str | None) -> AgentAdmission:
        assert query["agent_id"] == "a"
        if isinstance(self.trouble, NotAdmitted):
            raise self.trouble
        if self.trouble is not None:
            self.link.tell(self.trouble)
        return AgentAdmission("a")

    async def serve(
        self, ws: WebSocket, query: Mapping[str, str], admission: AgentAdmission
    ) -> None:
        self.line = line = AgentLine(ws)
        self._live += 1
        try:
            await line.serve(self._take)
        finally:
            self._live -= 1
            self._changed.set()

    async def until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            self._changed.clear()
            await self._changed.wait()

    @property
    def is_deserted(self) -> bool:
        return self._live == 0

    async def _take(self, frame: str | bytes) -> None:
        self.received.append(str(frame))
        self._changed.set()


SECRET = "sk_0123456789abcdef"


@define
class WorldAgentBench:
    """An agent's socket over a link, whose other end is the test's."""

    host: BenchHost
    port: WorldAgentSocket
    secret: str = SECRET
    address: AgentSocketAddress = AgentSocketAddress(
        f"wss://agent.world?agent_id=a&token={SECRET}",
        FrozenMap({"Authorization": f"Bearer {SECRET}"}),
    )

    @property
    def line(self) -> AgentLine:
        assert self.host.line is not None
        return self.host.line

    async def tell(self, *texts: str) -> None:
        for text in texts:
            await self.line.send(text)

    async def babble(self) -> None:
        await self.line.send(b"\x00\x01")

    async def end(self, code: int) -> None:
        await self.line.close(code, f"with {SECRET}")

    async def cut(self) -> None:
        self.line.cut()

    async def vanish(self) -> None:
        self.line.vanish()

    async def refuse(self, status: int, retry_after: int) -> None:
        self.host.trouble = NotAdmitted(status, f"no {SECRET}", retry_after)

    async def be_nowhere(self) -> None:
        self.host.trouble = LinkNews.BROKEN

    async def hang_on(self) -> None:
        self.host.link.close()

    async def reached(self) -> None:
        await asyncio.sleep(1.0)

    async def received(self, count: int) -> list[str]:
        await self.host.until(lambda: len(self.host.received) >= count)
        return list(self.host.received)

    async def deserted(self) -> int | None:
        await self.host.until(lambda: self.host.is_deserted)
        return None if self.host.line is None else self.host.line.end


class TestWorldAgentSocket(AgentSocketContract):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[WorldAgentBench]:
        link, tasks = Network().link("sara"), OwnedTasks()
        host = BenchHost(link)
        yield WorldAgentBench(host, WorldAgentSocket(host, link, tasks, heartbeat=5.0))
        await tasks.aclose()


@frozen
class WorldClockBench:
    """The clock of a world, on which sleeping costs nothing."""

    clock: Clock

    async def pass_time(self, seconds: float) -> None:
        await sleep_until(self.clock, self.clock.now() + seconds)


class TestWorldClock(ClockContract):
    @pytest.fixture
    async def bench(self) -> WorldClockBench:
        return WorldClockBench(WorldClock(asyncio.get_running_loop(), random.Random(0)))
