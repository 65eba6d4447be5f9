"""Devices as values: which there are, choosing one, and what names one that is alive."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from enum import Enum
from typing import TypeAlias, TypeVar

from attrs import field, frozen

from utd_rx.errors import UTDErrorCode, UTDStreamException, invalid
from utd_rx.models.checks import typed
from utd_rx.models.value import Value


class AudioDirection(Enum):
    """Whether a device hears or plays; `value` is PortAudio's word."""

    INPUT = "input"
    OUTPUT = "output"


@frozen(field_transformer=typed)
class AudioDevice(Value):
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


@frozen(field_transformer=typed)
class CameraDevice(Value):
    """A camera.

    Args:
        id: Names it for as long as the machine has it, also after it was unplugged; where the
            system knows cameras by their serial number (Linux with udev), in another socket, too.
        name: For people; not always unique.
    """

    id: str
    name: str


CameraChoice: TypeAlias = str | CameraDevice | None
"""A camera, its id, its name or a part of it; None is the first one there is."""


@frozen(field_transformer=typed)
class DeviceKey(Value):
    """Names what is alive in one process, its `kind` a microphone, a speaker or a source of sound;
    a value that crosses ports."""

    kind: str
    id: str = field(factory=lambda: uuid.uuid4().hex)


def choose_device(
    devices: Sequence[AudioDevice], choice: DeviceChoice, direction: AudioDirection
) -> AudioDevice:
    """Return the device meant by `choice`: its id, else its name, else a part of just one name.

    Raises `NOT_FOUND` when there is none, and `VALIDATION` when several fit.
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
    return _meant(there, choice, f"{direction.value} device", "run `utd-rx devices`")


def choose_camera(cameras: Sequence[CameraDevice], choice: CameraChoice) -> CameraDevice:
    """Return the camera meant by `choice`; raises as `choose_device`."""
    if not cameras:
        raise UTDStreamException(
            "there is no camera" + (f" {_wanted(choice)!r}" if choice else "") + ": plug one in. On"
            " Linux it is a /dev/video* that this user may open (group video), in a container one"
            " that was handed in (docker run --device /dev/video0)",
            code=UTDErrorCode.NOT_FOUND,
        )
    if choice is None:
        return cameras[0]
    return _meant(cameras, choice, "camera", "see `list_cameras()`")


def _wanted(choice: str | AudioDevice | CameraDevice) -> str:
    return choice if isinstance(choice, str) else choice.id


D = TypeVar("D", AudioDevice, CameraDevice)


def _meant(there: Sequence[D], choice: str | D, noun: str, hint: str) -> D:
    wanted = _wanted(choice)
    for fits in (
        [device for device in there if device.id == wanted],
        [device for device in there if device.name == wanted],
        [device for device in there if wanted.casefold() in device.name.casefold()],
    ):
        if len(fits) == 1:
            return fits[0]
        if fits:
            names = ", ".join(device.id for device in fits)
            raise invalid(f"{wanted!r} is several {noun}s: say which of {names}")
    names = ", ".join(device.name for device in there)
    raise UTDStreamException(
        f"there is no {noun} {wanted!r}, only {names}: {hint}", code=UTDErrorCode.NOT_FOUND
    )
