"""A device on PortAudio where it is alive: what a microphone and a speaker have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from utd_rx.audio import switching
from utd_rx.audio.levels import AudioLevel, LevelMeter
from utd_rx.devices.supervisor import Side, Supervisor
from utd_rx.errors import UTDStreamException
from utd_rx.models.audio import FrameSink
from utd_rx.models.device_state import FLOOR_DBFS, MicrophoneState, SpeakerState
from utd_rx.models.devices import AudioDevice, DeviceChoice
from utd_rx.ports.local import LocalDevice

S = TypeVar("S", bound=MicrophoneState | SpeakerState)

LEVELS_PER_STATISTICS = 10  # of the 20 levels a second


class SupervisedDevice(LocalDevice[S]):
    """Runs a side of `utd_rx.devices.supervisor`, opening after opening; its counts go on."""

    silence: Mapping[str, Any] = {"device": None, "failure": None, "level": FLOOR_DBFS}

    side: Side
    _meter: LevelMeter
    _levels = 0
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
        self._supervisor = Supervisor(self.side, self.settings.device, self._report, name)
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

    def _tell(self, level: AudioLevel, **news: Any) -> None:
        """Tell a level with `news`, and now and then what is counted."""
        self._levels += 1
        if self._levels % LEVELS_PER_STATISTICS == 0:
            news["statistics"] = self._statistics()
        self.teller.post(level=level.rms_dbfs, **news)

    def _report(self, device: AudioDevice | None, failure: UTDStreamException | None) -> None:
        news: dict[str, Any] = {"device": device, "failure": failure}
        if failure is not None:
            news = {**self.silence, **news, "statistics": self._statistics()}
        self.teller.post(**news)
