"""A speaker: many voices on a device, and its state to subscribe to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Self

from utd_rx.audio.handle import Backend, DeviceHandle, placed_port
from utd_rx.models.audio import AudioFormat, FrameSink
from utd_rx.models.device_state import FLOOR_DBFS, SpeakerState, SpeakerStatistics
from utd_rx.models.devices import DeviceChoice
from utd_rx.ports import living
from utd_rx.ports.audio import SPEAKER_BLOCK, Flush, SetVolume, SpeakerSettings
from utd_rx.state import StateSubject


class Speaker(DeviceHandle[SpeakerState]):
    """A device that plays, swapped, muted, flushed and watched while it runs.

    `voice` gives a sink for frames; a session's participants are played by
    `utd_rx.sessions.play`. All state lives on the event loop that opened the speaker, and
    observers are called there.

    Args:
        device: Which, by `AudioDevice`, id, name or part of a name; None follows the default.
        format: Of the mix, whatever the device's own is.
        block: Seconds per callback of the device, 0.001 to 0.05.
        volume: 0 to 4, 1 for unchanged.
        backend: The platform's lets WebRTC's own device module play every remote track of the
            process while it is open: without voices, levels, volume, mute or flush, which then
            raise `FEATURE_DISABLED`, and with its own names for devices (docs/audio.md). For tests
            it may be a port, such as `utd_rx.testing.audio.FakeAudio`.
        media: Where it lives, as that of `Microphone`.

    Attributes:
        key: Names it across ports.
        abilities: What its backend can do.
        state: Everything below as one `SpeakerState`.
        volume: 0 to 4.
        muted: Nothing is heard; time goes on.
        device: The `AudioDevice` that plays now, None while none does.
        statistics: `SpeakerStatistics`, twice a second.
        failure: Why nothing is played, None when it is or is not meant to be.

    Raises:
        UTDStreamException: `VALIDATION`, when the volume or the block is out of its range.
    """

    statistics: StateSubject[SpeakerStatistics]

    def __init__(
        self,
        device: DeviceChoice = None,
        *,
        format: AudioFormat | None = None,  # noqa: A002 - the word of AudioInput.format
        block: float = SPEAKER_BLOCK,
        volume: float = 1.0,
        backend: Backend = "portaudio",
        media: Literal["inline", "process", "auto"] | None = None,
    ) -> None:
        port = placed_port(backend, media)
        settings = SpeakerSettings(
            device=device, format=format or AudioFormat(), block=block, volume=volume
        )
        has_frames = port.abilities.has_frames
        state = SpeakerState(volume=settings.volume, level=FLOOR_DBFS if has_frames else None)
        super().__init__("speaker", settings, state, port, owned=("volume", "is_muted"))
        self.volume: StateSubject[float] = self._store.select(lambda s: s.volume, name="volume")

    @property
    def position(self) -> float:
        """Seconds of sound and silence that have left the device, since it was first opened.

        What was mixed less what the ring and the device hold, as PortAudio tells its latency.
        """
        return self._there("a position").position

    def voice(self, name: str, *, gain: float = 1.0, margin: float | None = None) -> living.Voice:
        """Return a new place in the mix: a `FrameSink` with a gain, until it is closed.

        It takes frames on any thread, also while the speaker is closed.

        Args:
            name: Whose it is, for messages.
            gain: 0 to 4, 1 for unchanged.
            margin: None for sound that is live: what is late is made up, and what waits too long
                is hurried away or dropped. A number for sound that comes before it is due, of any
                length: it is played as it is, to the sample, and begins once so many seconds of it
                are there, 0 to 0.25.

        Raises:
            UTDStreamException: `VALIDATION`, when the gain or the margin is out of its range;
                `FEATURE_DISABLED` with the platform backend, or after three media processes have
                died within a minute.
        """
        return self._there("voices").voice(name, gain=gain, margin=margin)

    def listen(self, sink: FrameSink) -> Callable[[], None]:
        """Give what it plays to `sink`, frame by frame; call the result to stop.

        Frames are what leaves the limiter, after volume and mute, and come in the card's
        callback before they are heard: `AudioFrame.at` is when that will be. Makes a speaker the
        echo reference of a `Microphone`.
        """
        return self._there("frames").listen(sink)

    async def open(self) -> None:
        """Begin to play.

        Cancelling is safe: nothing is open then.

        Raises:
            UTDStreamException: `FEATURE_DISABLED` without PortAudio, `NOT_FOUND` without such a
                device, `VALIDATION` when several fit or the device refuses the format;
                `CONFLICT` when it is open or closed for good.
        """
        self._need_open()
        self._attach()
        await self._port.open(self.key)

    async def close(self) -> None:
        """Let the device go; voices stay, and the speaker may be opened again. Idempotent.

        Cancelling is safe: it closes all the same.
        """
        await self._port.close(self.key)

    def set_volume(self, volume: float) -> None:
        """Play louder or softer, without a click.

        Raises:
            UTDStreamException: `VALIDATION`, when it is not from 0 to 4; `FEATURE_DISABLED` with
                the platform backend, `CONFLICT` after `aclose`.
        """
        self._need_frames("a volume")
        order = SetVolume(volume)
        self._wish(order, volume=order.volume)

    def flush(self) -> None:
        """Drop what waits to be played, with a fade of 3 ms: for barge-in.

        Silent within the fade and what the device already holds: 20 ms in all with blocks of 5 ms,
        33 with those of 10.
        Frames that come later are played.
        """
        self._need_frames("a flush")
        self._port.order(self.key, Flush())

    def _there(self, what: str) -> living.LivingSpeaker:
        self._need_frames(what)
        there: living.LivingSpeaker = living.find(self.key)
        return there

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
