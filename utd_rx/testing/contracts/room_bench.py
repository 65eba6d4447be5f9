"""What the suite of a room port needs beside the port: its server, and what was told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from attrs import frozen

from utd_rx.models import events as ev
from utd_rx.models.audio import AudioFrame
from utd_rx.models.data_tracks import DataTrackFrame
from utd_rx.models.devices import DeviceKey
from utd_rx.models.encryption import Encryption
from utd_rx.ports import living
from utd_rx.ports.room import RoomPort
from utd_rx.ports.transfers import TransferHeader, TransferNews
from utd_rx.testing.contracts import Batches

E = TypeVar("E", bound=ev.RoomEvent)


class RoomServer(Protocol):
    """What a suite asks of whoever is behind the port.

    Its `token` lets the participant say things of itself, and nothing be published; `other`
    is who else comes.
    """

    url: str
    token: str
    identity: str
    other: str

    async def grant(self, can_publish: bool) -> None:
        """Grant or revoke publishing; nothing can be said of oneself any more."""

    async def remove(self) -> None:
        """Throw the participant out."""

    async def speak(self, encryption: Encryption | None = None) -> str:
        """Let somebody else come, with that encryption, and publish a tone without end; return
        their identity."""

    async def show(self) -> str:
        """Let somebody else come and publish a test pattern without end as their camera; return
        their identity."""

    async def listen(self) -> tuple[str, Callable[[], list[tuple[bytes, str]]]]:
        """Let somebody else come; return their identity, and what tells payload and topic of the
        data messages that have reached them."""

    async def converse(self) -> tuple[str, Callable[[str, str], Awaitable[str]]]:
        """Let somebody else come who serves `echo`, which answers with what it was given, `refuse`,
        which raises `FORBIDDEN`, and `silent`, which never answers; return their identity, and what
        calls a method of the participant's as them, for a second at most."""

    async def send(self, header: TransferHeader, parts: Sequence[bytes], reason: str) -> None:
        """Let the somebody of `converse` send a text or a file to everybody."""

    async def collect(self, topic: str, is_text: bool) -> Callable[[], list[TransferNews]]:
        """Let the somebody of `converse` receive; return what tells what has come."""

    async def publish_data(self, name: str, frame: DataTrackFrame) -> None:
        """Let the somebody of `converse` publish a data track, and push a frame again and again."""

    async def unpublish_data(self) -> None:
        """Let them end it."""

    async def read_data(self, name: str) -> Callable[[], list[DataTrackFrame]]:
        """Let the somebody of `converse` read a data track that the participant publishes from now
        on; return what tells what has come."""


class RoomBench(Batches[ev.RoomEvent]):
    """A room that is not connected, its server, and everything the room said."""

    def __init__(
        self, room: RoomPort, server: RoomServer, speakers: Loudspeakers | None = None
    ) -> None:
        super().__init__()
        self.room = room
        self.server = server
        self.speakers = Loudspeakers() if speakers is None else speakers
        room.listen(self.take)

    async def connect(self, encryption: Encryption | None = None) -> ev.RoomSnapshot:
        """Join."""
        return await self.room.connect(self.server.url, self.server.token, encryption=encryption)

    def all_of(self, kind: type[E]) -> list[E]:
        """Return the events of a kind so far."""
        return [event for event in self.told if isinstance(event, kind)]

    async def thrown_out(self) -> ev.Disconnected:
        """Have the server throw the participant out; again, where its word of it was lost, and the
        client came back."""
        ends = (ev.Disconnected, ev.Reconnected)
        while True:
            before = len(self.told)
            await self.server.remove()
            end = await self.until(lambda event: isinstance(event, ends), after=before)
            if isinstance(end, ev.Disconnected):
                return end

    async def seen(self, kind: type[E]) -> E:
        """Return the first event of a kind, when it has come."""
        event: E = await self.until(lambda event: isinstance(event, kind))
        return event

    async def granted(self) -> None:
        """Be granted publishing, and know it."""
        await self.server.grant(can_publish=True)
        await self.seen(ev.ParticipantPermissionsChanged)

    async def hearing(self, encryption: Encryption | None = None) -> str:
        """Let somebody speak, and return the sid of the track once it is subscribed."""
        await self.server.speak(encryption)
        return (await self.seen(ev.TrackSubscribed)).track.sid

    async def seeing(self) -> str:
        """Let somebody show something, and return the sid of the track once it is subscribed."""
        await self.server.show()
        return (await self.seen(ev.TrackSubscribed)).track.sid


@frozen
class VoiceSeen:
    """What a speaker knows of one voice."""

    name: str
    gain: float
    is_closed: bool
    frames: int


class Loudspeakers:
    """Makes speakers that are alive where the room is."""

    def __init__(self) -> None:
        self._made: dict[DeviceKey, Loudspeaker] = {}

    async def make(self) -> DeviceKey:
        """Return the key of one more."""
        made = Loudspeaker()
        self._made[made.key] = made
        return made.key

    async def voices(self, key: DeviceKey) -> tuple[VoiceSeen, ...]:
        """Return what was to be played on one."""
        return tuple(
            VoiceSeen(voice.name, voice.gain, voice.is_closed, len(voice.frames))
            for voice in self._made[key].voices
        )


class Loudspeaker:
    """A speaker that keeps what it is to play."""

    def __init__(self) -> None:
        self.key = DeviceKey("speaker")
        self.voices: list[KeptVoice] = []
        living.enter(self.key, self)

    def voice(self, name: str, *, gain: float = 1.0) -> KeptVoice:
        """See `LivingSpeaker`."""
        self.voices.append(KeptVoice(name, gain))
        return self.voices[-1]


class KeptVoice:
    """One voice of it."""

    def __init__(self, name: str, gain: float) -> None:
        self.name, self.gain, self.is_closed = name, gain, False
        self.frames: list[AudioFrame] = []

    def __call__(self, frame: AudioFrame) -> None:
        """Keep a frame."""
        self.frames.append(frame)

    def close(self) -> None:
        """Leave the mix."""
        self.is_closed = True
