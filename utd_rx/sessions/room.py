"""`RoomSession`: a room of LiveKit's, for whoever has a server, its URL and a token."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias, TypedDict

from attrs import field, frozen

from utd_rx.errors import (
    UTDErrorCode,
    UTDStreamException,
    foreign_failure,
    invalid,
)
from utd_rx.models import checks
from utd_rx.models.audio import AudioInput
from utd_rx.models.chat import ChatMessage
from utd_rx.models.encryption import Encryption
from utd_rx.models.events import RoomSnapshot
from utd_rx.models.video import VideoInput
from utd_rx.ports.clock import SYSTEM_CLOCK, Clock
from utd_rx.ports.room import RoomPort
from utd_rx.ports.transfers import TransferHeader
from utd_rx.protocol.room import PlainRoomState
from utd_rx.protocol.session import SessionState
from utd_rx.protocol.subscribing import Subscribing
from utd_rx.protocol.wire.chat import LEGACY_TOPIC, TOPIC, legacy_to_wire
from utd_rx.protocol.wire.tokens import VISIBLE_ASCII, bearer_and_room
from utd_rx.sessions.chat_texts import take_chat
from utd_rx.sessions.media_session import MediaSession, RoomPass
from utd_rx.sessions.subscribing import TrackChoice
from utd_rx.sessions.views import RoomView
from utd_rx.state.foreign import foreign_work

TokenSource: TypeAlias = Callable[[], Awaitable[str]]
"""Gives a token for the room; asked for each join, and for each attempt to connect anew."""


class PlainRoomOptions(TypedDict, total=False):
    """The keyword arguments of `RoomSession` that say what is sent and received."""

    token_source: TokenSource | None
    microphone: AudioInput | None
    camera: VideoInput | None
    screen: VideoInput | None
    auto_subscribe: bool | TrackChoice
    encryption: Encryption | None


TOKEN_TIMEOUT: Final = 30.0
"""Seconds that a token source may take, as a mint of the engine's."""


@frozen
class PlainPass:
    """Where a room is joined, and with what."""

    url: str
    token: str = field(repr=False)


class RoomSession(MediaSession[PlainRoomState], RoomView):
    """A session in a plain room: LiveKit's, with no engine behind it.

    It has what every session has and asks nothing of an engine. Made by `open_room`, which joins as
    well; one that is made by itself can be watched from the start, and does so with `join`.

    Args:
        url: The media server's.
        token: What is joined with; None with a `token_source`.
        token_source: Asked for a token for each join, and each time the connection is made anew.
        room: The media room.
        microphone: What it publishes as its microphone, None when the app gives nothing.
        camera: As its camera, likewise.
        screen: As its screen, likewise.
        auto_subscribe: Whether all that others publish is received: True, False for what
            `subscribe` says only, or a function of a participant and a track of theirs, which is
            asked about each on the session's loop.
        encryption: What it is encrypted with, end to end; None is in clear.
        clock: Of deadlines and of what is sent.

    Raises:
        UTDStreamException: `VALIDATION`: no token, or both a token and a source of them, or a
            source that is no function, or an async `auto_subscribe`; of `join`, a source that is
            not async.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        token_source: TokenSource | None = None,
        room: RoomPort,
        microphone: AudioInput | None = None,
        camera: VideoInput | None = None,
        screen: VideoInput | None = None,
        auto_subscribe: bool | TrackChoice = True,
        encryption: Encryption | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if (token is None) is (token_source is None):
            raise invalid("a room takes a token, or a token_source that gives one: one of the two")
        if not isinstance(url, str) or not url:
            raise invalid("url is the media server's, as wss://example.livekit.cloud")
        if token_source is not None:
            checks.token_source(token_source)
        self._url = url
        self._token = None if token is None else _token(token)
        self._token_source = token_source
        if not isinstance(auto_subscribe, bool):
            if not callable(auto_subscribe):
                rule = "auto_subscribe is True, False, or says it of a participant and a track"
                raise invalid(rule)
            checks.answering(auto_subscribe, "auto_subscribe")
        self._auto_subscribe = auto_subscribe is True
        choice = None if isinstance(auto_subscribe, bool) else auto_subscribe
        identity, self._room_name = bearer_and_room(self._token or "")
        wanted = Subscribing(self._auto_subscribe, chooses=choice is not None)
        super().__init__(
            PlainRoomState(identity, SessionState(subscribing=wanted)),
            room=room,
            microphone=microphone,
            camera=camera,
            screen=screen,
            clock=clock,
            choice=choice,
            encryption=encryption,
        )

        self._writing = asyncio.Lock()
        take_chat(self._runner, self._transfers)

    call = MediaSession.call_method

    async def _write_chat(self, message: ChatMessage, name: str) -> None:
        header = TransferHeader(is_text=True, topic=TOPIC, id=message.id)
        copy = json.dumps(legacy_to_wire(message, is_copy=True), separators=(",", ":"))
        async with self._writing:  # one after the other, as they are to be read
            self._runner.require_joined()
            await self._transfers.send_text(message.text, header)
        await self.send_data(copy.encode(), topic=LEGACY_TOPIC)

    async def _credentials(self) -> PlainPass:
        return PlainPass(self._url, self._token or await self._asked())

    async def _fresh_token(self, is_needed: bool) -> str | None:
        # The media server renews what it was joined with: without a source there is nothing newer.
        return None if self._token_source is None else await self._asked()

    def _connect(self, access: RoomPass) -> Awaitable[RoomSnapshot]:
        return self._connect_with_keys(
            lambda keys: self._room.connect(
                access.url, access.token, auto_subscribe=self._auto_subscribe, encryption=keys
            )
        )

    async def _asked(self) -> str:
        assert self._token_source is not None
        limit = asyncio.timeout(TOKEN_TIMEOUT)
        try:
            async with limit:
                return _token(await foreign_work(checks.asked(self._token_source)))
        except UTDStreamException:
            raise
        except Exception as error:
            if not limit.expired():
                raise foreign_failure("the token_source failed", error) from error
            message = f"the token_source gave no token within {TOKEN_TIMEOUT:g} s"
            raise UTDStreamException(message, code=UTDErrorCode.TIMEOUT) from error


def _token(given: str) -> str:
    """Return a token as it can be sent, or raise `VALIDATION`, which does not hold it."""
    if not isinstance(given, str) or not VISIBLE_ASCII.fullmatch(given):
        raise invalid("a token is the text that LiveKit's AccessToken(…).to_jwt() returns")
    return given
