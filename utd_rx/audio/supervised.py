"""A device on PortAudio where it is alive: what a microphone and a speaker have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from utd_rx.audio import switching
from utd_rx.devices.supervisor import Side, Supervisor
from utd_rx.errors import UTDStreamException
from utd_rx.models.audio import FrameSink
from utd_rx.models.device_state import FLOOR_DBFS, MicrophoneState, SpeakerState
from utd_rx.models.devices import AudioDevice, DeviceChoice
from utd_rx.ports.audio import AwaitDevice, Order, SetWatched
from utd_rx.ports.local import LocalDevice

S = TypeVar("S", bound=MicrophoneState | SpeakerState)

LEVEL: Final = 0.05  # seconds of sound that a level is of
LEVELS_PER_STATISTICS: Final = 10
UNWATCHED: Final = LEVEL * LEVELS_PER_STATISTICS  # seconds between levels that nobody looks at


class SupervisedDevice(LocalDevice[S]):
    """Runs a side of `utd_rx.devices.supervisor`, opening after opening; its counts go on."""

    silence: Mapping[str, Any] = {"device": None, "failure": None, "level": FLOOR_DBFS}

    side: Side
    _is_watched = True
    _is_awaited = False  # by the next opening
    _unmeasured = 0.0  # seconds of sound since the last level was told
    _uncounted = 0.0
    _supervisor: Supervisor | None = None
    _given_up: Supervisor | None = None
    _lost_before = 0

    @property
    def lost(self) -> int:
        """How often the device died."""
        return self._lost_before + (0 if self._supervisor is None else self._supervisor.lost)

    def _statistics(self) -> Any:
        """Return what is counted; any thread."""
        raise NotImplementedError

    async def _begin(self, sink: FrameSink) -> None:
        if self._given_up is not None:
            await self._given_up.aclose()  # its thread may be with the device, and the side, still
        name = f"utd_rx.audio {self.key.kind}"
        self._supervisor = Supervisor(
            self.side, self.settings.device, self._report, name, is_awaited=self._take_awaited()
        )
        try:
            await self._supervisor.start()
        except BaseException:
            self._given_up, self._supervisor = self._supervisor, None
            raise
        self._given_up = None
        switching.hold()

    async def _swap(self, device: DeviceChoice) -> None:
        assert self._supervisor is not None
        await self._supervisor.use(device)

    async def _end(self) -> None:
        supervisor = self._supervisor
        if supervisor is None:
            return
        await supervisor.aclose()
        if self._supervisor is supervisor:
            switching.release()
            self._lost_before, self._supervisor = self.lost, None
            self.teller.post(statistics=self._statistics())

    def order(self, order: Order) -> None:
        """Carry out an order; any thread."""
        if isinstance(order, SetWatched):
            self._is_watched = order.is_watched
        elif isinstance(order, AwaitDevice):
            self._is_awaited = True

    def _take_awaited(self) -> bool:
        """Return whether this opening waits for a device that is away; the next one does not."""
        is_awaited, self._is_awaited = self._is_awaited, False
        return is_awaited

    def _is_due(self, seconds: float) -> bool:
        """Count sound; return whether its level is to be told now."""
        self._unmeasured += seconds
        return self._unmeasured >= (LEVEL if self._is_watched else UNWATCHED) - 1e-9

    def _tell(self, level: float, **news: Any) -> None:
        """Tell a level in dBFS with `news`, and now and then what is counted."""
        self._uncounted += self._unmeasured
        self._unmeasured = 0.0
        if self._uncounted >= UNWATCHED - 1e-9:
            self._uncounted = 0.0
            news["statistics"] = self._statistics()
        self.teller.post(level=level, **news)

    def _report(self, device: AudioDevice | None, failure: UTDStreamException | None) -> None:
        news: dict[str, Any] = {"device": device, "failure": failure}
        if failure is not None:
            news = {**self.silence, **news, "statistics": self._statistics()}
        self.teller.post(**news)
