"""Selective subscription: what of others is received, and what the rules ask for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from attrs import frozen

from utd_rx.errors import UTDErrorCode, UTDStreamException, invalid
from utd_rx.models.checks import answer
from utd_rx.models.participant import RemoteParticipant, TrackPublication, TrackSource
from utd_rx.ports.room import RoomPort
from utd_rx.protocol.facts import subscribing as facts
from utd_rx.protocol.room_promises import IsSubscribed
from utd_rx.protocol.waiting import Waiting
from utd_rx.sessions.commands import command
from utd_rx.sessions.media_view import MediaView
from utd_rx.sessions.rules_runner import Handlers
from utd_rx.sessions.runner import Runner
from utd_rx.state.reports import report

St = TypeVar("St", bound=Waiting)

TrackChoice: TypeAlias = Callable[[RemoteParticipant, TrackPublication], bool]
"""Says whether a track that somebody published is to be received."""


@frozen(eq=False)
class ChosenTracks:
    """What the rules ask of the room port, and of the app's own choice."""

    _runner: Runner[Any]
    _room: RoomPort
    _choice: TrackChoice | None = None

    @property
    def handlers(self) -> Handlers:
        return {facts.SetSubscribed: self._set, facts.ChooseTrack: self._choose}

    async def _set(self, effect: facts.SetSubscribed) -> None:
        try:
            await self._room.set_subscribed(effect.track_sid, effect.is_wanted)
        except UTDStreamException as error:
            if error.code is not UTDErrorCode.CONFLICT:  # left meanwhile
                raise

    async def _choose(self, effect: facts.ChooseTrack) -> None:
        who = self._runner.session.roster.remotes.get(effect.identity)
        tracks = () if who is None else who.tracks
        track = next((one for one in tracks if one.sid == effect.track_sid), None)
        if who is None or track is None or self._choice is None:
            return
        try:
            is_wanted = answer(self._choice(who, track), "auto_subscribe")
        except BaseException as error:  # noqa: BLE001 - reported, or an interrupt and raised
            report(error, "auto_subscribe, which then receives nothing,")
            return
        if is_wanted:
            await self._set(facts.SetSubscribed(track.sid, True))


class Choosing(MediaView[St]):
    """The part of a session that says what of others it receives."""

    _runner: Runner[St]

    @command
    async def subscribe(self, identity: str, source: TrackSource) -> None:
        """Receive what `identity` publishes as `source`, now and whenever there is such a track.

        Returns when what is there now is received, as `remote_participants` shows; at once when
        there is nothing, or nobody. It holds until `unsubscribe`, over leaving and joining.

        Raises:
            UTDStreamException: `FORBIDDEN` the token does not let this client receive;
                `VALIDATION` no identity or source; `CONFLICT` not joined, left meanwhile, or a
                later word about the same won; `TIMEOUT` the media server sends nothing.

        Cancelling is safe; the word stays said.
        """
        if not self._runner.session.roster.permission.can_subscribe:
            self._runner.require_joined()
            message = "the token does not let this client receive: it takes canSubscribe"
            raise UTDStreamException(message, code=UTDErrorCode.FORBIDDEN)
        await self._say(identity, source, True)

    @command
    async def unsubscribe(self, identity: str, source: TrackSource) -> None:
        """Receive it no more, also what comes later; raises as `subscribe`."""
        await self._say(identity, source, False)

    async def _say(self, identity: str, source: TrackSource, is_wanted: bool) -> None:
        if not isinstance(source, TrackSource):
            raise invalid(f"a source is a TrackSource, not {type(source).__name__}")
        epoch = self._runner.require_joined()
        self._runner.offer(facts.SubscriptionWanted(identity, source, is_wanted))
        await self._runner.wait(IsSubscribed(identity, source, is_wanted), epoch)
