"""Sound devices as values: which there are, and choosing one."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TypeAlias

from attrs import frozen

from utd_rx.errors import UTDErrorCode, UTDStreamException


class AudioDirection(Enum):
    """Whether a device hears or plays; `value` is PortAudio's word."""

    INPUT = "input"
    OUTPUT = "output"


@frozen
class AudioDevice:
    """A sound device in one direction; a card that hears and plays is two of them.

    Args:
        id: Names it for as long as the machine has it, also after it was unplugged.
        name: For people; not always unique.
        direction: Whether it hears or plays.
        channels: How many it has.
        default_sample_rate: In Hz; most take others too.
        is_default: The system's choice for this direction.
    """

    id: str
    name: str
    direction: AudioDirection
    channels: int
    default_sample_rate: int
    is_default: bool


DeviceChoice: TypeAlias = str | AudioDevice | None
"""A device, its id, its name or a part of it; None follows the system's default."""


def list_devices(direction: AudioDirection | None = None) -> tuple[AudioDevice, ...]:
    """Return the devices there are now, of one direction or of both.

    Blocks for about 50 ms. While a stream of this process is open it returns the devices that
    there were when the first one was opened: PortAudio looks for them only once.

    Raises:
        UTDStreamException: `FEATURE_DISABLED` without PortAudio; the message holds the command
            that installs it.
    """
    from utd_rx.audio import portaudio

    portaudio.refresh()
    return tuple(device for device, _ in portaudio.query() if direction in (None, device.direction))


def find_device(choice: DeviceChoice, direction: AudioDirection) -> AudioDevice:
    """Return the chosen device; one that PortAudio has not seen is looked for once more.

    Raises:
        UTDStreamException: `FEATURE_DISABLED` without PortAudio, or as `choose_device`.
    """
    from utd_rx.audio import portaudio

    try:
        return choose_device([device for device, _ in portaudio.query()], choice, direction)
    except UTDStreamException as error:
        if error.code is not UTDErrorCode.NOT_FOUND or not portaudio.refresh():
            raise
    return choose_device([device for device, _ in portaudio.query()], choice, direction)


def choose_device(
    devices: Sequence[AudioDevice], choice: DeviceChoice, direction: AudioDirection
) -> AudioDevice:
    """Return the device meant by `choice`: its id, else its name, else a part of just one name.

    Raises:
        UTDStreamException: `NOT_FOUND` when there is none, `VALIDATION` when several fit.
    """
    there = [device for device in devices if device.direction is direction]
    if not there:
        raise UTDStreamException(
            f"there is no {direction.value} device: plug one in, or start a sound server "
            "(pulseaudio --start); `utd-rx doctor` tells what is wrong",
            code=UTDErrorCode.NOT_FOUND,
        )
    if choice is None:
        return next((device for device in there if device.is_default), there[0])
    wanted = choice.id if isinstance(choice, AudioDevice) else choice
    for fits in (
        [device for device in there if device.id == wanted],
        [device for device in there if device.name == wanted],
        [device for device in there if wanted.casefold() in device.name.casefold()],
    ):
        if len(fits) == 1:
            return fits[0]
        if fits:
            names = ", ".join(device.id for device in fits)
            raise UTDStreamException(
                f"{wanted!r} is several {direction.value} devices: say which of {names}",
                code=UTDErrorCode.VALIDATION,
            )
    names = ", ".join(device.name for device in there)
    raise UTDStreamException(
        f"there is no {direction.value} device {wanted!r}, only {names}: run `utd-rx devices`",
        code=UTDErrorCode.NOT_FOUND,
    )


def device_id(direction: AudioDirection, host_api: str, name: str) -> str:
    """Return the id of a device: what stays the same when PortAudio numbers them anew."""
    return f"{direction.value}:{host_api}:{name}"
