"""`open_room`: into a LiveKit room with a URL and a token, and no engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from utd_rx.media.choice import Media
from utd_rx.media.placed_rooms import PlacedRooms
from utd_rx.models.audio import AudioFormat, AudioInput
from utd_rx.models.checks import flag, source
from utd_rx.models.encryption import Encryption
from utd_rx.models.video import VideoFormat, VideoInput
from utd_rx.ports.proxy import Proxies
from utd_rx.sessions.room import RoomSession, TokenSource
from utd_rx.sessions.subscribing import TrackChoice


@asynccontextmanager
async def open_room(
    url: str,
    token: str | None = None,
    *,
    token_source: TokenSource | None = None,
    microphone: AudioInput | None = None,
    camera: VideoInput | None = None,
    screen: VideoInput | None = None,
    auto_subscribe: bool | TrackChoice = True,
    encryption: Encryption | None = None,
    proxy: str | None = None,
    trust_env: bool = False,
    adaptive_stream: bool = True,
    dynacast: bool = True,
    allow_clear_text: bool = False,
    media: Media | None = None,
) -> AsyncIterator[RoomSession]:
    """Join a LiveKit room, and leave it at the end of `async with`.

    Args:
        url: The media server's, as `wss://example.livekit.cloud`.
        token: LiveKit's, which says who joins which room; None with a `token_source`.
        token_source: A coroutine function that gives a token: asked for the first join, and each
            time the connection is made anew; for 30 s at most.
        microphone: What `set_microphone` publishes.
        camera: What `set_camera` publishes.
        screen: What `set_screen_share` publishes.
        auto_subscribe: Whether all that others publish is received: True, False for what
            `subscribe` says only, or a function that says it of a participant and a track.
        encryption: What all of it is encrypted with, end to end: a key that all share, or one of
            each participant; None is in clear.
        proxy: As of `UTDStreamClient`.
        trust_env: Likewise.
        adaptive_stream: Likewise.
        dynacast: Likewise.
        allow_clear_text: Likewise.
        media: Where the room lives; likewise.

    Raises:
        UTDStreamException: As `RoomSession.join`; `UNAUTHORIZED` for a token that has expired says
            when; `VALIDATION` for what is no url, token or source.

    Cancelling is safe: no participant stays behind.
    """
    source(microphone, "microphone", "an AudioInput", AudioFormat)
    for what, pictures in (("camera", camera), ("screen", screen)):
        source(pictures, what, "a VideoInput", VideoFormat)
    rooms = PlacedRooms(
        media,
        adaptive_stream=adaptive_stream,
        dynacast=dynacast,
        proxies=Proxies.of(proxy, trust_env=flag(trust_env, "trust_env")),
        allow_clear_text=allow_clear_text,
    )
    room = rooms.make(microphone, camera, screen)
    try:
        session = RoomSession(
            url,
            token,
            token_source=token_source,
            room=room,
            microphone=microphone,
            camera=camera,
            screen=screen,
            auto_subscribe=auto_subscribe,
            encryption=encryption,
        )
    except BaseException:
        await room.aclose()
        raise
    try:
        await session.join()
        yield session
    finally:
        await session.aclose()
