"""`MediaSession`: what a session in a room offers, whoever gives it the token."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar, cast

from utd_rx.models.audio import AudioInput
from utd_rx.models.chat import ChatMessage
from utd_rx.models.devices import CameraChoice
from utd_rx.models.encryption import Encryption
from utd_rx.models.events import RoomSnapshot
from utd_rx.models.participant import TrackSource
from utd_rx.models.statistics import RoomStatistics
from utd_rx.models.video import VideoInput
from utd_rx.ports.clock import Clock
from utd_rx.ports.room import RoomPort
from utd_rx.protocol.facts import connection as facts
from utd_rx.protocol.waiting import Waiting
from utd_rx.protocol.wire.chat import chat_to_wire
from utd_rx.sessions.chat import RoomChat
from utd_rx.sessions.coming_back import ComingBack
from utd_rx.sessions.commands import command
from utd_rx.sessions.data_tracks import DataTracking
from utd_rx.sessions.describing import Describing
from utd_rx.sessions.encrypting import Encrypting, checked_encryption
from utd_rx.sessions.listening import Listening
from utd_rx.sessions.methods import CallingMethods, MethodCalls
from utd_rx.sessions.own_tracks import OwnTracks
from utd_rx.sessions.owned import Owned
from utd_rx.sessions.rules_runner import Handlers
from utd_rx.sessions.runner import Runner
from utd_rx.sessions.subscribing import Choosing, ChosenTracks, TrackChoice
from utd_rx.sessions.transcribing import take_transcriptions
from utd_rx.sessions.transfers import Transferring, Transfers

St = TypeVar("St", bound=Waiting)


class RoomPass(Protocol):
    """What a media room is joined with."""

    @property
    def url(self) -> str: ...
    @property
    def token(self) -> str: ...


class MediaSession(
    Listening[St],
    Describing[St],
    Choosing[St],
    CallingMethods[St],
    Transferring[St],
    DataTracking[St],
    Encrypting[St],
    Owned,
):
    """A headless session: streams that mirror the server, commands that can be awaited.

    Every stream is a `StateSubject`: a `BehaviorSubject` only the session writes; `MediaView` lists
    them. It belongs to the event loop it was made on, and a command from another one raises
    `CONFLICT`, foreign loop.

    Args:
        initial: The state to begin with.
        room: The media room.
        microphone: What it publishes as its microphone, None when the app gives nothing.
        camera: As its camera, likewise.
        screen: As its screen, likewise.
        clock: Of deadlines and of what is sent.
        on_joined: Called after each join.
        choice: Which tracks of others to receive, where neither the media server receives all by
            itself nor the app said a word.
        encryption: What all of it is encrypted with, end to end; None is in clear.
    """

    def __init__(
        self,
        initial: St,
        *,
        room: RoomPort,
        microphone: AudioInput | None,
        camera: VideoInput | None,
        screen: VideoInput | None,
        clock: Clock,
        on_joined: Callable[[], None] | None = None,
        choice: TrackChoice | None = None,
        encryption: Encryption | None = None,
    ) -> None:
        self._room = room
        self._encryption = checked_encryption(encryption)
        self._clock = clock
        self._on_joined = on_joined
        self._runner: Runner[St] = Runner(
            self.kind, initial, lambda: self.room_name, room=room, clock=clock
        )
        super().__init__(self._runner.machine, self._runner.events)
        sources: dict[TrackSource, AudioInput | VideoInput | None] = {
            TrackSource.MICROPHONE: microphone,
            TrackSource.CAMERA: camera,
            TrackSource.SCREEN_SHARE: screen,
        }
        self._tracks = OwnTracks(self._runner, room, sources)
        self._chat = RoomChat(self.chat_history, self._runner, clock, self._write_chat)
        self._methods = MethodCalls(self._runner, room)
        self._transfers = Transfers(self._runner, room)
        take_transcriptions(self._runner, self._transfers)
        returning = ComingBack(self._runner, room, self._fresh_token, self._connect_with_keys)
        chosen = ChosenTracks(self._runner, room, choice)
        common = returning.handlers, self._tracks.handlers, chosen.handlers
        self._runner.start(*common, *self._ask_engine(), *self._collaborate())

    def _ask_engine(self) -> tuple[Handlers, ...]:
        """Make what asks the engine in every session that has one; return its handlers."""
        return ()

    def _collaborate(self) -> tuple[Handlers, ...]:
        """Make the collaborators that only a session type has; return their handlers."""
        return ()

    async def _write_chat(self, message: ChatMessage, name: str) -> None:
        """Send a chat message of this client, whose display name is `name`."""
        # A lone half of a surrogate pair has no UTF-8 form; as an escape every reader takes it.
        wire = json.dumps(chat_to_wire(message, name), separators=(",", ":"))
        await self.send_data(wire.encode())

    @property
    def chat(self) -> RoomChat:
        """The chat of the room."""
        return self._chat

    @property
    def microphone_source(self) -> AudioInput | None:
        """What it publishes as its microphone, None when the app gave nothing."""
        return cast("AudioInput | None", self._tracks.sources[TrackSource.MICROPHONE])

    @property
    def room(self) -> RoomPort:
        """The media room under the session; a `UTDRoom` where it lives in this process, unless one
        was given (docs/audio.md, "The media process")."""
        return self._room

    # --- joining and leaving --------------------------------------------------------------------

    @command
    async def join(self) -> None:
        """Get a token and connect; for a session that was left or lost its connection.

        Raises:
            UTDStreamException: Why there is no token, or what the connection failed with;
                `CONFLICT` when already joined, or left meanwhile.

        Cancelling is safe: no participant stays behind. A media server that stays silent is waited
        for 5 s more.
        """
        await self._enter()

    async def _enter(self) -> None:
        """Connect with fresh credentials, as `join` says."""
        runner = self._runner
        # From here on the epoch tells this join from a leave or another join meanwhile.
        epoch = runner.begin_join()
        try:
            # After a forced exit the room may still be leaving; the end of that connection, told
            # while this one comes up, would pass for the end of this one.
            await self._room.disconnect()
            runner.require_join(epoch)
            access = await self._credentials()
            runner.require_join(epoch)
            self._admitted(epoch, access)
            await runner.connect(epoch, self._connect(access))
            await self._complete_join(epoch)
            if self._on_joined is not None:
                self._on_joined()
        except BaseException as error:
            if runner.fail_join(epoch, error):
                await self._room.disconnect()
            raise

    @abstractmethod
    async def _credentials(self) -> RoomPass:
        """Return what the media room is joined with now."""

    def _admitted(self, epoch: int, access: RoomPass) -> None:
        """Take note of what join `epoch` is granted."""

    async def _fresh_token(self, is_needed: bool) -> str | None:
        """Return a token to connect anew with, None for the last one; `is_needed` when that was
        refused."""
        return (await self._credentials()).token if is_needed else None

    def _connect(self, access: RoomPass) -> Awaitable[RoomSnapshot]:
        return self._connect_with_keys(
            lambda keys: self._room.connect(access.url, access.token, encryption=keys)
        )

    async def _complete_join(self, epoch: int) -> None:
        """Wait for what a session type needs to know before it counts as joined."""

    @command
    async def leave(self) -> None:
        """Leave the room; the session stays and may `join` again.

        Cancelling is safe; the state says left at once, the room follows.
        """
        self._runner.offer(facts.LeaveStarted())
        await self._room.disconnect()

    async def aclose(self) -> None:
        """Leave and end every stream; values stay readable. Idempotent, bounded in time.

        Raises:
            UTDStreamException: `CONFLICT` on a foreign loop.
        """
        if not self._machine.closed:
            self._runner.require_here()
        self._runner.stop_listening()
        self._runner.offer(facts.CloseStarted())
        try:
            await self._room.aclose()
        finally:
            await self._runner.aclose()

    # --- media and messages ---------------------------------------------------------------------

    @command
    async def set_microphone(self, enabled: bool) -> None:
        """Switch the microphone on or off; toggles are serialised and the last one wins.

        What is being opened as it is switched off is given up: a device that hangs holds up nobody.
        In an outage it waits for what follows. What it could not do is not done later; what was on
        before, and not switched off since, is again.

        Raises:
            UTDStreamException: `FORBIDDEN` at once when the server has not granted publishing, nor
                had before an outage, or takes the grant back meanwhile; `CONFLICT` when not joined,
                when left meanwhile or when a later toggle won; `VALIDATION` without a microphone;
                `TIMEOUT`; or why publishing failed.

        Cancelling is safe; the intent stays as it was set.
        """
        await self._tracks.switch(TrackSource.MICROPHONE, enabled)

    @command
    async def switch_microphone(self, to: AudioInput) -> None:
        """Publish another source as the microphone, as an agent's voice that came later.

        While it is on, it is taken down and comes back as a new track; otherwise the source is
        opened when it is switched on.

        Raises:
            UTDStreamException: `VALIDATION` no such input; as `set_microphone`, and the microphone
                is off then. Cancelling is safe: the next time it is on, the source is the new one.
        """
        await self._tracks.switch_microphone(to)

    @command
    async def set_camera(self, enabled: bool) -> None:
        """Switch the camera on or off, as `set_microphone` does the microphone.

        While it is off what feeds it is closed. An audio room grants no camera.
        """
        await self._tracks.switch(TrackSource.CAMERA, enabled)

    @command
    async def switch_camera(self, to: VideoInput | CameraChoice = None) -> VideoInput:
        """Go on with another camera on the same track, and return it; while off, the next time.

        `to` is a camera, by its name too, or any `VideoInput`; None the next of `list_cameras()`.

        Raises:
            UTDStreamException: `VALIDATION` no such input, or the session's is no `Camera`;
                `NOT_FOUND` no such or no other one; `CONFLICT` not joined; or why it does not open:
                then the one before goes on. Cancelling is safe: the change is made, or not.
        """
        return await self._tracks.switch_camera(to)

    @command
    async def set_screen_share(self, enabled: bool) -> None:
        """Begin or end to share the screen, as `set_microphone` switches the microphone."""
        await self._tracks.switch(TrackSource.SCREEN_SHARE, enabled)

    @command
    async def send_data(
        self,
        data: bytes,
        *,
        reliable: bool = True,
        to: Sequence[str] | None = None,
        topic: str = "",
    ) -> None:
        """Send a data message to everybody, or to the identities in `to`, be they here or not.

        Raises:
            UTDStreamException: As `RoomPort.send_data`.

        Cancelling is safe; the message may have been sent.
        """
        self._runner.require_joined()
        await self._room.send_data(data, reliable=reliable, topic=topic, to=to)

    @command
    async def statistics(self) -> RoomStatistics:
        """Measure how media gets through: of each track that is sent or received its round trip,
        jitter, loss and bit rate since the look before this one, and the connection's round trip.

        Raises:
            UTDStreamException: `CONFLICT` not joined, or the connection is lost or was meanwhile;
                `TIMEOUT` after 5 s.

        Cancelling is safe.
        """
        self._runner.require_joined()
        return await self._room.statistics()
