"""`Screen`: the pictures of an X11 screen as a video input, through PyAV."""

from __future__ import annotations

import os
import sys
from typing import Any, Final

from attrs import field, frozen

from utd_rx.errors import UTDErrorCode, UTDStreamException, invalid
from utd_rx.models.checks import typed, whole
from utd_rx.models.video import VideoFormat, VideoSink
from utd_rx.video.library import load
from utd_rx.video.live import LivePictures

_X11: Final = "x11grab"


@frozen
class Display:
    """A screen that is open, as its supervisor sees it."""

    name: str


def _to_region(region: tuple[int, int, int, int] | None) -> tuple[int, int, int, int] | None:
    if region is None:
        return None
    if not isinstance(region, tuple) or len(region) != 4:
        raise invalid(f"Screen.region must be (left, top, width, height) or None, not {region!r}")
    left, top, width, height = region
    for name, side in (("left", left), ("top", top)):
        whole(side, f"Screen.region: {name}")
    VideoFormat(width, height)
    return region


@frozen(field_transformer=typed)
class Screen:
    """A screen, or a part of it: a value that is opened where the room lives. Needs PyAV
    (`pip install 'utd-rx[camera]'`) and an X server, a virtual one (Xvfb) as well.

    Under Wayland an X server shows only the windows of X programs, and no other system's screen is
    read yet. Whoever publishes it sees `screen_share_failure` when the X server ends, and None
    again when it is back.

    Args:
        display: As `:0` or `:0.1`; None is `DISPLAY` of the environment.
        region: `(left, top, width, height)` in pixels; None is the whole screen.
        format: What is larger is made smaller, its shape kept; and pictures a second.
        cursor: Whether the mouse is seen.
    """

    display: str | None = None
    region: tuple[int, int, int, int] | None = field(
        default=None, kw_only=True, converter=_to_region
    )
    format: VideoFormat = field(default=VideoFormat(1280, 720, 15.0), kw_only=True)
    cursor: bool = field(default=True, kw_only=True)

    async def open(self, sink: VideoSink) -> LivePictures:
        """Start to deliver frames to `sink`, on a thread of the screen.

        Cancelling is safe: nothing is open then.

        Raises:
            UTDStreamException: `FEATURE_DISABLED` without PyAV, or where there is no X11;
                `NOT_FOUND` without such a display; `VALIDATION` a region that is not on it.
        """
        stream = LivePictures(
            self.display,
            self._connect,
            sink,
            name="utd_rx.video screen",
            blame="its X server ended",
            largest=(self.format.width, self.format.height),
        )
        await stream.start()
        return stream

    def _connect(self, display: str | None) -> tuple[Display, Any]:
        library = load("a screen")
        name = display or os.environ.get("DISPLAY")
        if sys.platform != "linux" or _X11 not in library.formats_available:
            raise UTDStreamException(
                "only screens of X11 on Linux can be read so far, with a PyAV that has x11grab",
                code=UTDErrorCode.FEATURE_DISABLED,
            )
        if not name:
            raise UTDStreamException(
                "there is no screen: DISPLAY is not set. Start the app within an X session, name "
                "its display, or start one without a monitor: Xvfb :99 & Screen(':99')",
                code=UTDErrorCode.NOT_FOUND,
            )
        return Display(f"the screen {name}"), self._grab(library, name)

    def _grab(self, library: Any, name: str) -> Any:
        options = {"framerate": f"{self.format.fps:g}", "draw_mouse": str(int(self.cursor))}
        if self.region is not None:
            left, top, width, height = self.region
            options |= {
                "grab_x": str(left), "grab_y": str(top), "video_size": f"{width}x{height}"
            }  # fmt: skip
        try:
            return library.open(name, format=_X11, options=options)
        except library.error.OSError as error:
            raise UTDStreamException(
                f"the screen {name} cannot be opened: is its X server running, and may this user "
                "see it (xhost, XAUTHORITY)?",
                code=UTDErrorCode.NOT_FOUND,
            ) from error
        except ValueError as error:
            raise invalid(f"the screen {name} has no region {self.region}") from error
