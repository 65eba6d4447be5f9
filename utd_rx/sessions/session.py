"""`UTDSession`: what all four session types offer."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Final, Self, TypeAlias, TypeVar

from reactivex import Observable

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFrame, AudioInput
from utd_rx.models.token import UTDTokenResponse
from utd_rx.protocol.facts import (
    AskBan,
    DisconnectRoom,
    FetchRole,
    LeaveStarted,
    MicrophoneWanted,
    Rejoin,
)
from utd_rx.protocol.publishing import Publishing
from utd_rx.protocol.session import SessionState
from utd_rx.rest.api import UTDApi
from utd_rx.rtc.port import RoomPort
from utd_rx.sessions.chat import RoomChat
from utd_rx.sessions.microphone_effects import MicrophoneEffects
from utd_rx.sessions.moderating import Moderating
from utd_rx.sessions.remote_audio import microphone_sid, remote_audio
from utd_rx.sessions.shell import Handlers, Shell
from utd_rx.state import StateSubject, StreamCompletedError

St = TypeVar("St")
T = TypeVar("T")

# Inside the class `type` is the product type, as in the published SDK.
ExceptionType: TypeAlias = type[BaseException]

MICROPHONE_TIMEOUT: Final = 15.0
"""Seconds `set_microphone` waits; LiveKit's own longest wait for a publication is 10 s."""


class UTDSession(Moderating[St]):
    """A headless session: streams that mirror the server, commands that can be awaited.

    Every stream is a `StateSubject`: a `BehaviorSubject` only the session writes; `SessionStreams`
    lists them. Sessions are made by `UTDStreamClient`; they belong to the event loop they were
    made on.
    """

    def __init__(
        self,
        initial: St,
        step: Callable[[St, object, float], tuple[St, Sequence[object]]],
        *,
        room: RoomPort,
        api: UTDApi,
        mint: Callable[[], Awaitable[UTDTokenResponse]],
        next_deadline: Callable[[St], float | None],
        microphone: AudioInput | None = None,
        on_joined: Callable[[], None] | None = None,
        handlers: Handlers | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._room = room
        self._api = api
        self._mint = mint
        self._on_joined = on_joined
        self._microphone = MicrophoneEffects(room, microphone, self._offer)
        self._shell: Shell[St] = Shell(
            initial,
            step,
            room=room,
            session_of=self._common,
            next_deadline=next_deadline,
            handlers={
                **self._microphone.handlers,
                DisconnectRoom: self._disconnect_room,
                Rejoin: self._rejoin,
                FetchRole: self._fetch_role,
                AskBan: self._ask_ban,
                **(handlers or {}),
            },
            now=now,
        )
        super().__init__(self._shell.machine, self._shell.events)
        self._chat = RoomChat(self.chat_history, self._common_state, self.send_data, self._offer)

    @property
    def chat(self) -> RoomChat:
        """The chat of the room."""
        return self._chat

    @property
    def microphone_source(self) -> AudioInput | None:
        """What it publishes as its microphone, None when the app gave nothing."""
        return self._microphone.source

    @property
    def room(self) -> RoomPort:
        """The media room under the session; a `UTDRoom` unless one was given."""
        return self._room

    def audio(self, identity: str) -> Observable[AudioFrame]:
        """Return what `identity`'s microphone sounds like: frames of 10 ms, int16.

        Cold: each observer receives on its own, from its subscription until it disposes. It
        follows the participant through mute, unpublish and reconnect, and completes with the
        session. Frames come on the session's loop.
        """
        track_sid = self._select(lambda s: microphone_sid(s.roster, identity), "audio")
        return remote_audio(self._room, track_sid, identity, self._shell.spawn)

    async def set_microphone(self, enabled: bool) -> None:
        """Switch the microphone on or off; toggles are serialised and the last one wins.

        In an outage it waits for what follows. What it could not do is not done later.

        Raises:
            UTDStreamException: `FORBIDDEN` at once when the server has not granted publishing or
                takes the grant back meanwhile; `CONFLICT` when not joined, when left meanwhile or
                when a later toggle won; `VALIDATION` without a microphone; `TIMEOUT`; or why
                publishing failed.

        Cancelling is safe; the intent stays as it was set.
        """
        self._require_joined()
        if enabled:
            self._microphone.require_source()
            microphone = self._shell.session.microphone
            if not microphone.is_granted and microphone.resume_by is None:
                raise UTDStreamException(
                    "publishing is not granted: take a seat or be invited first",
                    code=UTDErrorCode.FORBIDDEN,
                )
        self._shell.offer(MicrophoneWanted(enabled))
        stated = self._shell.session.microphone.stated
        try:
            settled = await self._until(
                self._publishing,
                lambda p: p.is_settled or p.is_wanted is not enabled,
                MICROPHONE_TIMEOUT,
                "the microphone did not settle",
            )
        except UTDStreamException:
            self._shell.offer(MicrophoneWanted(False))
            raise
        if enabled:
            self._require_joined()
        failure = _microphone_failure(settled, enabled, is_last=settled.stated == stated)
        if failure is not None:
            raise failure

    async def send_data(
        self,
        data: bytes,
        *,
        reliable: bool = True,
        to: Sequence[str] | None = None,
        topic: str = "",
    ) -> None:
        """Send a data message to everybody, or to the identities in `to`.

        Raises:
            UTDStreamException: As `RoomPort.send_data`.

        Cancelling is safe; the message may have been sent.
        """
        self._require_joined()
        await self._room.send_data(data, reliable=reliable, topic=topic, destination_identities=to)

    async def join(self) -> None:
        """Mint a fresh token and connect; for a session that was left or lost its connection.

        Raises:
            UTDStreamException: What the mint or the connection failed with; `CONFLICT` when
                already joined.

        Cancelling is safe: no participant stays behind. A media server that stays silent is waited
        for 5 s more.
        """
        if self._shell.machine.closed:
            raise UTDStreamException("the session is closed", code=UTDErrorCode.CONFLICT)
        if not self._shell.session.connection.is_resting:
            raise UTDStreamException("already joined or joining", code=UTDErrorCode.CONFLICT)
        # From here on the epoch tells this join from a leave or another join meanwhile.
        epoch = self._shell.begin_join()
        try:
            # After a forced exit the room may still be leaving; the end of that connection, told
            # while this one comes up, would pass for the end of this one.
            await self._room.disconnect()
            self._shell.require_join(epoch)
            reply = await self._mint()
            self._shell.require_join(epoch)
            # Each session acts with the bearer of its own mint: its client may have several
            # sessions, of several identities.
            self._api = self._api.with_bearer(reply.user_token)
            await self._shell.connect(epoch, reply.url, reply.token)
            await self._complete_join()
            if self._on_joined is not None:
                self._on_joined()
        except BaseException as error:
            if self._shell.fail_join(epoch, error):
                await self._room.disconnect()
            raise

    async def _complete_join(self) -> None:
        """Wait for what a session type needs to know before it counts as joined."""

    async def leave(self) -> None:
        """Leave the room; the session stays and may `join` again.

        Cancelling is safe; the state says left at once, the room follows.
        """
        self._shell.offer(LeaveStarted())
        await self._room.disconnect()

    async def aclose(self) -> None:
        """Leave and end every stream; values stay readable. Idempotent, bounded in time."""
        self._shell.offer(LeaveStarted())
        try:
            await self._room.aclose()
        finally:
            await self._shell.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: ExceptionType | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _common_state(self) -> SessionState:
        return self._shell.session

    def _offer(self, *facts: object) -> None:
        self._shell.offer(*facts)

    async def _disconnect_room(self, _: DisconnectRoom) -> None:
        await self._room.disconnect()

    async def _rejoin(self, effect: Rejoin) -> None:
        await self._shell.rejoin(effect)

    def _require_joined(self) -> None:
        if not self._shell.session.connection.is_joined:
            raise UTDStreamException("not joined: await join() first", code=UTDErrorCode.CONFLICT)

    async def _until(
        self,
        subject: StateSubject[T],
        predicate: Callable[[T], bool],
        timeout: float,
        message: str,
    ) -> T:
        try:
            return await subject.until(predicate, timeout=timeout)
        except TimeoutError as error:
            raise UTDStreamException(
                f"{message} within {timeout:.0f} s", code=UTDErrorCode.TIMEOUT
            ) from error
        except StreamCompletedError as error:
            raise UTDStreamException("the session is closed", code=UTDErrorCode.CONFLICT) from error


def _microphone_failure(
    settled: Publishing, enabled: bool, *, is_last: bool
) -> UTDStreamException | None:
    """Return why the microphone is not as it was to be, None when it is."""
    if settled.failure is not None:
        return settled.failure
    if settled.is_on is enabled:
        return None
    if enabled and is_last and not settled.is_granted:
        return UTDStreamException(
            "the server took the permission to publish", code=UTDErrorCode.FORBIDDEN
        )
    return UTDStreamException("a later set_microphone won", code=UTDErrorCode.CONFLICT)
