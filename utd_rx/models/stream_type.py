"""The four products of the engine, and what is a session without it."""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias


class UTDStreamType(Enum):
    """A session type; `value` is its spelling on the wire."""

    AUDIO_CALL = "audio_call"
    VIDEO_CALL = "video_call"
    LIVE_STREAM = "live_stream"
    AUDIO_ROOM = "audio_room"

    @property
    def is_call(self) -> bool:
        """Whether it is a 1:1 call."""
        return self in (UTDStreamType.AUDIO_CALL, UTDStreamType.VIDEO_CALL)

    @property
    def has_video(self) -> bool:
        """Whether participants may publish video."""
        return self in (UTDStreamType.VIDEO_CALL, UTDStreamType.LIVE_STREAM)


class EnginelessType(Enum):
    """A type of session that no engine has; `value` is its name in recordings."""

    VOICE_AGENT = "voice_agent"
    ROOM = "room"


SessionType: TypeAlias = UTDStreamType | EnginelessType
"""Any type of session."""
