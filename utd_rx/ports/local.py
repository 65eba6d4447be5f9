"""Devices that live in this process: what every inline adapter of the audio port does alike.

A device has one opening at a time. Commands that wait are carried out on the loop that opened it,
whichever loop they come from. Closing waits for what is being opened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, Generic, TypeVar

from attrs import evolve

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.models.audio import AudioFormat, AudioFrame, FrameSink
from utd_rx.models.device_state import MicrophoneState, SpeakerState
from utd_rx.models.devices import DeviceChoice, DeviceKey
from utd_rx.models.voice_processing import VoiceProcessing
from utd_rx.ports import living
from utd_rx.ports.audio import Abilities, MicrophoneSettings, Order, Settings, StatesSink
from utd_rx.ports.crossing import Teller
from utd_rx.ports.one_loop import on_loop, this_loop
from utd_rx.ports.room import FramesSink

S = TypeVar("S", bound=MicrophoneState | SpeakerState)


class LocalStream:
    """One opening of a device: an `AudioInputStream`, whose only end is that it is closed."""

    def __init__(self, device: LocalDevice[Any]) -> None:
        self._device = device
        self._ended = asyncio.Event()

    async def wait_ended(self) -> None:
        """Wait until it is closed: a device that is lost is waited for. Cancelling is safe."""
        await self._ended.wait()

    async def aclose(self) -> None:
        """Close the device, once. Cancelling is safe: it closes all the same."""
        if not self._ended.is_set():
            await self._device.close()

    def end(self) -> None:
        """Let those who wait go on: it is closed."""
        self._ended.set()


class LocalDevice(Generic[S]):
    """A microphone or a speaker where it is alive, found by `living.find(key)`."""

    silence: Mapping[str, Any] = {"device": None, "failure": None}
    """What is told when it is closed."""

    def __init__(self, key: DeviceKey, settings: Settings, state: S) -> None:
        self.key: Final = key
        self.settings = settings
        self.teller: Final = Teller(state)
        self._stream: LocalStream | None = None
        self._opening: asyncio.Future[None] | None = None
        self._home: asyncio.AbstractEventLoop | None = None
        self._is_over = False
        living.enter(key, self)

    def __reduce__(self) -> tuple[object, ...]:
        return living.find, (self.key,)

    async def _begin(self, sink: FrameSink) -> None:
        """Open; when it raises or is cancelled, nothing is open."""
        raise NotImplementedError

    async def _swap(self, device: DeviceChoice) -> None:
        """Change to another device while it is open; when it raises, the old one goes on."""
        raise NotImplementedError

    async def _end(self) -> None:
        """Close what `_begin` has opened."""
        raise NotImplementedError

    def order(self, order: Order) -> None:
        """Carry out an order; any thread."""

    def hear(self, sink: FramesSink) -> Callable[[], None]:
        """Give frames to `sink` on this loop, where there are any."""
        return lambda: None

    async def process(self, processing: VoiceProcessing) -> None:
        """Process the voice like that; see `AudioPort.process`."""

    def _make_stream(self) -> LocalStream:
        return LocalStream(self)

    @property
    def format(self) -> AudioFormat:
        return self.settings.format

    async def open(self, sink: FrameSink) -> LocalStream:
        self._check()
        if self._opening is not None or self._stream is not None:
            raise conflict(ConflictReason.ALREADY, f"the {self.key.kind} is open already")
        self._home = this_loop(self.key.kind)
        opening = self._opening = self._home.create_future()
        try:
            await self._begin(sink)
            if self._is_over:
                await self._end()
                self._check()
            stream = self._stream = self._make_stream()
        except BaseException:
            self.teller.post(**self.silence)
            raise
        finally:
            self._opening = None
            opening.set_result(None)
            self.teller.flush()
        return stream

    async def use(self, device: DeviceChoice) -> None:
        await self._ready()
        if self._stream is not None:
            await self._swap(device)
        self.settings = evolve(self.settings, device=device)
        self.teller.flush()

    async def close(self, *, for_good: bool = False) -> None:
        this_loop(self.key.kind)
        self._is_over |= for_good
        closing = self.at_home(self._close())
        await asyncio.shield(asyncio.create_task(closing, name=f"utd_rx: close a {self.key.kind}"))

    async def at_home(self, command: Coroutine[Any, Any, None]) -> None:
        """Carry out a command on the loop that has it open."""
        await on_loop(self._home, command)
        if self._home not in (None, asyncio.get_running_loop()):
            # From Python 3.14 on nobody waits for what has ended by now: its news are to come.
            self.teller.flush()

    async def _close(self) -> None:
        if self._opening is not None:
            await asyncio.wait({self._opening})
        stream = self._stream
        if stream is None:
            return
        await self._end()
        if self._stream is stream:  # nobody else has closed it meanwhile
            self._stream = None
            self.teller.post(**self.silence)
            self.teller.flush()
            stream.end()

    async def _ready(self) -> None:
        """Wait for an opening that is under way, and raise unless there may be another one."""
        if self._opening is not None:
            await asyncio.wait({self._opening})
        self._check()

    def _check(self) -> None:
        if self._is_over:
            raise conflict(
                ConflictReason.CLOSED, f"the {self.key.kind} is closed for good: make another one"
            )


class LocalAudio:
    """An audio port whose devices live in this process, made by `microphone` and `speaker`."""

    def __init__(
        self,
        abilities: Abilities,
        microphone: Callable[[DeviceKey, Any], LocalDevice[MicrophoneState]],
        speaker: Callable[[DeviceKey, Any], LocalDevice[SpeakerState]],
    ) -> None:
        self.abilities = abilities
        self._microphone = microphone
        self._speaker = speaker
        self._devices: dict[DeviceKey, LocalDevice[Any]] = {}

    def add(self, key: DeviceKey, settings: Settings) -> None:
        is_microphone = isinstance(settings, MicrophoneSettings)
        self._devices[key] = (self._microphone if is_microphone else self._speaker)(key, settings)

    def forget(self, key: DeviceKey) -> None:
        self._devices.pop(key, None)

    def order(self, key: DeviceKey, order: Order) -> None:
        if device := self._devices.get(key):
            device.order(order)

    def listen(self, key: DeviceKey, sink: StatesSink) -> Callable[[], None]:
        return self._find(key).teller.listen(sink)

    def hear(self, key: DeviceKey, sink: FramesSink) -> Callable[[], None]:
        return self._find(key).hear(sink)

    async def open(self, key: DeviceKey) -> None:
        await self._find(key).open(_discard)

    async def use(self, key: DeviceKey, device: DeviceChoice) -> None:
        there = self._find(key)
        await there.at_home(there.use(device))

    async def process(self, key: DeviceKey, processing: VoiceProcessing) -> None:
        there = self._find(key)
        await there.at_home(there.process(processing))

    async def close(self, key: DeviceKey, *, for_good: bool = False) -> None:
        await self._find(key).close(for_good=for_good)

    def _find(self, key: DeviceKey) -> LocalDevice[Any]:
        device = self._devices.get(key)
        if device is None:
            raise UTDStreamException(
                f"there is no {key.kind} {key.id}: add it first", code=UTDErrorCode.NOT_FOUND
            )
        return device


def _discard(frame: AudioFrame) -> None:
    """Take a frame that nobody wants: the device is watched, or looked at by `hear`."""
