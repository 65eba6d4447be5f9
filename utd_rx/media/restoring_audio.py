"""`RestoringAudio`: an audio port over devices of media processes, one after the other.

A process that dies takes its devices with it: whoever listens to one that was open is told so as a
failure, and once it is open again in the next process that it is. Settings are what was wished
last. A microphone that a room has opened is opened by that room again. What is away by then is
awaited in the next process (`AwaitDevice`).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final

from attrs import evolve, frozen

from utd_rx.errors import UTDErrorCode, UTDStreamException, foreign_failure
from utd_rx.media.succession import Succession, unserved
from utd_rx.models.device_state import FLOOR_DBFS, MicrophoneState
from utd_rx.models.devices import DeviceChoice, DeviceKey
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.voice_processing import VoiceProcessing
from utd_rx.ports.audio import (
    Abilities,
    AudioPort,
    AwaitDevice,
    DeviceState,
    MicrophoneSettings,
    Order,
    SetGain,
    SetMuted,
    Settings,
    SetVolume,
    SetWatched,
    SpeakerSettings,
    StatesSink,
)
from utd_rx.ports.room import FramesSink


@frozen
class WishedDevice:
    """A device as it is wished; `is_open` by a command, or no more for a `failure`, which is told
    until somebody opens or closes it."""

    settings: Settings
    is_open: bool = False
    is_watched: bool = True
    failure: UTDStreamException | None = None


def ordered(settings: Settings, order: Order) -> Settings:
    """Return settings after an order; one that makes no sense for the device is nothing."""
    match order:
        case SetMuted(is_muted=is_muted):
            return evolve(settings, is_muted=is_muted)
        case SetGain(gain=gain) if isinstance(settings, MicrophoneSettings):
            return evolve(settings, gain=gain)
        case SetVolume(volume=volume) if isinstance(settings, SpeakerSettings):
            return evolve(settings, volume=volume)
    return settings


class _Listener:
    """What listens to a device, in this process and those that follow."""

    def __init__(self, method: str, key: DeviceKey, sink: Callable[[Any], None]) -> None:
        self.method, self.key, self.sink = method, key, sink
        self._stop: Callable[[], None] | None = None

    def tells(self, key: DeviceKey) -> bool:
        """Whether it is told what becomes of this device."""
        return self.method == "listen" and self.key == key

    @property
    def is_attached(self) -> bool:
        """Whether it listens in this process."""
        return self._stop is not None

    def attach(self, far: AudioPort, take: Callable[[Any], None]) -> None:
        """Listen to the device of this process, anew where it does already."""
        self.stop()
        self._stop = getattr(far, self.method)(self.key, take)

    def stop(self) -> None:
        """Listen no more. Idempotent."""
        stop, self._stop = self._stop, None
        if stop is not None:
            stop()

    def lost(self) -> None:
        """The process is gone, and its device."""
        self._stop = None


class RestoringAudio:
    """Microphones and speakers that outlive the process they are alive in.

    Args:
        succession: Of the processes.
        make: Makes the port in one of them.
        abilities: Of its devices.
    """

    rank = 0

    def __init__(
        self,
        succession: Succession[Any],
        make: Callable[[Any], AudioPort],
        abilities: Abilities,
    ) -> None:
        self._succession = succession
        self._make = make
        self.abilities: Final = abilities
        self._lock = threading.RLock()  # `add`, `forget` and `order` come on any thread
        self._far: AudioPort | None = None
        self._host: Any = None
        self._devices: FrozenMap[DeviceKey, WishedDevice] = FrozenMap()
        self._states: dict[DeviceKey, DeviceState] = {}  # as they were told last
        self._listeners: list[_Listener] = []
        succession.join(self)

    # --- the port -------------------------------------------------------------------------------

    def add(self, key: DeviceKey, settings: Settings) -> None:
        """See `AudioPort`, as for the rest."""
        with self._lock:
            self._devices = self._devices.set(key, WishedDevice(settings))
            self._states.pop(key, None)
            if self._far is not None:
                self._far.add(key, settings)

    def forget(self, key: DeviceKey) -> None:
        with self._lock:
            self._devices = self._devices.remove(key)
            self._states.pop(key, None)
            if self._far is not None:
                self._far.forget(key)

    def order(self, key: DeviceKey, order: Order) -> None:
        with self._lock:
            if (device := self._devices.get(key)) is None:
                return
            self._keep(key, settings=ordered(device.settings, order))
            if isinstance(order, SetWatched):
                self._keep(key, is_watched=order.is_watched)
            if self._far is not None:
                self._far.order(key, order)

    def listen(self, key: DeviceKey, sink: StatesSink) -> Callable[[], None]:
        return self._listen("listen", key, sink)

    def hear(self, key: DeviceKey, sink: FramesSink) -> Callable[[], None]:
        return self._listen("hear", key, sink)

    async def open(self, key: DeviceKey) -> None:
        await self._ask(key, lambda far: far.open(key))
        self._keep(key, is_open=True, failure=None)

    async def use(self, key: DeviceKey, device: DeviceChoice) -> None:
        await self._ask(key, lambda far: far.use(key, device))
        self._keep(key, settings=evolve(self._find(key).settings, device=device))

    async def process(self, key: DeviceKey, processing: VoiceProcessing) -> None:
        await self._ask(key, lambda far: far.process(key, processing))
        settings = self._find(key).settings
        if isinstance(settings, MicrophoneSettings):
            self._keep(key, settings=evolve(settings, processing=processing))

    async def close(self, key: DeviceKey, *, for_good: bool = False) -> None:
        failure, far = self._find(key).failure, self._far
        self._keep(key, is_open=False, failure=None)
        if far is None or failure is not None:
            self._told_closed(key, None)
        if far is None:
            return
        try:
            await far.close(key, for_good=for_good)
        except UTDStreamException:
            if self._lives(far):
                raise
            self._told_closed(key, None)

    # --- an heir --------------------------------------------------------------------------------

    @property
    def is_wanted(self) -> bool:
        """See `Heir`, as for the rest."""
        return any(device.is_open for device in self._devices.values())

    def attach(self, host: Any) -> None:
        with self._lock:
            self._host = host
            far = self._far = self._make(host)
            for key, device in self._devices.items():
                far.add(key, device.settings)
                if not device.is_watched:
                    far.order(key, SetWatched(False))
                if self.is_in_use(key):
                    far.order(key, AwaitDevice())
        for listener in self._listeners:
            if not self._is_open(listener.key):  # else once it is open: until then it has failed
                listener.attach(far, self._take(listener))

    def lost(self, failure: UTDStreamException) -> None:
        with self._lock:
            self._far = None
        for listener in tuple(self._listeners):
            listener.lost()
        for key, state in tuple(self._states.items()):
            if state.device is not None:
                self._told_closed(key, failure)

    async def restore(self) -> None:
        # All at once: one that hangs holds up none of the others.
        if (far := self._far) is not None:
            wanted = [key for key, device in self._devices.items() if device.is_open]
            await asyncio.gather(*(self._reopen(far, key) for key in wanted))

    def given_up(self, failure: UTDStreamException) -> None:
        for key, device in self._devices.items():
            if not self.is_in_use(key):
                continue
            self._told_closed(key, failure)
            if device.is_open:
                self._keep(key, is_open=False, failure=failure)
            else:  # a room had, which is over as well
                self._states.pop(key, None)

    async def _reopen(self, far: AudioPort, key: DeviceKey) -> None:
        failure: UTDStreamException | None = None
        try:
            await far.open(key)
        except UTDStreamException as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - whatever it is, it is not open
            failure = foreign_failure("the device does not open again", error)
        if not self._lives(far):
            return
        if failure is not None:
            self._keep(key, is_open=False, failure=failure)
        elif not self._is_open(key):  # closed meanwhile
            await far.close(key)
        for listener in tuple(self._listeners):
            # One that has begun meanwhile hears it already, but not of a failure.
            if listener.key == key and (failure is not None or not listener.is_attached):
                listener.attach(far, self._take(listener))

    # --- inside ---------------------------------------------------------------------------------

    def _take(self, listener: _Listener) -> Callable[[Any], None]:
        """Return what is told of a device here."""
        if listener.method != "listen":
            return listener.sink

        def take(states: tuple[DeviceState, ...]) -> None:
            with self._lock:
                states = tuple(self._with_failure(listener.key, state) for state in states)
                if listener.key in self._devices:
                    self._states[listener.key] = states[-1]
            listener.sink(states)

        return take

    def _with_failure(self, key: DeviceKey, state: DeviceState) -> DeviceState:
        """Return what a device tells, with why it is not open any more."""
        device = self._devices.get(key)
        if device is None or device.failure is None:
            return state
        if state.device is not None:  # a room has opened it
            self._keep(key, failure=None)
        elif state.failure is None:
            return evolve(state, failure=device.failure)
        return state

    def _told_closed(self, key: DeviceKey, failure: UTDStreamException | None) -> None:
        """Tell that a device is not open, and why, where no process does."""
        with self._lock:
            if (state := self._states.get(key)) is None:
                return
            level = None if state.level is None else FLOOR_DBFS
            state = evolve(state, device=None, level=level, failure=failure)
            if isinstance(state, MicrophoneState) and state.is_speaking:
                state = evolve(state, is_speaking=False)
            self._states[key] = state
        for listener in tuple(self._listeners):
            if listener.tells(key):
                listener.sink((state,))

    def _listen(
        self, method: str, key: DeviceKey, sink: Callable[[Any], None]
    ) -> Callable[[], None]:
        self._find(key)
        listener = _Listener(method, key, sink)
        self._listeners.append(listener)
        if self._far is None:
            try:
                self._succession.begin()  # which attaches all
            except UTDStreamException:
                self._listeners.remove(listener)
                raise
        else:
            listener.attach(self._far, self._take(listener))

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)
                listener.stop()
                if not any(one.tells(key) for one in self._listeners):
                    self._states.pop(key, None)  # of what is not told any more nobody knows

        return stop

    async def _there(self, key: DeviceKey) -> AudioPort:
        self._find(key)
        if self._far is None:
            await self._succession.host()
        if self._far is None:
            raise unserved()
        return self._far

    async def _ask(
        self, key: DeviceKey, command: Callable[[AudioPort], Coroutine[Any, Any, None]]
    ) -> None:
        await self._succession.ask(lambda: self._there(key), command)

    def _lives(self, far: AudioPort) -> bool:
        return self._far is far and self._host.failure is None

    def is_in_use(self, key: DeviceKey) -> bool:
        """Whether it is open, by whomever, or lost and to be open again."""
        device, state = self._devices.get(key), self._states.get(key)
        if device is None or device.failure is not None:
            return False
        is_told = state is not None and (state.device is not None or state.failure is not None)
        return device.is_open or is_told

    def _is_open(self, key: DeviceKey) -> bool:
        device = self._devices.get(key)
        return device is not None and device.is_open

    def _find(self, key: DeviceKey) -> WishedDevice:
        device = self._devices.get(key)
        if device is None:
            raise UTDStreamException(
                f"there is no {key.kind} {key.id}: add it first", code=UTDErrorCode.NOT_FOUND
            )
        return device

    def _keep(self, key: DeviceKey, **changes: Any) -> None:
        with self._lock:
            if (device := self._devices.get(key)) is not None:
                self._devices = self._devices.set(key, evolve(device, **changes))
