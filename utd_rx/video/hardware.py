"""The cameras of this machine, through FFmpeg's devices: which there are, and opening one."""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.devices import CameraChoice, CameraDevice, choose_camera
from utd_rx.models.video import VideoFormat
from utd_rx.video import library

logger: Final = logging.getLogger("utd_rx.video")

OPEN_TIMEOUT: Final = 10.0
"""Seconds for FFmpeg to open a device, where it heeds that."""

SYSTEMS: Final = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}
BY_ID: Final = Path("/dev/v4l/by-id")
_UNCOMPRESSED_UP_TO: Final = 640 * 480
"""Pixels; of more, USB 2 carries a few a second unless the camera compresses them."""

_REFUSALS: Final = {
    errno.ENOENT: (UTDErrorCode.NOT_FOUND, "it is not there"),
    errno.ENODEV: (UTDErrorCode.NOT_FOUND, "it is not there"),
    errno.ENXIO: (UTDErrorCode.NOT_FOUND, "it is not there"),
    errno.EACCES: (UTDErrorCode.FORBIDDEN, "this user may not open it: join the group video"),
    errno.EPERM: (UTDErrorCode.FORBIDDEN, "this user may not open it: join the group video"),
    errno.EBUSY: (UTDErrorCode.CONFLICT, "another program uses it: close that"),
}


def list_cameras() -> tuple[CameraDevice, ...]:
    """Return the cameras there are now, in the system's order; the first is the default.

    Blocks for some milliseconds, and opens each for a moment. Needs PyAV.

    Raises:
        UTDStreamException: `FEATURE_DISABLED` without PyAV, or on a system whose cameras it does
            not know.
    """
    av = library.load("a camera")
    system = _system()
    try:
        found = av.enumerate_input_devices(system)
    except (OSError, ValueError) as error:
        raise UTDStreamException(
            f"this PyAV cannot list cameras ({system}): {error}", code=UTDErrorCode.FEATURE_DISABLED
        ) from error
    ids = {str(link.resolve()): str(link) for link in sorted(BY_ID.glob("*"))}
    return tuple(
        CameraDevice(ids.get(device.name, device.name), device.description or device.name)
        for device in found
        if "audio" not in device.media_types or "video" in device.media_types
    )


def find_camera(choice: CameraChoice, cameras: Sequence[CameraDevice]) -> CameraDevice:
    """Return the chosen one, also by its `/dev/video…`; raises as `choose_camera`."""
    if isinstance(choice, str) and choice.startswith("/"):
        path = Path(choice).resolve()
        choice = next((one.id for one in cameras if Path(one.id).resolve() == path), choice)
    return choose_camera(cameras, choice)


def open_camera(device: CameraDevice, wished: VideoFormat) -> Any:
    """Return the container of a camera that runs, in the wished format or, if it has not that, in
    its own. Raises what `_REFUSALS` says, or `UNKNOWN`."""
    av, system = library.load("a camera"), _system()
    name = f"video={device.id}" if system == "dshow" else device.id
    for options in _attempts(system, wished):
        try:
            return av.open(name, format=system, options=options, timeout=(OPEN_TIMEOUT, None))
        except (OSError, ValueError) as error:
            failure: Any = error  # FFmpeg's own have a number and a text, whatever else they are
            if failure.errno in _REFUSALS:
                break
            logger.debug("%s does not open with %s: %s", device.name, options, error)
    unknown = UTDErrorCode.UNKNOWN, str(failure.strerror)
    code, reason = _REFUSALS.get(failure.errno, unknown)
    told = f"the camera {device.name} ({device.id}) cannot be opened: {reason}"
    raise UTDStreamException(told, code=code) from failure


def _system() -> str:
    if sys.platform not in SYSTEMS:
        raise UTDStreamException(
            f"there are no cameras on {sys.platform} yet", code=UTDErrorCode.FEATURE_DISABLED
        )
    return SYSTEMS[sys.platform]


def _attempts(system: str, wished: VideoFormat) -> list[dict[str, str]]:
    """Return the options to try, the best first; the last leave everything to the camera."""
    plain = {"video_size": f"{wished.width}x{wished.height}", "framerate": f"{wished.fps:g}"}
    attempts = [plain, {}]
    if system == "v4l2" and wished.width * wished.height > _UNCOMPRESSED_UP_TO:
        attempts.insert(0, {**plain, "input_format": "mjpeg"})
    return attempts
