"""`AfarAudio`: what an app finds by the key of a device that lives in the media process.

A port hands over values; an app may want more of a device: open a microphone with a sink of its
own, speak on a speaker. Where the device is alive in this process it is found by `living.find`.
Where it is not, what is found is one of these, which asks the port and crosses like everything
else. What would have to be called in the middle of the path, as a reference of the app's for the
echo canceller, is not to be had.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, TypeAlias

from utd_rx.errors import UTDStreamException
from utd_rx.media.afar_speaker import AfarSpeaker
from utd_rx.media.near import closed
from utd_rx.models.audio import AudioFormat, AudioFrame, AudioInputStream, FrameSink
from utd_rx.models.devices import DeviceChoice, DeviceKey
from utd_rx.models.voice_processing import VoiceProcessing
from utd_rx.ports import living
from utd_rx.ports.audio import (
    AudioPort,
    MicrophoneSettings,
    Order,
    Settings,
    StatesSink,
)
from utd_rx.ports.one_loop import on_loop
from utd_rx.ports.room import FramesSink

Release: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


async def _nothing_held() -> None:
    """Nobody keeps it."""


class AfarStream:
    """A microphone that was opened from here: an `AudioInputStream`."""

    def __init__(self, close: Callable[[], Any], stop: Callable[[], None]) -> None:
        self._close = close
        self._stop = stop
        self._ended = asyncio.Event()
        self._failure: UTDStreamException | None = None

    async def wait_ended(self) -> None:
        """Wait until it is closed: a device that is lost is waited for. Raises `FEATURE_DISABLED`
        once media processes have been given up. Cancelling is safe."""
        await self._ended.wait()
        if self._failure is not None:
            raise self._failure

    async def aclose(self) -> None:
        """Close the device, once. Cancelling is safe: it closes all the same."""
        if not self._ended.is_set():
            await self._close()

    def end(self, failure: UTDStreamException | None) -> None:
        """It is closed, or given up: the sink is called no more."""
        self._failure = failure
        self._stop()
        self._ended.set()


class AfarMicrophone:
    """A microphone that is alive in the media process, as an `AudioInput` here."""

    lives_elsewhere = True

    def __init__(self, port: AudioPort, key: DeviceKey, settings: Settings) -> None:
        self.format: Final[AudioFormat] = settings.format
        self._port = port
        self._key = key
        self._stream: AfarStream | None = None
        living.enter(key, self)

    async def open(self, sink: FrameSink) -> AfarStream:
        """Open the device, and deliver its frames to `sink` on this loop; raises as the port.

        Cancelling is safe: nothing is open then.
        """

        def give(frames: tuple[AudioFrame, ...]) -> None:
            for frame in frames:
                sink(frame)

        stop = self._port.hear(self._key, give)
        try:
            await self._port.open(self._key)
        except BaseException:
            stop()
            raise
        self._stream = AfarStream(partial(self._port.close, self._key), stop)
        return self._stream

    def closed(self, failure: UTDStreamException | None = None) -> None:
        """Somebody has closed the device, or it is given up."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.end(failure)


class UnplacedDevice:
    """A device that lives nowhere yet: it is found where it is put when something is wanted of it.

    Args:
        key: Of the device.
        place: Lets it live somewhere, where `living.find(key)` finds it then; returns whether that
            is elsewhere.
    """

    def __init__(self, key: DeviceKey, place: Callable[[], bool]) -> None:
        self._key = key
        self._place = place
        living.enter(key, self)

    @property
    def lives_elsewhere(self) -> bool:
        """Whether it does, from now on."""
        return self._place()

    @property
    def position(self) -> float:
        """See `living.LivingSpeaker`."""
        told: float = self._there().position
        return told

    def voice(self, name: str, *, gain: float = 1.0, margin: float | None = None) -> living.Voice:
        """See `living.LivingSpeaker`."""
        voice: living.Voice = self._there().voice(name, gain=gain, margin=margin)
        return voice

    def listen(self, sink: FrameSink) -> Callable[[], None]:
        """See `living.LivingReference`."""
        stop: Callable[[], None] = self._there().listen(sink)
        return stop

    async def open(self, sink: FrameSink) -> AudioInputStream:
        """See `AudioInput`."""
        stream: AudioInputStream = await self._there().open(sink)
        return stream

    def _there(self) -> Any:
        self._place()
        return living.find(self._key)


class AfarAudio:
    """An audio port of devices in media processes whose devices are found here by their keys.

    It is an `Heir`, behind the port that it is around: voices go on in the process that follows.

    Args:
        port: The devices.
        begin: Starts a process where there is none, so that somebody may speak in it, or raises why
            there is none for a while.
        hold: Keeps the process while a device is open, until what it returns is called.
        is_in_use: Whether the port has a device open, by whomever.
        home: Returns the loop on which commands are carried out, None for whoever's gives them.
    """

    rank = 0
    is_wanted = False

    def __init__(
        self,
        port: AudioPort,
        begin: Callable[[], None] = lambda: None,
        hold: Callable[[], Release] = lambda: _nothing_held,
        is_in_use: Callable[[DeviceKey], bool] = lambda key: False,
        home: Callable[[], asyncio.AbstractEventLoop | None] = lambda: None,
    ) -> None:
        self.abilities: Final = port.abilities
        self._port = port
        self._begin = begin
        self._hold = hold
        self._is_in_use = is_in_use
        self._home = home
        self._opening: set[DeviceKey] = set()
        self._holds: dict[DeviceKey, Release] = {}
        self._releasing: set[asyncio.Task[None]] = set()
        # The process that has closed a device for good may be gone by now, and knows it no more.
        self._over: set[DeviceKey] = set()
        self._process: Any = None
        self._dropped = 0  # of speakers that are forgotten
        self._devices: dict[DeviceKey, AfarMicrophone | AfarSpeaker] = {}

    # --- the port -------------------------------------------------------------------------------

    def add(self, key: DeviceKey, settings: Settings) -> None:
        """See `AudioPort`, as for the rest."""
        self._port.add(key, settings)
        if isinstance(settings, MicrophoneSettings):
            self._devices[key] = AfarMicrophone(self, key, settings)
        else:
            speaker = self._devices[key] = AfarSpeaker(self.abilities, key, self._host)
            if self._process is not None:
                speaker.attach()

    def forget(self, key: DeviceKey) -> None:
        if isinstance(device := self._devices.pop(key, None), AfarSpeaker):
            device.lost()
            self._dropped += device.dropped
        self._over.discard(key)
        self._port.forget(key)

    def order(self, key: DeviceKey, order: Order) -> None:
        self._port.order(key, order)

    def listen(self, key: DeviceKey, sink: StatesSink) -> Callable[[], None]:
        return self._port.listen(key, sink)

    def hear(self, key: DeviceKey, sink: FramesSink) -> Callable[[], None]:
        return self._port.hear(key, sink)

    async def open(self, key: DeviceKey) -> None:
        await on_loop(self._home(), self._open(key))

    async def _open(self, key: DeviceKey) -> None:
        self._check(key)
        release, opening = self._hold(), {key} - self._opening
        self._opening |= opening
        try:
            await self._port.open(key)
        except BaseException:
            await release()
            raise
        finally:
            self._opening -= opening
        await self._holds.pop(key, _nothing_held)()  # of one that did not open again
        self._holds[key] = release

    async def use(self, key: DeviceKey, device: DeviceChoice) -> None:
        self._check(key)
        await on_loop(self._home(), self._port.use(key, device))

    async def process(self, key: DeviceKey, processing: VoiceProcessing) -> None:
        self._check(key)
        await on_loop(self._home(), self._port.process(key, processing))

    async def close(self, key: DeviceKey, *, for_good: bool = False) -> None:
        await on_loop(self._home(), self._close(key, for_good=for_good))

    async def _close(self, key: DeviceKey, *, for_good: bool) -> None:
        try:
            await self._port.close(key, for_good=for_good)
        finally:
            device = self._devices.get(key)
            if isinstance(device, AfarMicrophone):
                device.closed()
            if for_good and device is not None:
                self._over.add(key)
            await self._holds.pop(key, _nothing_held)()

    def is_open(self, key: DeviceKey) -> bool:
        """Whether a device is open here, by whomever, or being opened."""
        return key in self._opening or key in self._holds or self._is_in_use(key)

    @property
    def dropped(self) -> int:
        """Samples said on speakers that came faster than processes took them."""
        return self._dropped + sum(speaker.dropped for speaker in self._speakers())

    # --- an heir --------------------------------------------------------------------------------

    def attach(self, host: Any) -> None:
        """Let voices speak in this process from now on."""
        self._process = host
        for speaker in self._speakers():
            speaker.attach()

    def lost(self, failure: UTDStreamException) -> None:
        """It died."""
        self._process = None
        for speaker in self._speakers():
            speaker.lost()

    async def restore(self) -> None:
        """There is nothing to wait for."""

    def given_up(self, failure: UTDStreamException) -> None:
        """There is no successor: what was open is not any more, and holds no other process."""
        for device in self._devices.values():
            if isinstance(device, AfarMicrophone):
                device.closed(failure)
        holds, self._holds = self._holds, {}
        for release in holds.values():
            task = asyncio.create_task(release(), name="utd_rx.media: a device is given up")
            self._releasing.add(task)
            task.add_done_callback(self._releasing.discard)

    def _check(self, key: DeviceKey) -> None:
        if key in self._over:
            raise closed(key.kind)

    def _host(self) -> Any:
        if self._process is None:
            self._begin()
        return self._process

    def _speakers(self) -> tuple[AfarSpeaker, ...]:
        devices = tuple(self._devices.values())
        return tuple(one for one in devices if isinstance(one, AfarSpeaker))
