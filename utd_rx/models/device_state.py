"""What a microphone and a speaker tell about themselves."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from utd_rx.errors import UTDStreamException
from utd_rx.models.checks import typed
from utd_rx.models.devices import AudioDevice
from utd_rx.models.value import Value
from utd_rx.models.voice_processing import VoiceProcessing

FLOOR_DBFS: Final = -100.0
"""What silence measures; the quietest int16 sound, one sample of ±1 in a frame, is near it."""


@frozen(field_transformer=typed)
class MicrophoneStatistics(Value):
    """Counted since the microphone was made, but for depth and delays, which are now's.

    Args:
        frames: Handed on.
        overruns: Blocks that the device lost, and samples that nobody took in time.
        skipped: Samples let go of after a stall, so that it does not become delay.
        lost: How often the device died.
        depth: Seconds of sound that wait for the next frame.
        delay: Seconds from the device to the frame: PortAudio's latency and `depth`.
        echo_delay: Seconds from what the reference plays to its echo in a frame; 0 while none is.
        unprocessed: Frames, heard or of the reference, passed on as voice processing refused them.
    """

    frames: int = 0
    overruns: int = 0
    skipped: int = 0
    lost: int = 0
    depth: float = 0.0
    delay: float = 0.0
    echo_delay: float = 0.0
    unprocessed: int = 0


@frozen(field_transformer=typed)
class MicrophoneState(Value):
    """All that a `Microphone` tells; its attributes explain it.

    `level`, in dBFS of the last 50 ms after gain and mute, and `is_speaking`, also while muted, are
    None with the platform backend. `statistics` come twice a second, and when the device dies; so
    do level and `is_speaking` while nothing of the device is observed, 20 times a second otherwise.
    """

    device: AudioDevice | None = None
    level: float | None = FLOOR_DBFS
    is_speaking: bool | None = False
    gain: float = 1.0
    is_muted: bool = False
    processing: VoiceProcessing = VoiceProcessing()
    statistics: MicrophoneStatistics = MicrophoneStatistics()
    failure: UTDStreamException | None = None


@frozen(field_transformer=typed)
class SpeakerStatistics(Value):
    """Counted since the speaker was made, but for the last four, which are now's.

    Args:
        underruns: Samples of silence the device was given for want of sound, and blocks it lost.
        concealed: Samples made up because a participant's sound came late.
        dropped: Samples dropped because a participant's sound piled up.
        refused: Frames that could not be converted.
        lost: How often the device died.
        voices: How many can be heard.
        depth: Seconds that wait, of the live voice that waits longest.
        drift: How much faster than real time that voice is played, as a fraction.
        delay: Seconds from frame to device: `depth`, the ring's, and PortAudio's latency.
    """

    underruns: int = 0
    concealed: int = 0
    dropped: int = 0
    refused: int = 0
    lost: int = 0
    voices: int = 0
    depth: float = 0.0
    drift: float = 0.0
    delay: float = 0.0


@frozen(field_transformer=typed)
class SpeakerState(Value):
    """All that a `Speaker` tells, as a `MicrophoneState`; its attributes explain it."""

    device: AudioDevice | None = None
    level: float | None = FLOOR_DBFS
    volume: float = 1.0
    is_muted: bool = False
    statistics: SpeakerStatistics = SpeakerStatistics()
    failure: UTDStreamException | None = None
