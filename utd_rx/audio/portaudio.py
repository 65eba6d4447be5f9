"""PortAudio, reached through `sounddevice`: the only module that imports it, and when first used.

PortAudio's own functions are not thread-safe, so each runs under one lock; the callbacks are not
concerned. Whatever needs it raises as `load` where it is not installed.
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from utd_rx.errors import UTDErrorCode, UTDStreamException, invalid
from utd_rx.models.devices import AudioDevice, AudioDirection

RealTimeCallback = Callable[[Any, int, Any, Any], None]
"""`(buffer, samples, time, flags)` on PortAudio's thread, from `start` to `close`."""

MAX_CHANNELS: Final = 2  # as many as `AudioFormat` knows; more only if a device takes no fewer
_WRONG_FORMAT: Final = frozenset((-9998, -9997, -9994))  # channels, rate and sample format
_INSTALL: Final = {
    "linux": "apt-get install libportaudio2 libasound2-plugins",
    "darwin": "brew install portaudio",
}
_lock: Final = threading.RLock()
_open: Final[set[PortAudioStream]] = set()


def load() -> Any:
    """Return the `sounddevice` module, or say the command that installs it (`FEATURE_DISABLED`)."""
    with _lock:
        try:
            import sounddevice
        except ImportError as error:
            raise _disabled("sounddevice", "pip install sounddevice") from error
        except OSError as error:
            command = _INSTALL.get(sys.platform, "pip install --force-reinstall sounddevice")
            raise _disabled("PortAudio", command) from error
        return sounddevice


def version() -> str:
    """Return PortAudio's version in words."""
    words: str = load().get_portaudio_version()[1]
    return words


def query() -> tuple[tuple[AudioDevice, int], ...]:
    """Return every device with its PortAudio number, which changes with `restart`."""
    with _lock:
        sounddevice = load()
        return read(
            sounddevice.query_hostapis(), sounddevice.query_devices(), sounddevice.default.device
        )


def known() -> tuple[AudioDevice, ...]:
    """Return every device that PortAudio found when it was started."""
    return tuple(device for device, _ in query())


def read(
    apis: Sequence[Mapping[str, Any]],
    entries: Sequence[Mapping[str, Any]],
    defaults: Sequence[int],
) -> tuple[tuple[AudioDevice, int], ...]:
    """Return every device with its number, of what `sounddevice` tells, here or elsewhere."""
    found: list[tuple[AudioDevice, int]] = []
    seen: dict[str, int] = {}
    for number, entry in enumerate(entries):
        for direction in AudioDirection:
            channels = int(entry[f"max_{direction.value}_channels"])
            if channels < 1:
                continue
            api = apis[entry["hostapi"]]
            # What stays the same when PortAudio numbers them anew.
            identity = f"{direction.value}:{api['name']}:{entry['name']}"
            seen[identity] = seen.get(identity, 0) + 1
            if seen[identity] > 1:  # two cards of one kind
                identity = f"{identity}#{seen[identity]}"
            is_default = number == defaults[direction is AudioDirection.OUTPUT]
            rate = round(entry["default_samplerate"])
            device = AudioDevice(
                identity, str(entry["name"]), direction, channels, rate, is_default
            )
            found.append((device, number))
    return tuple(found)


def sample_rate(device: AudioDevice) -> int | None:
    """Return at which rate the device really runs, None while it does not."""
    with _lock:
        return next((one.sample_rate for one in _open if one.device.id == device.id), None)


def refresh() -> None:
    """Look for devices anew, unless a stream is open."""
    with _lock:
        if not _open:
            restart()


def restart() -> None:
    """Look for devices anew, which ends every stream in the process; ours are `is_displaced`."""
    with _lock:
        for stream in tuple(_open):
            stream.is_displaced = True
            stream.close()
        sounddevice = load()
        # Private, but the one way there is. A failed start leaves nothing to terminate.
        with suppress(sounddevice.PortAudioError):
            sounddevice._terminate()
        try:
            sounddevice._initialize()
        except sounddevice.PortAudioError as error:
            raise UTDStreamException(
                f"PortAudio does not start: {error}; `utd-rx doctor` tells what is wrong"
            ) from error


class PortAudioStream:
    """An open stream of int16, interleaved, of `block` samples per callback.

    Raises as `refusal`, and `NOT_FOUND` when the device is there no more. `is_displaced` is one
    that was closed by `restart`, not by its owner, who opens another one.
    """

    def __init__(
        self,
        device: AudioDevice,
        sample_rate: int,
        channels: int,
        block: int,
        callback: RealTimeCallback,
    ) -> None:
        self.device = device
        self.sample_rate, self.channels, self.block = sample_rate, channels, block
        self.is_displaced = False
        with _lock:
            sounddevice = load()
            number = next((n for known, n in query() if known.id == device.id), None)
            if number is None:
                raise UTDStreamException(f"{device.name} is gone", code=UTDErrorCode.NOT_FOUND)
            is_input = device.direction is AudioDirection.INPUT
            make = sounddevice.RawInputStream if is_input else sounddevice.RawOutputStream
            try:
                self._stream = make(
                    device=number,
                    samplerate=sample_rate,
                    channels=channels,
                    dtype="int16",
                    blocksize=block,
                    latency="low",
                    callback=callback,
                )
            except sounddevice.PortAudioError as error:
                raise refusal(device, sample_rate, channels, error) from error
            _open.add(self)
        self.latency = float(self._stream.latency)

    @property
    def is_active(self) -> bool:
        """Whether callbacks may still come."""
        try:
            return not self._stream.closed and bool(self._stream.active)
        except load().PortAudioError:  # `restart` closed it between the two questions
            return False

    def start(self) -> None:
        """Let callbacks come."""
        with _lock:
            try:
                self._stream.start()
            except load().PortAudioError as error:
                raise UTDStreamException(
                    f"the device does not start: {error}", code=UTDErrorCode.NOT_FOUND
                ) from error

    def close(self) -> None:
        """Let no more callbacks come; what was not played is not waited for. Idempotent."""
        with _lock:
            if self in _open:  # never twice: after a restart PortAudio's memory of it is gone
                _open.remove(self)
                self._stream.close(ignore_errors=True)


def open_stream(
    device: AudioDevice, sample_rate: int, channels: int, block: float, callback: RealTimeCallback
) -> PortAudioStream:
    """Open a stream in the wished format, or else in one that the device has.

    `block` is seconds per callback. What is raised is what was said to the wished format.
    """
    most = min(device.channels, MAX_CHANNELS)
    rates = dict.fromkeys((sample_rate, device.default_sample_rate, 48_000))
    refused: UTDStreamException | None = None
    for counts in ((min(channels, most), most), (device.channels,)):
        for rate, count in itertools.product(rates, dict.fromkeys(counts)):
            try:
                return PortAudioStream(device, rate, count, max(1, round(block * rate)), callback)
            except UTDStreamException as error:
                refused = refused or error
    assert refused is not None
    raise refused


def _disabled(what: str, command: str) -> UTDStreamException:
    return UTDStreamException(
        f"{what} is not installed, so there are no sound devices: {command}",
        code=UTDErrorCode.FEATURE_DISABLED,
    )


def refusal(
    device: AudioDevice, sample_rate: int, channels: int, error: Exception
) -> UTDStreamException:
    """Return what is raised when a device does not open: `VALIDATION` if it is the format."""
    if _WRONG_FORMAT.intersection(error.args[1:2]):
        return invalid(
            f"{device.name} refuses {sample_rate} Hz with {channels} channels ({error}): "
            "see what it has with `utd-rx devices`"
        )
    return UTDStreamException(
        f"{device.name} does not open ({error}): unplugged, held by another program, or its sound "
        "server has ended (pulseaudio --start)",
        code=UTDErrorCode.NOT_FOUND,
    )
