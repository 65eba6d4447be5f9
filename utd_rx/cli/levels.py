"""How loud those are who may speak in a session."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from utd_rx.audio import LevelMeter
from utd_rx.models.audio import AudioFrame
from utd_rx.sessions.following import Following
from utd_rx.sessions.media_session import MediaSession


class Levels:
    """The newest level of each participant that is followed, in dBFS by identity.

    Args:
        session: In which they are.
        microphone: Of this client, if it has a level.
    """

    def __init__(self, session: MediaSession[Any], microphone: object = None) -> None:
        self._session = session
        self._own = getattr(microphone, "level", None)
        self._dbfs: dict[str, float] = {}
        self._meters: dict[str, LevelMeter] = {}
        self._heard: Following[AudioFrame] = Following(session.audio, self._hear, self._forget)

    def of(self, identity: str) -> float | None:
        """Return the level of `identity`, None while there is none."""
        if identity == self._session.identity and self._own is not None:
            own: float = self._own.value
            return own
        return self._dbfs.get(identity)

    def follow(self, identities: Iterable[str | None]) -> None:
        """Listen to these, and to nobody else any more."""
        self._heard.follow({who for who in identities if who} - {self._session.identity})

    def _hear(self, who: str, frame: AudioFrame) -> None:
        level = self._meters.setdefault(who, LevelMeter()).push(frame)
        if level is not None:
            self._dbfs[who] = level.rms_dbfs

    def _forget(self, who: str) -> None:
        self._meters.pop(who, None)
        self._dbfs.pop(who, None)
