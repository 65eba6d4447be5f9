"""The moderation part of `UTDSession`: what hosts and admins do to others."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.ban import UTDBan
from utd_rx.models.participant import TrackSource
from utd_rx.models.role import UTDRole
from utd_rx.protocol.facts import AskBan, BanAnswered, FetchRole, RoleFetched, RoleNotFetched
from utd_rx.protocol.roster import is_as_muted
from utd_rx.protocol.session import SessionState
from utd_rx.sessions.streams import SessionStreams
from utd_rx.state import StateSubject

if TYPE_CHECKING:
    from utd_rx.rest.api import UTDApi

St = TypeVar("St")
T = TypeVar("T")

SHOW_TIMEOUT: Final = 10.0
"""Seconds to wait until the room shows what the engine said yes to: with a busy network LiveKit
reports a removal only when its own time-outs are over."""

BANS_PER_PAGE: Final = 100
MAX_BAN_PAGES: Final = 100


class Moderating(SessionStreams[St]):
    """Commands for hosts and admins; the engine decides who is one.

    Each returns when the session's own state shows what it did. Cancelling is safe; the engine
    may have done it.
    """

    room_name: str
    _api: UTDApi

    async def mute(
        self, identity: str, *, audio: bool = True, video: bool = False, muted: bool = True
    ) -> None:
        """Mute or unmute somebody's microphone, camera or both at the media server.

        Whoever is muted so may unmute themselves.

        Raises:
            UTDStreamException: `FORBIDDEN` not a host or admin, or against the host; `NOT_FOUND`
                not in the room; `CONFLICT` the media server forbids unmuting others.
        """
        epoch = self._joined_epoch()
        await self._api.mute_participant(
            self.room_name, identity, audio=audio, video=video, muted=muted
        )
        sources = [TrackSource.MICROPHONE] * audio + [TrackSource.CAMERA] * video
        await self._shown(
            epoch,
            lambda state: all(is_as_muted(state.roster, identity, s, muted) for s in sources),
            f"the tracks of {identity!r} did not change",
        )

    async def kick(self, identity: str) -> None:
        """Remove somebody; an old token does not let them back in, a new mint does.

        Raises:
            UTDStreamException: `FORBIDDEN` not a host or admin, or against the host; `NOT_FOUND`
                not in the room.
        """
        epoch = self._joined_epoch()
        sid = self._sid(identity)
        await self._api.kick_participant(self.room_name, identity)
        await self._gone(epoch, identity, sid)

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
        epoch = self._joined_epoch()
        sid = self._sid(identity)
        await self._api.ban(identity, room=self.room_name, reason=reason, duration=duration)
        await self._gone(epoch, identity, sid)

    async def unban(self, identity: str) -> None:
        """Lift a ban from this room; without one nothing happens.

        Raises:
            UTDStreamException: `FORBIDDEN` not a host or admin.
        """
        self._require_joined()
        await self._api.unban(identity, room=self.room_name)

    async def bans(self) -> tuple[UTDBan, ...]:
        """Return the active bans that concern this room, newest first.

        Raises:
            UTDStreamException: `FORBIDDEN` not a host or admin.
        """
        self._require_joined()
        found: list[UTDBan] = []
        for page in range(1, MAX_BAN_PAGES + 1):
            bans = await self._api.bans(page=page, per_page=BANS_PER_PAGE)
            found += [ban for ban in bans if ban.room_name in (None, self.room_name)]
            if len(bans) < BANS_PER_PAGE:
                break
        return tuple(found)

    async def set_role(self, identity: str, role: UTDRole | str) -> None:
        """Give somebody a role; the owner alone does, to others, and never `host`.

        Raises:
            UTDStreamException: `FORBIDDEN` not the owner; `NOT_FOUND` not in the room;
                `CONFLICT` they have it already; `VALIDATION` no such role, or not to be given.
        """
        epoch = self._joined_epoch()
        await self._api.set_role(self.room_name, identity, role)
        wanted = UTDRole(role)
        await self._shown(
            epoch,
            lambda state: state.roles.known.get(identity) is wanted,
            f"the role of {identity!r} did not change",
        )

    async def lock_chat(self, locked: bool) -> None:
        """Close or open the chat for the audience.

        Raises:
            UTDStreamException: `FORBIDDEN` not a host or admin.
        """
        epoch = self._joined_epoch()
        await self._api.lock_chat(self.room_name, locked)
        await self._shown(
            epoch,
            lambda state: state.chat.is_locked is locked,
            "the lock of the chat did not change",
        )

    @abstractmethod
    def _offer(self, *facts: object) -> None:
        """Commit facts, unless the session is closed."""

    @abstractmethod
    def _require_joined(self) -> None:
        """Raise unless the room is joined."""

    @abstractmethod
    async def _until(
        self, subject: StateSubject[T], predicate: Callable[[T], bool], timeout: float, message: str
    ) -> T:
        """Wait for a value; a time-out and the end of the session are typed errors."""

    def _joined_epoch(self) -> int:
        """Return the join a command belongs to: taken before the engine is asked, or a wait might
        be for the next one."""
        self._require_joined()
        return self._common(self.state.value).connection.epoch

    async def _shown(self, epoch: int, shows: Callable[[SessionState], bool], message: str) -> None:

        def judge(state: St) -> bool:
            session = self._common(state)
            if session.connection.epoch != epoch or not session.connection.is_joined:
                raise UTDStreamException("left while waiting", code=UTDErrorCode.CONFLICT)
            return shows(session)

        await self._until(self.state, judge, SHOW_TIMEOUT, message)

    def _sid(self, identity: str) -> str | None:
        who = self._common(self.state.value).roster.remotes.get(identity)
        return None if who is None else who.sid

    async def _gone(self, epoch: int, identity: str, sid: str | None) -> None:
        """Wait until the connection `sid` is gone; a newer one of the same identity may be there."""
        await self._shown(
            epoch,
            lambda state: (who := state.roster.remotes.get(identity)) is None or who.sid != sid,
            f"{identity!r} did not leave",
        )

    async def _fetch_role(self, effect: FetchRole) -> None:
        try:
            role = await self._api.get_role(self.room_name, effect.identity)
        except UTDStreamException:
            self._offer(RoleNotFetched(effect.identity))
        else:
            self._offer(RoleFetched(effect.identity, role, effect.generation))

    async def _ask_ban(self, effect: AskBan) -> None:
        """Ask the engine for something every member may have: it says why it refuses."""
        try:
            await self._api.get_seats(self.room_name)
        except UTDStreamException as error:
            # Only what the engine itself refused is a word about the ban.
            is_word = error.status_code is not None and error.status_code < 500
            self._offer(BanAnswered(effect.epoch, error.is_banned if is_word else None))
        else:
            self._offer(BanAnswered(effect.epoch, False))
