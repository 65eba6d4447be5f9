"""`UTDLiveStreamSession`: a host broadcasts, everybody else watches or is asked on the stage."""

from __future__ import annotations

from typing import Final

from utd_rx.models.stage import UTDStageMember
from utd_rx.protocol import live_promises as promises
from utd_rx.protocol.live_stream import LiveStreamState
from utd_rx.sessions.commands import command
from utd_rx.sessions.rules_runner import Handlers
from utd_rx.sessions.session import UTDSession
from utd_rx.sessions.staging import StageEngine, Staging
from utd_rx.sessions.views import LiveStreamView

END_TIMEOUT: Final = 2.0
"""Seconds that leaving takes at most to say that the broadcast is over; the engine notices by
itself that the host is away."""


class UTDLiveStreamSession(UTDSession[LiveStreamState], LiveStreamView):
    """A live stream: the host publishes, and whom hosts and admins invite to the stage.

    Who is invited is granted publishing, and speaks with `set_microphone` and `set_camera` without
    reconnecting: nothing is switched on for them. Who is taken off the stage is neither seen nor
    heard any more, at once. Moderating is another right: an admin publishes on the stage only.

    A command returns when the session's own state shows what the engine said yes to. It raises
    what the engine refuses it with, `CONFLICT` when not joined or when it was taken back before
    that, `TIMEOUT` when neither is to be found out; what is special is said with each. Cancelling
    any of them is safe: the engine may have done it, as the streams then tell. Made by
    `UTDStreamClient.live_stream` and `join_live_stream`.
    """

    _engine: StageEngine

    call = UTDSession.call_method

    def _collaborate(self) -> tuple[Handlers, ...]:
        self._staging = Staging(self._runner, self._engine, self._tracks, self._room)
        return (self._staging.handlers,)

    # --- the broadcast: the host's ---------------------------------------------------------------

    @command
    async def go_live(self, *, with_video: bool = True) -> None:
        """Switch the microphone on, and the camera: all of it, or nothing.

        Args:
            with_video: Whether to switch the camera on, too.

        Raises:
            UTDStreamException: `FORBIDDEN` not the host; `VALIDATION` without a microphone or
                camera, before anything is switched on; `CONFLICT` when one of them was switched
                off meanwhile; or why publishing failed. What was off before is off again then.

        Cancelling is safe, and takes it back.
        """
        await self._staging.go_live(with_video)

    @command
    async def stop_live(self) -> None:
        """End the broadcast and keep the room: own tracks down, everybody told.

        The engine takes everybody else off the stage. The host may go live again; one who was not
        live only tells.

        Raises:
            UTDStreamException: `FORBIDDEN` not the host; why a track could not be taken down, or
                why the viewers or the engine could not be told.

        Cancelling is safe; what was not done by then is not done.
        """
        await self._staging.stop_live()

    async def leave(self) -> None:
        """Leave the room; a host who is live ends the broadcast first, for 2 s at most.

        Cancelling is safe: the room is left all the same.
        """
        self.require_here()
        try:
            await self._staging.end_in_time(END_TIMEOUT)
        finally:
            await super().leave()

    async def aclose(self) -> None:
        """Leave as `leave` does, and end every stream; values stay readable.

        Idempotent, bounded in time.

        Raises:
            UTDStreamException: `CONFLICT` on a foreign loop.
        """
        if not self._machine.closed:
            self.require_here()
        try:
            await self._staging.end_in_time(END_TIMEOUT)
        finally:
            await super().aclose()

    # --- the stage -------------------------------------------------------------------------------

    @command
    async def refresh_stage(self) -> tuple[UTDStageMember, ...]:
        """Ask the engine who is on the stage; `stage` and `stage_requests` follow.

        Returns:
            `stage` then, which may be newer than the engine's answer.
        """
        await self._staging.told(self._engine.get_stage)
        return self.stage.value

    @command
    async def invite_to_stage(self, identity: str) -> None:
        """Have somebody publish, at once and without a word of theirs; hosts and admins only.

        A hand they raised is down then. They see it in `can_publish` and `stage`.

        Raises:
            UTDStreamException: `NOT_FOUND` not in the room; `CONFLICT` the stage is full;
                `FORBIDDEN`.
        """
        call = self._engine.add_to_stage
        promise = promises.IsOnStage(identity)
        await self._staging.change(promise, lambda room: call(room, identity))

    @command
    async def remove_from_stage(self, identity: str) -> None:
        """Take somebody off the stage; their tracks end. Hosts and admins only.

        Who is not on it stays off.

        Raises:
            UTDStreamException: `CONFLICT` the host; `FORBIDDEN`, by an admin against the host, too.
        """
        call = self._engine.remove_from_stage
        promise = promises.IsOffStage(identity)
        await self._staging.change(promise, lambda room: call(room, identity))

    @command
    async def leave_stage(self) -> None:
        """Step down: own tracks end, and the engine takes the permission back.

        Raises:
            UTDStreamException: `CONFLICT` the host, who stops or leaves instead.
        """
        await self._staging.leave(promises.HasLeftStage(self.identity))

    # --- raised hands ----------------------------------------------------------------------------

    @command
    async def request_stage(self) -> None:
        """Raise one's hand: hosts and admins see it in `stage_requests`; once more changes nothing.

        It goes down by an invitation, when it is dismissed or cancelled, with the broadcast, and
        when this client leaves. Who is on the stage has what it asks for.

        Raises:
            UTDStreamException: `CONFLICT` too many hands are up.
        """
        await self._staging.raise_hand(True)

    @command
    async def cancel_stage_request(self) -> None:
        """Take one's hand down; without one nothing happens."""
        await self._staging.raise_hand(False)

    @command
    async def dismiss_stage_request(self, identity: str) -> None:
        """Take somebody's hand down; hosts and admins only.

        Raises:
            UTDStreamException: `NOT_FOUND` they have none up; `FORBIDDEN`.
        """
        call = self._engine.dismiss_stage_request
        promise = promises.HandIsDown(identity)
        await self._staging.change(promise, lambda room: call(room, identity))
