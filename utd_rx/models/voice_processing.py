"""What is done to a voice before anybody hears it, and the port of what does it.

`utd_rx.audio` uses the port and `utd_rx.rtc` serves it; neither imports the other.
"""

from __future__ import annotations

from typing import Protocol

from attrs import fields, frozen

from utd_rx.models.audio import AudioFrame
from utd_rx.models.checks import typed
from utd_rx.models.value import Value


@frozen(kw_only=True, field_transformer=typed)
class VoiceProcessing(Value):
    """Which of WebRTC's voice processing is on; nothing is unless it is asked for.

    Args:
        echo_cancellation: Take out what a speaker plays. It needs to know what that is, and takes
            out what is below a voice, too.
        noise_suppression: Take out what is steady, such as a fan; lone tones among it.
        gain_control: Bring a quiet or loud voice to a level of its own.
        high_pass: Take out what is below a voice, such as hum and steps.
    """

    echo_cancellation: bool = False
    noise_suppression: bool = False
    gain_control: bool = False
    high_pass: bool = False

    @property
    def is_on(self) -> bool:
        """Whether anything is done at all."""
        return any(getattr(self, field.name) for field in fields(VoiceProcessing))


class VoiceProcessor(Protocol):
    """One microphone's processing, under way; it is let go of by forgetting it.

    Frames are 10 ms of int16 in any `AudioFormat`, those heard in one and those played in one; what
    is not a whole frame raises `VALIDATION`.
    """

    def process(self, frame: AudioFrame) -> AudioFrame:
        """Return what was heard as it should sound: same format and time; one thread at a time."""

    def played(self, frame: AudioFrame) -> None:
        """Take what is about to be played near the microphone; any thread, one at a time."""

    def set_delay(self, seconds: float) -> None:
        """Say how long after `played` the echo of a frame is in what `process` gets."""
