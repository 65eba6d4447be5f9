"""`UTDCallSession`: 1:1 calls, one after another."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from attrs import evolve

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict, invalid
from utd_rx.models import checks
from utd_rx.models.audio import AudioInput
from utd_rx.models.call import UTDCall
from utd_rx.models.encryption import Encryption
from utd_rx.models.participant import TrackSource
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.models.token import UTDTokenResponse
from utd_rx.models.video import VideoInput
from utd_rx.ports.clock import SYSTEM_CLOCK, Clock
from utd_rx.ports.room import RoomPort
from utd_rx.protocol.call import CallState
from utd_rx.protocol.facts import calls as facts
from utd_rx.protocol.kinds import KINDS
from utd_rx.sessions.calling import CallEngine, Calling, CallSignals
from utd_rx.sessions.commands import command
from utd_rx.sessions.rules_runner import Handlers
from utd_rx.sessions.session import UTDSession
from utd_rx.sessions.views import CallView

CLOSE_TIMEOUT: Final = 5.0
"""Seconds that `aclose` waits for the engine to hear of a hang-up; it would notice by itself."""


UNCERTAIN: Final = (
    UTDErrorCode.NETWORK,
    UTDErrorCode.TIMEOUT,
    UTDErrorCode.SERVER,
    UTDErrorCode.MALFORMED_RESPONSE,
    UTDErrorCode.UNKNOWN,
)
"""After these the engine may have done what it was asked all the same."""


class UTDCallSession(UTDSession[CallState], CallView):
    """Audio or video calls with one other user, one call after another.

    The engine decides how a call stands, and every stream says what it said last. Only an active
    call publishes; microphone and camera are switched on by themselves once, where they were
    given. Made by `UTDStreamClient.call_session`.

    Args:
        identity: This user.
        type_: `AUDIO_CALL` or `VIDEO_CALL`.
        room: The media room, used for one call after another.
        engine: The engine, as this user may ask it.
        signals: What the client hears of its calls.
        name: This user's display name, which whoever is called is shown.
        microphone: What is published as the microphone.
        camera: What is published as the camera, in video calls.
        screen: What is published as the screen, in video calls, when the app says so.
        clock: Of deadlines and of what is sent.

    Raises:
        UTDStreamException: `VALIDATION` for a type that is no call's.
    """

    _engine: CallEngine

    def __init__(
        self,
        identity: str,
        type_: UTDStreamType,
        *,
        room: RoomPort,
        engine: CallEngine,
        signals: CallSignals,
        name: str | None = None,
        microphone: AudioInput | None = None,
        camera: VideoInput | None = None,
        screen: VideoInput | None = None,
        clock: Clock = SYSTEM_CLOCK,
        encryption: Encryption | None = None,
    ) -> None:
        if not type_.is_call:
            raise invalid(f"{type_.value} is no type of calls")
        self.type = type_
        self.kind = KINDS[type_]
        given = {TrackSource.MICROPHONE: microphone, TrackSource.CAMERA: camera}
        self._signals = signals
        self._name = name
        self._given = tuple(source for source, input_ in given.items() if input_ is not None)
        super().__init__(
            identity,
            "",
            is_host=False,
            room=room,
            engine=engine,
            microphone=microphone,
            camera=camera,
            screen=screen,
            clock=clock,
            encryption=encryption,
        )

    def _begin(self, identity: str, is_host: bool) -> CallState:
        return evolve(super()._begin(identity, is_host), sources=self._given)

    def _collaborate(self) -> tuple[Handlers, ...]:
        self._calling = Calling(self._runner, self._room, self._engine, self._signals)
        return (self._calling.handlers,)

    # --- taking part ----------------------------------------------------------------------------

    @command
    async def start(
        self,
        callee_identity: str,
        *,
        callee_name: str | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> UTDCall:
        """Call somebody: ring them, and join the call's room.

        Where they dialled at the same moment, the call is theirs and active already; a session of
        this client that only rings for it lets go of it, answered elsewhere.

        Args:
            callee_identity: Whom.
            callee_name: Their display name.
            metadata: JSON for the callee to see, 4 KiB at most.

        Returns:
            The call, as it stands when its room is joined.

        Raises:
            UTDStreamException: `CONFLICT`: in a call already, in another session or on another
                device, too (already so); the callee is on a call (busy), as `status` then says,
                too; or the call ended before its room was joined (left). `FORBIDDEN`,
                `VALIDATION`, `UNAUTHORIZED`, … of the engine; `RATE_LIMITED`: too many calls in a
                minute; or why the room could not be joined.

        Cancelling is safe: the call is ended at the engine, also when its answer comes later.
        """
        checks.identity(callee_identity, "callee_identity")
        if not isinstance(metadata, Mapping | None):
            raise invalid(f"metadata maps names to JSON, and is no {type(metadata).__name__}")

        async def dial() -> UTDCall:
            call = await self._engine.start_call(
                callee_identity,
                self.type,
                caller_name=self._name,
                callee_name=callee_name,
                metadata=metadata,
            )
            return evolve(
                call,
                caller_identity=call.caller_identity or self.identity,
                callee_identity=call.callee_identity or callee_identity,
                callee_name=call.callee_name or callee_name,
            )

        with self._calling.coming(None):
            await self._calling.settled(None)
            try:
                call = await self._calling.asked(dial)
            except UTDStreamException as error:
                if error.reason is ConflictReason.BUSY:
                    self._runner.offer(facts.CallRefused(callee_identity))
                raise
            return await self._come(call)

    @command
    async def accept(self, id: str) -> UTDCall:  # noqa: A002 (the seed's word)
        """Answer a call, and join its room; nobody need have told of it before.

        A session of this client that only rings for it lets go of it, answered elsewhere. One that
        is in that call returns it.

        Args:
            id: The call's.

        Returns:
            The call, as it stands when its room is joined.

        Raises:
            UTDStreamException: `CONFLICT`: in another call (already so), answered elsewhere or
                over (refused), or it ended before its room was joined (left). `NOT_FOUND`,
                `FORBIDDEN`, `UNAUTHORIZED`, … of the engine; or why the room could not be joined:
                where the engine may have heard the answer, the call is ended.

        Cancelling is safe: the call is ended at the engine.
        """
        checks.identity(id, "id")
        if (call := self._calling.taking_part(id)) is not None:
            return call
        with self._calling.coming(id):
            await self._calling.settled(id)
            self._calling.claim(id, takes_part=True)
            self._runner.offer(facts.AcceptStarted(id))
            try:
                call = await self._calling.asked(lambda: self._engine.accept_call(id))
            except UTDStreamException as error:
                if error.code in UNCERTAIN:
                    await self._calling.give_up(id)
                else:
                    self._runner.offer(facts.CallDisputed(id))
                raise
            except asyncio.CancelledError:
                self._calling.hanging_up(id)
                raise
            callee = call.callee_identity or self.identity
            return await self._come(evolve(call, callee_identity=callee))

    async def _come(self, call: UTDCall) -> UTDCall:
        """Take part in `call`: join its room, or hang up; not where another session is in it."""
        self._calling.claim(call.call_id, takes_part=True)
        try:
            self._calling.take_part(call)
            await self._enter()
        except UTDStreamException as error:
            await self._calling.give_up(call.call_id)
            on_hand = self._runner.state.on_hand
            if error.reason is ConflictReason.LEFT and on_hand is not None and on_hand.is_over:
                message = f"the call was {on_hand.call.status.value} before its room was joined"
                raise conflict(ConflictReason.LEFT, message) from error
            raise
        except BaseException:
            self._calling.hanging_up(call.call_id)
            raise
        return self._runner.state.call or call

    async def _credentials(self) -> UTDTokenResponse:
        return await self._calling.credentials()

    @command
    async def join(self) -> None:
        """Come back to the room of a call that goes on.

        Raises:
            UTDStreamException: `CONFLICT` without a call that this device is in, or when its room
                is joined; otherwise as `UTDSession.join`.

        Cancelling is safe; the call goes on.
        """
        on_hand = self._runner.state.on_hand
        if on_hand is None or not on_hand.is_ours:
            raise conflict(ConflictReason.NOT_JOINED, "not in a call: start or accept one first")
        try:
            await self._enter()
        except UTDStreamException as error:
            if error.status_code is not None:
                self._runner.offer(facts.CallDisputed(on_hand.id))
            raise

    @command
    async def set_camera(self, enabled: bool) -> None:
        """As `UTDSession.set_camera`; `FORBIDDEN` to switch it on in audio calls."""
        self._require_video(enabled)
        await super().set_camera(enabled)

    @command
    async def set_screen_share(self, enabled: bool) -> None:
        """As `UTDSession.set_screen_share`; `FORBIDDEN` to begin in audio calls."""
        self._require_video(enabled)
        await super().set_screen_share(enabled)

    def _require_video(self, enabled: bool) -> None:
        if enabled and self.type is UTDStreamType.AUDIO_CALL:
            message = "an audio call has no pictures: make a call_session of VIDEO_CALL"
            raise UTDStreamException(message, code=UTDErrorCode.FORBIDDEN)

    # --- answering without taking part ----------------------------------------------------------

    @command
    async def ringing(self, id: str) -> None:  # noqa: A002 (the seed's word)
        """Tell the caller that it rings here; the call is this session's from now on.

        Raises:
            UTDStreamException: `CONFLICT`: in another call or held by another session (already
                so), or nothing to ring for any more; `NOT_FOUND`, `FORBIDDEN`, … of the engine.

        Cancelling is safe; the engine may have been told.
        """
        self._calling.require_free(id)
        await self._calling.answer(id, self._engine.ringing_call)

    @command
    async def reject(self, id: str) -> None:  # noqa: A002 (the seed's word)
        """Decline a call, on every device of this user.

        Raises:
            UTDStreamException: As `ringing`; in another call it may be declined all the same.

        Cancelling is safe; the engine may have been told.
        """
        await self._calling.answer(id, self._engine.reject_call)

    @command
    async def busy(self, id: str) -> None:  # noqa: A002 (the seed's word)
        """Decline a call because this user is on another one.

        Raises:
            UTDStreamException: As `reject`.

        Cancelling is safe; the engine may have been told.
        """
        await self._calling.answer(id, self._engine.busy_call)

    # --- ending ---------------------------------------------------------------------------------

    @command
    async def end(self) -> None:
        """Hang up, cancel, or decline: leave the room at once, and tell the engine.

        A call that only rings here is rejected; answered on another device meanwhile, it goes on.

        Without a call, or with one that is over or that the engine does not know, nothing
        happens. A `start` or `accept` that is under way raises `CONFLICT`, left.

        Raises:
            UTDStreamException: Why the engine could not be told; the call is over here all the
                same, and the engine notices within its time.

        Cancelling is safe: the engine is told all the same.
        """
        await self._calling.end()

    @command
    async def leave(self) -> None:
        """As `end`."""
        await self.end()

    async def aclose(self) -> None:
        """Hang up, and end every stream; values stay readable. Idempotent, bounded in time.

        A call that only rings here is left to other devices and sessions.

        Raises:
            UTDStreamException: `CONFLICT` on a foreign loop.
        """
        if not self._machine.closed:
            self._runner.require_here()
        try:
            await self._calling.aclose(CLOSE_TIMEOUT)
        finally:
            await super().aclose()
            self._calling.unclaim()
