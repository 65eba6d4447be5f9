"""`WorldAgentSocket`: the socket of an agent session in a world, to the genuine local agent."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import WSMsgType
from attrs import evolve
from yarl import URL

from utd_rx.agent.socket import CLOSE_WITHIN, HEARTBEAT, OPEN_WITHIN
from utd_rx.engine.agent.gate import NotAdmitted
from utd_rx.engine.agent.host import AgentHost
from utd_rx.engine.tasks import OwnedTasks
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.models.secrets import foreign_text
from utd_rx.ports.agent_socket import (
    MAX_FRAME,
    AgentSocketAddress,
    AgentSocketEnd,
    AgentSocketEnded,
    AgentSocketEvent,
    AgentSocketNoise,
    AgentSocketOpened,
    AgentSocketSink,
    AgentSocketText,
)
from utd_rx.ports.loop_turns import LoopTurns
from utd_rx.testing.world.network import Link
from utd_rx.testing.world.sockets import SILENT, ClientEnd, VirtualSocket, joined

AGENT_URL: Final = "https://agent.world"

_TOO_LONG: Final = 1009


class WorldAgentSocket:
    """An `AgentSocketPort` over `link` to `host`, whose sessions are tasks of `tasks`.

    A ping follows `heartbeat` seconds of silence.
    """

    def __init__(
        self, host: AgentHost, link: Link, tasks: OwnedTasks, *, heartbeat: float = HEARTBEAT
    ) -> None:
        self._host = host
        self._heartbeat = heartbeat
        self._link = link
        self._tasks = tasks
        self._is_running = False
        self._near: ClientEnd | None = None
        self._parted = asyncio.Event()

    async def run(self, address: AgentSocketAddress, sink: AgentSocketSink) -> None:
        """See `AgentSocketPort.run`."""
        if self._is_running:
            raise conflict(ConflictReason.BUSY, "the agent's socket runs already: wait for its end")
        self._is_running = True
        told = LoopTurns[AgentSocketEvent](sink)
        near, far = joined(self._link, self._heartbeat)
        try:
            async with asyncio.timeout(OPEN_WITHIN):
                end = await self._open(far, address)
            end = end or await self._talk(near, told)
            end = evolve(end, message=foreign_text(end.message, *_secrets_of(address)))
        except TimeoutError:
            end = AgentSocketEnded(AgentSocketEnd.SILENT, message="no answer in time")
        finally:
            self._is_running = False
            near.drop()
            told.close()
        told.end(end)

    async def send(self, text: str) -> None:
        """See `AgentSocketPort.send`."""
        try:
            if self._near is None:
                raise ConnectionResetError
            await self._near.send_str(text)
        except ConnectionError as error:
            message = "the agent's socket is not open: wait until the session is connected"
            raise UTDStreamException(message, code=UTDErrorCode.NETWORK) from error

    async def close(self, code: int = 1000) -> None:
        """See `AgentSocketPort.close`."""
        if (near := self._near) is None:
            return
        near.part(code)
        try:
            async with asyncio.timeout(CLOSE_WITHIN):
                await self._parted.wait()
        except TimeoutError:
            near.take(SILENT)

    async def _open(
        self, far: VirtualSocket, address: AgentSocketAddress
    ) -> AgentSocketEnded | None:
        """Ask for a session; return why there is none."""
        await self._link.trip()
        query = dict(URL(address.url).query)
        end = None
        try:
            admission = self._host.admit(query, address.headers.get("Authorization"))
        except NotAdmitted as refusal:
            message = f"the agent opens no WebSocket: HTTP {refusal.status}, {refusal}"
            end = AgentSocketEnded(
                AgentSocketEnd.REFUSED, refusal.status, message, refusal.retry_after
            )
        else:
            self._tasks.spawn(self._host.serve(far, query, admission), "world-agent")
        await self._link.trip()
        return end

    async def _talk(self, near: ClientEnd, told: LoopTurns[AgentSocketEvent]) -> AgentSocketEnded:
        if near.is_over:
            return AgentSocketEnded(AgentSocketEnd.LOST, message=AgentSocketEnd.LOST.value)
        self._near = near
        self._parted.clear()
        told.post(AgentSocketOpened())
        try:
            while (frame := await near.receive()).type in (WSMsgType.TEXT, WSMsgType.BINARY):
                if frame.type is WSMsgType.BINARY:
                    told.post(AgentSocketNoise())
                elif len(frame.data) <= MAX_FRAME:
                    told.post(AgentSocketText(frame.data))
                else:
                    near.part(_TOO_LONG)
                    return _closed(_TOO_LONG, "it broke the protocol")
        finally:
            self._near = None
            self._parted.set()
        if frame.type is WSMsgType.CLOSE:
            return _closed(frame.data, frame.extra or "no reason given")
        is_lost = frame.type is WSMsgType.CLOSED
        end = AgentSocketEnd.LOST if is_lost else AgentSocketEnd.SILENT
        return AgentSocketEnded(end, message=end.value)


def _secrets_of(address: AgentSocketAddress) -> tuple[str | None, ...]:
    bearers = (value.rpartition(" ")[2] for value in address.headers.values())
    return (URL(address.url).query.get("token"), *bearers)


def _closed(code: int, reason: str) -> AgentSocketEnded:
    message = f"the agent's connection was closed: {code}, {reason}"
    return AgentSocketEnded(AgentSocketEnd.CLOSED, code, message)
