"""Which sound devices there are now, and finding one by PortAudio."""

from __future__ import annotations

from utd_rx.audio import lookout, portaudio
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.devices import AudioDevice, AudioDirection, DeviceChoice, choose_device

__all__ = ["AudioDevice", "AudioDirection", "DeviceChoice", "find_device", "list_devices"]


def list_devices(direction: AudioDirection | None = None) -> tuple[AudioDevice, ...]:
    """Return the devices there are now, of one direction or of both.

    Blocks for about 0.1 s: PortAudio looks for devices only when it is started, and another process
    does that, so no stream of this one is disturbed, nor of others that use PortAudio in it.

    Raises:
        UTDStreamException: `FEATURE_DISABLED` without PortAudio; the message holds the command
            that installs it.
    """
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
    try:
        return choose_device(portaudio.known(), choice, direction)
    except UTDStreamException as error:
        if error.code is not UTDErrorCode.NOT_FOUND:
            raise
        choose_device(lookout.look(), choice, direction)  # or nothing is disturbed
        portaudio.restart()
    return choose_device(portaudio.known(), choice, direction)
