"""`NearAudio`: an audio port in the app, of devices that live in the media process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.media.frames import FrameReader
from utd_rx.media.levels import LevelReader
from utd_rx.media.loop_reader import LoopReader
from utd_rx.media.near import Near, NearEnd, TakeBack
from utd_rx.models.devices import DeviceKey
from utd_rx.ports.audio import Abilities, Settings, StatesSink
from utd_rx.ports.room import FramesSink


class NearAudio(Near):
    """What of it is known here: what the devices can do, and which there are."""

    undo: ClassVar[Mapping[str, TakeBack]] = {"open": lambda args, _: ("close", args)}

    ends: ClassVar[frozenset[str]] = frozenset(["close"])

    def __init__(self, end: NearEnd, number: int, shape: type, *, abilities: Abilities) -> None:
        super().__init__(end, number, shape)
        self.abilities: Final = abilities
        self._added: Final[set[DeviceKey]] = set()

    def add(self, key: DeviceKey, settings: Settings) -> None:
        """See `AudioPort.add`."""
        self._added.add(key)
        self._tell("add", key, settings)

    def forget(self, key: DeviceKey) -> None:
        """See `AudioPort.forget`."""
        self._added.discard(key)
        self._tell("forget", key)

    def listen(self, key: DeviceKey, sink: StatesSink) -> Callable[[], None]:
        """See `AudioPort.listen`."""
        return self._read("listen", key, LevelReader(sink))

    def hear(self, key: DeviceKey, sink: FramesSink) -> Callable[[], None]:
        """See `AudioPort.hear`."""
        return self._read("hear", key, FrameReader(sink))

    def _read(self, method: str, key: DeviceKey, reader: LoopReader[Any]) -> Callable[[], None]:
        end = self._tell(method, self._found(key), reader)

        def stop() -> None:
            reader.stop()
            end()

        return stop

    def _found(self, key: DeviceKey) -> DeviceKey:
        if key not in self._added:
            raise UTDStreamException(
                f"there is no {key.kind} {key.id}: add it first", code=UTDErrorCode.NOT_FOUND
            )
        return key
