"""The sessions of rooms that a client makes: audio rooms and live streams."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypedDict, TypeVar, Unpack

from utd_rx.models.audio import AudioFormat, AudioInput
from utd_rx.models.checks import flag, source
from utd_rx.models.encryption import Encryption
from utd_rx.models.seats import UTDSeatMode
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.models.video import VideoFormat, VideoInput
from utd_rx.ports.clock import Clock
from utd_rx.ports.engine import JoinRequest
from utd_rx.ports.room import RoomPort
from utd_rx.rest.api import UTDApi
from utd_rx.sessions.audio_room import UTDAudioRoomSession
from utd_rx.sessions.encrypting import checked_encryption
from utd_rx.sessions.live_stream import UTDLiveStreamSession
from utd_rx.sessions.session import UTDSession

S = TypeVar("S", bound=UTDSession[Any])


class AudioRoomOptions(TypedDict, total=False):
    """The keyword arguments of `UTDStreamClient.audio_room`, which explains them."""

    as_host: bool
    name: str | None
    device_id: str | None
    seat_count: int | None
    seat_mode: UTDSeatMode | str | None
    mode_id: str | None
    host_seat: int | None
    microphone: AudioInput | None
    encryption: Encryption | None


class LiveStreamOptions(TypedDict, total=False):
    """The keyword arguments of `UTDStreamClient.live_stream`, which explains them."""

    as_host: bool
    name: str | None
    device_id: str | None
    microphone: AudioInput | None
    camera: VideoInput | None
    screen: VideoInput | None
    encryption: Encryption | None


class Rooms:
    """Base of `UTDStreamClient`: what it makes of a room's name and who joins."""

    _api: UTDApi
    _make_room: Callable[..., RoomPort]
    _microphone: AudioInput | None
    _encryption: Encryption | None
    _identity: str | None
    _clock: Clock

    def audio_room(
        self,
        identity: str,
        room_name: str,
        *,
        as_host: bool = False,
        name: str | None = None,
        device_id: str | None = None,
        seat_count: int | None = None,
        seat_mode: UTDSeatMode | str | None = None,
        mode_id: str | None = None,
        host_seat: int | None = None,
        microphone: AudioInput | None = None,
        encryption: Encryption | None = None,
    ) -> UTDAudioRoomSession:
        """Make an audio room session without joining, to watch its streams from the start.

        `await session.join()` then does what `join_audio_room` does.

        Args:
            identity: Who joins.
            room_name: Un-prefixed; `[A-Za-z0-9_-]`, at most 128 characters.
            as_host: Claim the host's role; the first to do so in a new room owns it.
            name: Display name.
            device_id: Tells several devices of one identity apart.
            seat_count: Host only: seats of a new grid.
            seat_mode: Host only: `free` or `request`.
            mode_id: Host only: an opaque layout id.
            host_seat: Host only: the seat kept for the host.
            microphone: What to publish once seated; the client's by default.
            encryption: What the room is encrypted with, end to end; the client's by default.

        Raises:
            UTDStreamException: `VALIDATION` for what is no source.
        """
        flag(as_host, "as_host")
        source(microphone, "microphone", "an AudioInput", AudioFormat)
        request = JoinRequest(
            identity,
            room_name,
            UTDStreamType.AUDIO_ROOM,
            role="host" if as_host else "audience",
            name=name,
            device_id=device_id,
            seat_count=seat_count,
            seat_mode=seat_mode,
            mode_id=mode_id,
            host_seat=host_seat,
        )
        keys = checked_encryption(encryption) or self._encryption
        return UTDAudioRoomSession(
            identity,
            room_name,
            is_host=as_host,
            room=self._make_room(microphone or self._microphone),
            engine=self._api.acting_as(request),
            microphone=microphone or self._microphone,
            clock=self._clock,
            on_joined=partial(self._joined_as, identity),
            encryption=keys,
        )

    async def join_audio_room(
        self, identity: str, room_name: str, **options: Unpack[AudioRoomOptions]
    ) -> UTDAudioRoomSession:
        """Mint, connect, and return the session of `audio_room` once its seat grid is known.

        A media server that stays silent is given up after 15 s and abandoned after 5 more; the
        mint before it takes at most 30 s.

        Args:
            identity: Who joins.
            room_name: Un-prefixed.
            options: As those of `audio_room`.

        Raises:
            UTDStreamException: What the mint, the connection or the grid failed with.

        Cancelling is safe: no participant stays behind. It takes 5 s at most, on a media server
        that stays silent.
        """
        return await _joined(self.audio_room(identity, room_name, **options))

    def live_stream(
        self,
        identity: str,
        room_name: str,
        *,
        as_host: bool = False,
        name: str | None = None,
        device_id: str | None = None,
        microphone: AudioInput | None = None,
        camera: VideoInput | None = None,
        screen: VideoInput | None = None,
        encryption: Encryption | None = None,
    ) -> UTDLiveStreamSession:
        """Make a live stream's session without joining, to watch its streams from the start.

        `await session.join()` then does what `join_live_stream` does.

        Args:
            identity: Who joins.
            room_name: Un-prefixed; `[A-Za-z0-9_-]`, at most 128 characters.
            as_host: Claim the host's role; the first to do so in a new room owns it.
            name: Display name, which the others see on the stage.
            device_id: Tells several devices of one identity apart.
            microphone: What to publish as the host, or on the stage; the client's by default.
            camera: Likewise.
            screen: What `set_screen_share` shows.
            encryption: What the room is encrypted with, end to end; the client's by default.

        Raises:
            UTDStreamException: `VALIDATION` for what is no source.
        """
        flag(as_host, "as_host")
        source(microphone, "microphone", "an AudioInput", AudioFormat)
        for what, pictures in (("camera", camera), ("screen", screen)):
            source(pictures, what, "a VideoInput", VideoFormat)
        request = JoinRequest(
            identity,
            room_name,
            UTDStreamType.LIVE_STREAM,
            role="host" if as_host else "audience",
            name=name,
            device_id=device_id,
        )
        keys = checked_encryption(encryption) or self._encryption
        return UTDLiveStreamSession(
            identity,
            room_name,
            is_host=as_host,
            room=self._make_room(microphone or self._microphone, camera, screen),
            engine=self._api.acting_as(request),
            microphone=microphone or self._microphone,
            camera=camera,
            screen=screen,
            clock=self._clock,
            on_joined=partial(self._joined_as, identity),
            encryption=keys,
        )

    async def join_live_stream(
        self, identity: str, room_name: str, **options: Unpack[LiveStreamOptions]
    ) -> UTDLiveStreamSession:
        """Mint, connect, and return the session of `live_stream`.

        Args:
            identity: Who joins.
            room_name: Un-prefixed.
            options: As those of `live_stream`.

        Raises:
            UTDStreamException: What the mint or the connection failed with.

        Times and cancelling are as with `join_audio_room`.
        """
        return await _joined(self.live_stream(identity, room_name, **options))

    def _joined_as(self, identity: str) -> None:
        self._identity = identity


async def _joined(session: S) -> S:
    """Return a session that has joined; one that cannot is closed."""
    try:
        await session.join()
    except BaseException:
        await session.aclose()
        raise
    return session
