"""One opening of a microphone: from its device to the sink, until it is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from utd_rx.audio.capture import CaptureSide
from utd_rx.audio.crossing import ChangeBox
from utd_rx.audio.devices import AudioDevice, DeviceChoice
from utd_rx.audio.ear import Ear
from utd_rx.audio.gain import Gain
from utd_rx.audio.levels import FLOOR_DBFS
from utd_rx.audio.processing import ProcessingStage
from utd_rx.audio.supervisor import Supervisor
from utd_rx.audio.tap import EchoReference
from utd_rx.errors import UTDStreamException
from utd_rx.models.audio import AudioFormat, AudioFrame, FrameSink
from utd_rx.models.voice_processing import VoiceProcessing
from utd_rx.ports.crossing import FrameBox

_SILENT: Final = {"level": FLOOR_DBFS, "is_speaking": False}


class MicrophoneStream:
    """An open microphone: an `AudioInputStream`. It has no end: a lost device is waited for.

    Args:
        device: The one to begin with.
        audio_format: Of the frames.
        block: Seconds per callback of the device.
        reference: What plays nearby.
        gain: The microphone's.
        sink: Takes the frames.
        emit: Takes them for observers, on the loop.
        is_muted: Whether they are to be silent.
        is_observed: Whether there are observers.
        tell: Takes changes of the state, on the loop.
        closed: Called when it is closed.
    """

    def __init__(
        self,
        device: DeviceChoice,
        audio_format: AudioFormat,
        block: float,
        *,
        reference: EchoReference | None,
        gain: Gain,
        sink: FrameSink,
        emit: Callable[[AudioFrame], None],
        is_muted: Callable[[], bool],
        is_observed: Callable[[], bool],
        tell: Callable[[Mapping[str, Any]], None],
        closed: Callable[[], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        self._tell = tell
        self._on_close = closed
        self._changes = ChangeBox(loop, tell)

        def observe(frames: tuple[AudioFrame, ...]) -> None:
            for frame in frames:
                emit(frame)

        self._ear = ear = Ear(
            sink, gain, self._changes, FrameBox(loop, observe), is_muted, is_observed
        )
        ear.side = side = CaptureSide(audio_format, block, ear.hear)
        ear.stage = self._stage = ProcessingStage(reference, lambda: side.latency)
        ear.supervisor = self._supervisor = Supervisor(
            side, device, self._report, "utd_rx.audio microphone"
        )
        self._ended = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None

    async def start(self, processing: VoiceProcessing) -> None:
        """Open the device and hear. Cancelling is safe: nothing is open then.

        Raises:
            UTDStreamException: As `Supervisor.start` and `ProcessingStage.use`.
        """
        try:
            await self._stage.use(processing)
            await self._supervisor.start()
        except BaseException:
            self._stage.close()
            self._changes.close()
            self._tell({"device": None})
            raise
        self._changes.flush()

    async def use(self, device: DeviceChoice) -> None:
        """Hear with another device; as `Supervisor.use`."""
        await self._supervisor.use(device)

    async def process(self, processing: VoiceProcessing) -> None:
        """Process the voice like that; as `ProcessingStage.use`."""
        await self._stage.use(processing)

    async def wait_ended(self) -> None:
        """Wait until it is closed. Cancelling is safe."""
        await self._ended.wait()

    async def aclose(self) -> None:
        """Close the device; after it returns the sink is not called any more. Idempotent.

        Cancelling is safe: it closes all the same.
        """
        if self._closing is None:
            self._closing = asyncio.create_task(
                self._close(), name="utd_rx.audio: close the microphone's stream"
            )
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        await self._supervisor.aclose()
        self._stage.close()
        self._tell({"device": None, "failure": None, **_SILENT, **self._counted()})
        self._on_close()
        self._ended.set()

    def _report(self, device: AudioDevice | None, failure: UTDStreamException | None) -> None:
        self._changes.post(device=device, failure=failure)
        if failure is not None:
            self._changes.post(**_SILENT, **self._counted())

    def _counted(self) -> Mapping[str, Any]:
        return {"statistics": self._ear.statistics()}
