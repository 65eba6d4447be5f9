"""Sound devices as values: which there are, and choosing one."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Sequence
from enum import Enum
from typing import Final, TypeAlias

from attrs import frozen

from utd_rx.errors import UTDErrorCode, UTDStreamException

logger: Final = logging.getLogger("utd_rx.audio")

BLOCK: Final = 0.0025
"""Seconds per callback. PortAudio holds two blocks, and the jitter buffer one more: 6 ms less from
card to card than with 5 ms blocks, at the same CPU (docs/audio.md, "Figures")."""

SHORTEST_BLOCK: Final = 0.001
LONGEST_BLOCK: Final = 0.05

LISTING_TIMEOUT: Final = 10.0
"""Seconds for another process to list the devices; half a second is usual."""


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

    Blocks for about 50 ms; for about half a second while a stream of this process is open, since
    PortAudio looks for devices only before that, and another process must ask.

    Raises:
        UTDStreamException: `FEATURE_DISABLED` without PortAudio; the message holds the command
            that installs it.
    """
    from utd_rx.audio import portaudio

    found = _known() if portaudio.refresh() else _listed_elsewhere()
    return tuple(device for device in found if direction in (None, device.direction))


def find_device(choice: DeviceChoice, direction: AudioDirection) -> AudioDevice:
    """Return the chosen device; one that PortAudio has not seen is looked for once more.

    Should it have been plugged in while streams are open, these are opened anew: a pause in each
    of about half a second, which is no failure of theirs.

    Raises:
        UTDStreamException: `FEATURE_DISABLED` without PortAudio, or as `choose_device`.
    """
    from utd_rx.audio import portaudio

    try:
        return choose_device(_known(), choice, direction)
    except UTDStreamException as error:
        if error.code is not UTDErrorCode.NOT_FOUND:
            raise
        if not portaudio.refresh():
            choose_device(_listed_elsewhere(), choice, direction)  # or nothing is disturbed
            portaudio.restart()
    return choose_device(_known(), choice, direction)


def _known() -> tuple[AudioDevice, ...]:
    from utd_rx.audio import portaudio

    return tuple(device for device, _ in portaudio.query())


def _listed_elsewhere() -> tuple[AudioDevice, ...]:
    """Return the devices that a fresh PortAudio finds, in a process of its own."""
    command = (sys.executable, "-m", "utd_rx.cli", "devices", "--json")
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter, and no word from outside
            command, capture_output=True, timeout=LISTING_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        logger.warning("devices could not be looked for anew: %s", error)
        return _known()
    return tuple(
        AudioDevice(**{**entry, "direction": AudioDirection(entry["direction"])})
        for entry in map(json.loads, done.stdout.splitlines())
    )


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
