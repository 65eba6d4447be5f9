"""Everybody's voice in a file of their own, all of which begin at the same moment."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import numpy as np
from reactivex.abc import DisposableBase

from utd_rx.audio.recorder import WavRecorder
from utd_rx.models.audio import AudioFrame
from utd_rx.models.participant import RemoteParticipant
from utd_rx.sessions.media_session import MediaSession

MAX_NAME: Final = 100
"""Characters of a file's name; file systems take 255 bytes, and these are ASCII."""

MAX_JITTER: Final = 0.2
"""Seconds that a frame may be late; later ones come after a pause, which is filled with silence."""


def file_name(identity: str) -> str:
    """Return a name of a file for an identity, which somebody else has chosen: no path, no dot at
    its beginning, and never that of another identity."""
    safe = quote(identity, safe="")
    if len(safe) > MAX_NAME:
        safe = f"{safe[:MAX_NAME]}~{hashlib.sha256(identity.encode()).hexdigest()[:8]}"
    return f"{safe.replace('.', '%2E')}.wav"


class VoiceTrack:
    """A recorder that fills pauses, so that a second of the file is a second of the room.

    Args:
        path: The file.
        began_at: When it begins, in seconds of `time.monotonic()`.
    """

    def __init__(self, path: Path, began_at: float) -> None:
        self._recorder = WavRecorder(path)
        self._began_at = began_at
        self.path = path

    def hear(self, frame: AudioFrame) -> None:
        """Write a frame where it belongs."""
        missing = frame.at - self._began_at - self._recorder.duration
        if missing > MAX_JITTER:
            silence = np.zeros(
                (round(missing * frame.sample_rate), frame.samples.shape[1]), np.int16
            )
            silence.setflags(write=False)
            self._recorder(AudioFrame(silence, frame.sample_rate, frame.at - missing))
        self._recorder(frame)

    def close(self) -> None:
        """Complete the file; without a sound in it there is none."""
        self._recorder.close()
        if self._recorder.format is None:
            self.path.unlink(missing_ok=True)


class VoiceTracks:
    """Records each participant who has a microphone, from when it is first on.

    Args:
        session: In which they are.
        folder: For the files.
        opened: Told of each file.
        now: Its clock, in seconds of `time.monotonic()`.
    """

    def __init__(
        self,
        session: MediaSession[Any],
        folder: Path,
        opened: Callable[[str, Path], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._folder = folder
        self._opened = opened
        self._began_at = now()
        self._tracks: dict[str, VoiceTrack] = {}
        self._heard: list[DisposableBase] = []
        # Whoever is there already is followed before this returns.
        self._heard.append(session.remote_participants.subscribe(self._follow))

    def close(self) -> None:
        """Complete the files."""
        for one in self._heard:
            one.dispose()
        for track in self._tracks.values():
            track.close()

    def _follow(self, people: Iterable[RemoteParticipant]) -> None:
        for who in people:
            if who.is_microphone_enabled and who.identity not in self._tracks:
                path = self._folder / file_name(who.identity)
                track = self._tracks[who.identity] = VoiceTrack(path, self._began_at)
                self._heard.append(self._session.audio(who.identity).subscribe(track.hear))
                self._opened(who.identity, path)
