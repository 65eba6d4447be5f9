"""What a session hears and sees of others: observables of frames, and audio inputs made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from reactivex import Observable

from utd_rx.audio.observed import LivingSource, MixedStream, ObservableSource
from utd_rx.models import checks
from utd_rx.models.audio import AudioFrame, AudioInput, FrameSink
from utd_rx.models.participant import RemoteParticipant, TrackSource
from utd_rx.models.video import VideoFrame
from utd_rx.ports.clock import Clock
from utd_rx.ports.room import RoomPort
from utd_rx.protocol.waiting import Waiting
from utd_rx.sessions.media_view import MediaView
from utd_rx.sessions.remote_media import remote_audio, remote_video
from utd_rx.sessions.runner import Runner
from utd_rx.state import StateSubject

St = TypeVar("St", bound=Waiting)


class Listening(MediaView[St]):
    """The part of a session that receives."""

    _runner: Runner[St]
    _room: RoomPort
    _clock: Clock

    def audio(self, identity: str) -> Observable[AudioFrame]:
        """Return what `identity`'s microphone sounds like: frames of 10 ms, int16.

        Cold: each observer receives on its own, from its subscription until it disposes. It
        follows the participant through mute, unpublish and reconnect, and completes with the
        session. Frames come on the session's loop. `VALIDATION` for what is no identity.
        """
        return remote_audio(self._runner, self._room, identity)

    def video(
        self,
        identity: str,
        *,
        source: TrackSource = TrackSource.CAMERA,
        max_height: int | None = None,
    ) -> Observable[VideoFrame]:
        """Return what `identity`'s camera or screen shows, as `audio` what is heard: the newest
        frame, read-only RGB. While nobody observes, nothing is pulled from the media server.

        Args:
            identity: Whose.
            source: `CAMERA` or `SCREEN_SHARE`.
            max_height: Rows that are of use, 1 to 4096: the smallest published size with about so
                many is pulled, or a larger one for another observer. None is the largest.

        Raises:
            UTDStreamException: `VALIDATION` for what is no identity, source or height.
        """
        return remote_video(self._runner, self._room, identity, source, max_height)

    def voice(self, identity: str) -> AudioInput:
        """Return `identity`'s microphone as a source of sound: for another session, or an agent.

        48 kHz mono, silent while they are; its openings follow them as `audio` does, and end with
        this session. It can be opened in this process only. `VALIDATION` for what is no identity.
        """
        return ObservableSource(self.audio(identity), clock=self._clock)

    def voices(self, except_: Iterable[str] = ()) -> AudioInput:
        """Return everybody's microphones mixed, as `voice` does one's; also of who joins later.

        This client's own is not among them.

        Args:
            except_: Identities that are left out.

        Raises:
            UTDStreamException: `VALIDATION` for what are no identities, as one by itself.
        """
        left_out = frozenset(checks.identities(except_, "except_"))
        return MixedVoices(self.remote_participants, self.audio, left_out, self._clock)


class MixedVoices(LivingSource):
    """Everybody's microphones but those of who is left out, as an audio input."""

    def __init__(
        self,
        participants: StateSubject[tuple[RemoteParticipant, ...]],
        audio: Callable[[str], Observable[AudioFrame]],
        left_out: frozenset[str],
        clock: Clock,
    ) -> None:
        super().__init__()
        self._participants = participants
        self._audio = audio
        self._left_out = left_out
        self._clock = clock

    async def open(self, sink: FrameSink) -> MixedStream:
        """Deliver frames of exactly 10 ms to `sink`, in real time, until the session is closed.

        Cancelling is safe: it does not wait for anything.
        """
        stream = MixedStream(self.format, sink, self._clock, name="utd_rx.sessions voices")
        followed: dict[str, Callable[[], None]] = {}

        def look(participants: tuple[RemoteParticipant, ...]) -> None:
            found = ((who.identity, who.track(TrackSource.MICROPHONE)) for who in participants)
            heard = {who for who, track in found if track is not None and track.is_subscribed}
            heard -= self._left_out
            for identity in followed.keys() - heard:
                followed.pop(identity)()
            for identity in sorted(heard - followed.keys()):
                followed[identity] = stream.follow(self._audio(identity), identity)

        stream.own(self._participants.subscribe(look, on_completed=stream.end))
        return stream
