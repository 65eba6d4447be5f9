"""`PlacedAudio`: the audio port of devices whose place is found when they are first used."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Final
from weakref import WeakSet

from utd_rx.audio.handle import BackendName, port_of
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.media.afar import UnplacedDevice
from utd_rx.media.choice import Media, chosen
from utd_rx.media.house import House, house, loop_of, place
from utd_rx.media.restoring_audio import ordered
from utd_rx.models.devices import DeviceChoice, DeviceKey
from utd_rx.models.voice_processing import VoiceProcessing
from utd_rx.ports import living
from utd_rx.ports.audio import Abilities, AudioPort, Order, Settings, SetWatched, StatesSink
from utd_rx.ports.one_loop import on_loop
from utd_rx.ports.room import FramesSink


class PlacedAudio:
    """Devices of a backend: each is known here, and lives where it was first used.

    Args:
        backend: Whose devices.
        media: Where they are to live.
    """

    def __init__(self, backend: BackendName, media: Media) -> None:
        self._backend = backend
        self._media: Final = media
        self.abilities: Final[Abilities] = port_of(backend).abilities
        self._known: dict[DeviceKey, Settings] = {}
        self._homes: dict[DeviceKey, tuple[AudioPort, House | None]] = {}
        self._over: set[DeviceKey] = set()
        self._watched: dict[DeviceKey, SetWatched] = {}
        self._unplaced: dict[DeviceKey, UnplacedDevice] = {}
        _ports.add(self)

    def add(self, key: DeviceKey, settings: Settings) -> None:
        """See `AudioPort`, as for the rest."""
        self._known[key] = settings
        self._unplaced[key] = UnplacedDevice(key, partial(bring, key))

    def forget(self, key: DeviceKey) -> None:
        self._known.pop(key, None)
        self._over.discard(key)
        self._watched.pop(key, None)
        self._unplaced.pop(key, None)
        if (home := self._homes.pop(key, None)) is not None:
            home[0].forget(key)

    def order(self, key: DeviceKey, order: Order) -> None:
        if (settings := self._known.get(key)) is not None:
            self._known[key] = ordered(settings, order)
            if isinstance(order, SetWatched):
                self._watched[key] = order
        if (home := self._homes.get(key)) is not None:
            home[0].order(key, order)

    def listen(self, key: DeviceKey, sink: StatesSink) -> Callable[[], None]:
        return self.home(key).listen(key, sink)

    def hear(self, key: DeviceKey, sink: FramesSink) -> Callable[[], None]:
        return self.home(key).hear(key, sink)

    async def open(self, key: DeviceKey) -> None:
        await self.home(key).open(key)

    async def use(self, key: DeviceKey, device: DeviceChoice) -> None:
        await self.home(key).use(key, device)

    async def process(self, key: DeviceKey, processing: VoiceProcessing) -> None:
        await self.home(key).process(key, processing)

    async def close(self, key: DeviceKey, *, for_good: bool = False) -> None:
        if for_good:
            self._over.add(key)
        if key not in self._homes:
            self._find(key)  # it was never used
            return
        home, there = self._homes[key]
        try:
            await home.close(key, for_good=for_good)
        finally:
            if there is not None:
                await on_loop(loop_of(there), there.rest())

    @property
    def has_devices(self) -> bool:
        """Whether there is any that is not closed for good."""
        return bool(self._known.keys() - self._over)

    def knows(self, key: DeviceKey) -> bool:
        """Whether it is one of these."""
        return key in self._known

    def home(self, key: DeviceKey) -> AudioPort:
        """Return the port of the place where the device lives, from now on if it is used first; on
        another loop's house than this one's while it is open there, as there is one opening."""
        settings = self._find(key)
        known = self._homes.get(key)
        if known is not None and (known[1] in (None, house()) or self._is_open(key)):
            return known[0]
        there = self._place(settings)
        port = port_of(self._backend) if there is None else there.audio(self._backend)
        port.add(key, settings)
        if key in self._watched:
            port.order(key, self._watched[key])
        self._homes[key] = port, there
        reference: DeviceKey | None = getattr(settings, "reference", None)
        if reference is not None:
            bring(reference)
        return port

    def _place(self, settings: Settings) -> House | None:
        """Return where a device is to live; a microphone whose reference is something of the app's
        hears with it."""
        reference: DeviceKey | None = getattr(settings, "reference", None)
        if reference is None or not living.is_here(reference):
            return place(self._media, has_device=True)
        if self._media == "process":
            raise UTDStreamException(
                "an echo reference that lives in the app cannot be heard in the media process: "
                'pass a Speaker of media="process", or media="inline" for the microphone',
                code=UTDErrorCode.FEATURE_DISABLED,
            )
        return None

    def _is_open(self, key: DeviceKey) -> bool:
        """Whether it is open in a house whose loop runs."""
        _, there = self._homes[key]
        if there is None or loop_of(there) is None:
            return False
        return there.audio(self._backend).is_open(key)

    def _find(self, key: DeviceKey) -> Settings:
        if key not in self._known:
            raise UTDStreamException(
                f"there is no {key.kind} {key.id}: add it first", code=UTDErrorCode.NOT_FOUND
            )
        return self._known[key]


_ports: Final[WeakSet[PlacedAudio]] = WeakSet()


def bring(key: DeviceKey) -> bool:
    """Let a device be known where it lives; return whether that is apart."""
    for port in tuple(_ports):
        if port.knows(key):
            return port.home(key) is not port_of(port._backend)
    return False


def are_about() -> bool:
    """Whether there is a device that may live apart, open or not."""
    return any(port.has_devices for port in tuple(_ports))


def devices(backend: BackendName, media: Media | None) -> AudioPort:
    """Return the port of the devices of a backend that live as `media` says."""
    wished = chosen(media)
    return port_of(backend) if wished == "inline" else _placed(backend, wished)


@cache
def _placed(backend: BackendName, media: Media) -> PlacedAudio:
    return PlacedAudio(backend, media)
