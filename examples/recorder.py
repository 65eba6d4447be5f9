"""An app: keeps what everybody in a room says, each on a track of their own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial

from reactivex.abc import DisposableBase

from utd_rx import AudioFrame, RemoteParticipant, UTDAudioRoomSession


class Recorder:
    """Records from `start` to `stop`, whoever comes, goes and comes back.

    Attributes:
        tracks: What each has said, frame by frame.
    """

    def __init__(self, room: UTDAudioRoomSession) -> None:
        self.room = room
        self.tracks: dict[str, list[AudioFrame]] = defaultdict(list)
        self._following: dict[str, DisposableBase] = {}
        self._watching: DisposableBase | None = None

    def start(self) -> None:
        """Begin with those who are there."""
        self._watching = self.room.remote_participants.subscribe(self._follow)

    def stop(self) -> None:
        """End; what was recorded stays."""
        if self._watching is not None:
            self._watching.dispose()
        self._follow(())

    def seconds(self, who: str) -> float:
        """How long somebody was heard."""
        return sum(frame.duration for frame in self.tracks[who])

    def _follow(self, people: Sequence[RemoteParticipant]) -> None:
        here = {who.identity for who in people}
        for new in here - self._following.keys():
            self._following[new] = self.room.audio(new).subscribe(partial(self._take, new))
        for gone in self._following.keys() - here:
            self._following.pop(gone).dispose()

    def _take(self, who: str, frame: AudioFrame) -> None:
        if frame.samples.any():
            self.tracks[who].append(frame)
