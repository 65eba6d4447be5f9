"""An engine in a process of its own, with its media server, which is killed and started anew."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import AsyncExitStack
from typing import Any

from tests.e2e.phones import AUDIO, Phone
from tests.support.sfu import SfuKind, free_port
from utd_rx import UTDAudioRoomSession, UTDStreamClient, WavSource
from utd_rx.audio import speech_path


class Runs:
    """An engine that is killed and comes back with the same ports, and its users."""

    def __init__(self, sfu: SfuKind, stack: AsyncExitStack) -> None:
        self._stack = stack
        self._process: Process | None = None
        ports = ("--port", str(free_port()), "--sfu-port", str(free_port()))
        app = ("--app-id", "1234567890", "--app-key", "k" * 32)
        self._arguments = ("--json", "--sfu", sfu, *ports, *app)
        self.addresses: dict[str, Any] = {}

    async def start(self, app_secret: str) -> None:
        arguments = ("-m", "utd_rx", "engine", *self._arguments, "--app-secret", app_secret)
        process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=PIPE)
        self._process = process
        assert process.stdout is not None
        self.addresses = json.loads(await process.stdout.readline())

    async def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await process.communicate()

    async def client(self) -> UTDStreamClient:
        client = UTDStreamClient(
            self.addresses["app_id"],
            self.addresses["app_key"],
            base_url=self.addresses["base_url"],
            token_base_url=self.addresses["token_base_url"],
            microphone=WavSource(speech_path(), loop=True),
        )
        return await self._stack.enter_async_context(client)

    async def join(self, identity: str, **options: Any) -> UTDAudioRoomSession:
        session = await (await self.client()).join_audio_room(identity, "lobby", **options)
        return await self._stack.enter_async_context(session)

    async def phone(self, identity: str) -> Phone:
        client = await self.client()
        await client.authenticate(identity)
        session = client.call_session(AUDIO)
        await self._stack.enter_async_context(session)
        return Phone(client, session)
