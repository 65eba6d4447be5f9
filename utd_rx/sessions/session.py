"""`UTDSession`: what the sessions of an engine have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from utd_rx.models.audio import AudioInput
from utd_rx.models.ban import UTDBan
from utd_rx.models.encryption import Encryption
from utd_rx.models.events import RoomSnapshot
from utd_rx.models.participant import TrackSource
from utd_rx.models.role import UTDRole
from utd_rx.models.token import UTDTokenResponse
from utd_rx.models.video import VideoInput
from utd_rx.ports.clock import SYSTEM_CLOCK, Clock
from utd_rx.ports.engine import EnginePort
from utd_rx.ports.room import RoomPort
from utd_rx.protocol.facts import connection as facts
from utd_rx.protocol.promises import ChatIsLocked, IsGone, TrackIsMuted
from utd_rx.protocol.roster import sid_of
from utd_rx.protocol.waiting import Waiting
from utd_rx.sessions.coming_back import OwnPlace
from utd_rx.sessions.commands import moderating
from utd_rx.sessions.media_session import MediaSession, RoomPass
from utd_rx.sessions.moderation import Moderation
from utd_rx.sessions.rules_runner import Handlers
from utd_rx.sessions.views import SessionView

St = TypeVar("St", bound=Waiting)


class UTDSession(MediaSession[St], SessionView[St]):
    """A session of the engine: all that a `MediaSession` offers, and moderation.

    `SessionView` lists its streams. Sessions are made by `UTDStreamClient`.

    Args:
        identity: Who joins.
        room_name: The un-prefixed name.
        is_host: Whether each join claims the host's role.
        room: The media room.
        engine: The engine, as this participant may ask it.
        microphone: What it publishes as its microphone, None when the app gives nothing.
        camera: As its camera, likewise.
        screen: As its screen, likewise.
        clock: Of deadlines and of what is sent.
        on_joined: Called after each join.
        encryption: What it is encrypted with, end to end; None is in clear.
    """

    def __init__(
        self,
        identity: str,
        room_name: str,
        *,
        is_host: bool,
        room: RoomPort,
        engine: EnginePort,
        microphone: AudioInput | None = None,
        camera: VideoInput | None = None,
        screen: VideoInput | None = None,
        clock: Clock = SYSTEM_CLOCK,
        on_joined: Callable[[], None] | None = None,
        encryption: Encryption | None = None,
    ) -> None:
        self._room_name = room_name
        self._engine = engine
        super().__init__(
            self._begin(identity, is_host),
            room=room,
            microphone=microphone,
            camera=camera,
            screen=screen,
            clock=clock,
            on_joined=on_joined,
            encryption=encryption,
        )

    def _begin(self, identity: str, is_host: bool) -> St:
        """Return the state to begin with."""
        initial: St = self.kind.begin(identity, is_host)
        return initial

    def _ask_engine(self) -> tuple[Handlers, ...]:
        self._ask = self._runner.ask
        self._moderation = Moderation(self._runner, self._engine)
        self._place = OwnPlace(self._runner, self._engine, self._clock)
        return self._moderation.handlers, self._place.handlers

    async def _credentials(self) -> UTDTokenResponse:
        """Return what the media room is joined with now."""
        return await self._engine.mint()

    def _admitted(self, epoch: int, access: RoomPass) -> None:
        role = access.role if isinstance(access, UTDTokenResponse) else None
        self._runner.offer(facts.JoinAdmitted(epoch, role))

    def _connect(self, access: RoomPass) -> Awaitable[RoomSnapshot]:
        return self._place.join(self.identity, access.token, partial(super()._connect, access))

    # --- moderation: the engine decides who is host or admin -------------------------------------
    # Each returns when the session's own state shows what it did. Cancelling is safe; the engine
    # may have done it. In a call each raises `FEATURE_DISABLED`.

    @moderating
    async def mute(
        self, identity: str, *, audio: bool = True, video: bool = False, muted: bool = True
    ) -> None:
        """Mute or unmute somebody's microphone, camera or both at the media server.

        Whoever is muted so may unmute themselves.

        Raises:
            UTDStreamException: `FORBIDDEN` not a host or admin, or against the host; `NOT_FOUND`
                not in the room; `CONFLICT` the media server forbids unmuting others.
        """
        sources = (TrackSource.MICROPHONE,) * audio + (TrackSource.CAMERA,) * video
        promise = TrackIsMuted(identity, sources, muted)
        call = self._engine.mute_participant
        await self._ask(promise, call, identity, audio=audio, video=video, muted=muted)

    @moderating
    async def kick(self, identity: str) -> None:
        """Remove somebody; an old token does not let them back in, a new mint does.

        Raises:
            UTDStreamException: `FORBIDDEN` not a host or admin, or against the host; `NOT_FOUND`
                not in the room.
        """
        await self._ask(self._is_gone(identity), self._engine.kick_participant, identity)

    @moderating
    async def ban(
        self, identity: str, *, duration: int | None = None, reason: str | None = None
    ) -> None:
        """Ban somebody from this room, in it or not, and remove them.

        Args:
            identity: Who.
            duration: Seconds; None means for ever.
            reason: Shown to them.

        Raises:
            UTDStreamException: `FORBIDDEN` not a host or admin, or against the host;
                `VALIDATION` oneself.
        """
        await self._runner.do(
            lambda: self._engine.ban(
                identity, room=self.room_name, reason=reason, duration=duration
            ),
            self._is_gone(identity),
        )

    @moderating
    async def unban(self, identity: str) -> None:
        """Lift a ban from this room; without one nothing happens.

        Raises:
            UTDStreamException: `FORBIDDEN` not a host or admin.
        """
        self._runner.require_joined()
        await self._engine.unban(identity, room=self.room_name)

    @moderating
    async def bans(self) -> tuple[UTDBan, ...]:
        """Return the active bans that concern this room, newest first.

        Raises:
            UTDStreamException: `FORBIDDEN` not a host or admin.
        """
        return await self._moderation.bans()

    @moderating
    async def set_role(self, identity: str, role: UTDRole | str) -> None:
        """Give somebody a role; the owner alone does, to others, and never `host`.

        Raises:
            UTDStreamException: `FORBIDDEN` not the owner; `NOT_FOUND` not in the room;
                `VALIDATION` no such role, or not to be given.
        """
        await self._moderation.set_role(identity, role)

    @moderating
    async def lock_chat(self, locked: bool) -> None:
        """Close or open the chat for the audience.

        Raises:
            UTDStreamException: `FORBIDDEN` not a host or admin.
        """
        await self._ask(ChatIsLocked(locked), self._engine.lock_chat, locked)

    def _is_gone(self, identity: str) -> IsGone:
        return IsGone(identity, sid_of(self._runner.session.roster, identity))
