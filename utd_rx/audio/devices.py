"""Sound devices as values: which there are, and choosing one."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final, TypeAlias

from attrs import frozen

from utd_rx.errors import UTDErrorCode, UTDStreamException

BLOCK: Final = 0.0025
"""Seconds per callback. PortAudio holds two blocks, and the jitter buffer one more: 6 ms less from
card to card than with 5 ms blocks, at the same CPU (docs/audio.md, "Figures")."""

SHORTEST_BLOCK: Final = 0.001
LONGEST_BLOCK: Final = 0.05


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


def check_block(block: float) -> float:
    """Return `block`.

    Raises:
        UTDStreamException: `VALIDATION`, unless it is from `SHORTEST_BLOCK` to `LONGEST_BLOCK`.
    """
    if not SHORTEST_BLOCK <= block <= LONGEST_BLOCK:
        raise UTDStreamException(
            f"a block is from {SHORTEST_BLOCK:g} to {LONGEST_BLOCK:g} s, not {block}",
            code=UTDErrorCode.VALIDATION,
        )
    return block


def list_devices(direction: AudioDirection | None = None) -> tuple[AudioDevice, ...]:
    """Return the devices there are now, of one direction or of both.

    Blocks for about 0.1 s: PortAudio looks for devices only when it is started, and another process
    does that, so no stream of this one is disturbed, nor of others that use PortAudio in it.

    Raises:
        UTDStreamException: `FEATURE_DISABLED` without PortAudio; the message holds the command
            that installs it.
    """
    from utd_rx.audio import lookout, portaudio

    portaudio.load()
    return tuple(device for device in lookout.look() if direction in (None, device.direction))


def find_device(choice: DeviceChoice, direction: AudioDirection) -> AudioDevice:
    """Return the chosen device; one that PortAudio has not seen is looked for once more.

    Should it have been plugged in since, PortAudio is restarted: open streams are opened anew, a
    pause in each of about half a second, which is no failure of theirs. Streams that others have
    opened by PortAudio in this process end.

    Raises:
        UTDStreamException: `FEATURE_DISABLED` without PortAudio, or as `choose_device`.
    """
    from utd_rx.audio import lookout, portaudio

    try:
        return choose_device(portaudio.known(), choice, direction)
    except UTDStreamException as error:
        if error.code is not UTDErrorCode.NOT_FOUND:
            raise
        choose_device(lookout.look(), choice, direction)  # or nothing is disturbed
        portaudio.restart()
    return choose_device(portaudio.known(), choice, direction)


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
