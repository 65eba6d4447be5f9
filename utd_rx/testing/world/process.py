"""`Process`: somebody's program in a world: a client, its way to the network, its sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar, Unpack

from utd_rx.agent.session import AtomsAgentSession
from utd_rx.client import UTDStreamClient
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.rooms import AudioRoomOptions, LiveStreamOptions
from utd_rx.sessions.audio_room import UTDAudioRoomSession
from utd_rx.sessions.call import UTDCallSession
from utd_rx.sessions.live_stream import UTDLiveStreamSession
from utd_rx.sessions.media_session import MediaSession
from utd_rx.testing import pictures
from utd_rx.testing.world.devices import VirtualCamera, VirtualMicrophone
from utd_rx.testing.world.network import Link

S = TypeVar("S", bound=MediaSession[Any] | AtomsAgentSession)


class Process:
    """What runs as `identity`; `name` tells several programs of one identity apart."""

    def __init__(
        self, name: str, identity: str, link: Link, make: Callable[..., WorldClient]
    ) -> None:
        self.name = name
        self.identity = identity
        self.link = link
        self.microphone = VirtualMicrophone()
        self.camera = VirtualCamera()
        self.client = make(self, microphone=self.microphone)
        self._sessions: list[MediaSession[Any] | AtomsAgentSession] = []
        self._is_signed_in = False

    def keep(self, session: S) -> S:
        """Close a session together with the rest."""
        self._sessions.append(session)
        pictures.watch(session, self.name)
        return session

    async def sign_in(self) -> None:
        """Authenticate, once."""
        if not self._is_signed_in:
            await self.client.authenticate(self.identity)
            self._is_signed_in = True

    def call_session(self, type_: UTDStreamType) -> UTDCallSession:
        """Return a session for calls, with the devices that its type has."""
        camera = self.camera if type_ is UTDStreamType.VIDEO_CALL else None
        return self.client.call_session(type_, camera=camera)

    async def aclose(self) -> None:
        """Close everything."""
        await asyncio.gather(*(session.aclose() for session in self._sessions))
        await self.client.aclose()


class WorldClient(UTDStreamClient):
    """The client of a process, which closes what sessions it makes."""

    def __init__(self, process: Process, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._process = process

    async def authenticate(
        self, identity: str, *, name: str | None = None, device_id: str | None = None
    ) -> str:
        """As the client's; its device has the same id in each run."""
        device_id = device_id or f"device-of-{self._process.name}"
        return await super().authenticate(identity, name=name, device_id=device_id)

    def audio_room(
        self, identity: str, room_name: str, **options: Unpack[AudioRoomOptions]
    ) -> UTDAudioRoomSession:
        return self._process.keep(super().audio_room(identity, room_name, **options))

    def live_stream(
        self, identity: str, room_name: str, **options: Unpack[LiveStreamOptions]
    ) -> UTDLiveStreamSession:
        return self._process.keep(super().live_stream(identity, room_name, **options))

    def call_session(self, *args: Any, **options: Any) -> UTDCallSession:
        return self._process.keep(super().call_session(*args, **options))
