"""`Camera`: the pictures of a camera as a video input, through PyAV."""

from __future__ import annotations

from typing import Any

from attrs import evolve, field, frozen

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.checks import typed
from utd_rx.models.devices import CameraChoice, CameraDevice
from utd_rx.models.video import VideoFormat, VideoSink
from utd_rx.ports.threads import in_thread
from utd_rx.video import hardware
from utd_rx.video.live import LivePictures


@frozen(field_transformer=typed)
class Camera:
    """A camera: a value that is opened where the room lives. Needs PyAV
    (`pip install 'utd-rx[camera]'`).

    Whoever publishes it sees `camera_failure` when it is unplugged, and None again when it is back;
    nobody has to do anything for that.

    Args:
        device: Which; None is the first one there is.
        format: What it is asked for. A camera that has not got it delivers what it has; what is
            larger is made smaller.
    """

    device: CameraChoice = None
    format: VideoFormat = field(factory=VideoFormat, kw_only=True)

    async def open(self, sink: VideoSink) -> LivePictures:
        """Start to deliver frames to `sink`, on a thread of the camera.

        Cancelling is safe: nothing is open then.

        Raises:
            UTDStreamException: `FEATURE_DISABLED` without PyAV; `NOT_FOUND` without such a camera;
                `FORBIDDEN` when this user may not open it, `CONFLICT` when another program has it;
                `VALIDATION` when several fit.
        """
        stream = LivePictures(
            self.device,
            self._connect,
            sink,
            name="utd_rx.video camera",
            blame="its driver ended",
            largest=(self.format.width, self.format.height),
        )
        await stream.start()
        return stream

    async def other(self, choice: CameraChoice = None) -> Camera:
        """Return the camera to go on with, in the same format: the one given, else the next one.

        Raises:
            UTDStreamException: As `open`; `NOT_FOUND` also when there is no other one.
        """
        return evolve(self, device=await in_thread(self._other, choice))

    def _other(self, choice: CameraChoice) -> CameraDevice:
        cameras = hardware.list_cameras()
        if choice is not None:
            return hardware.find_camera(choice, cameras)
        try:
            current = cameras.index(hardware.find_camera(self.device, cameras))
        except UTDStreamException:
            if not cameras:
                raise
            return cameras[0]  # it is unplugged
        if len(cameras) == 1:
            raise UTDStreamException(
                f"there is no other camera than {cameras[0].name}", code=UTDErrorCode.NOT_FOUND
            )
        return cameras[(current + 1) % len(cameras)]

    def _connect(self, choice: CameraChoice) -> tuple[CameraDevice, Any]:
        device = hardware.find_camera(choice, hardware.list_cameras())
        return device, hardware.open_camera(device, self.format)
