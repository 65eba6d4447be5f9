"""The data tracks of a `FakeRoom`: those that the test pushes, and those that it receives."""

from __future__ import annotations

from itertools import count

from utd_rx.errors import ConflictReason, conflict
from utd_rx.models.data_tracks import DataTrackFrame
from utd_rx.ports.data_tracks import DataFramesSink, data_track_name, require_data_frame


class FakeDataTracks:
    """Both sides of them.

    Attributes:
        published: The names of those that are published from here, by number.
        pushed: The frames that were sent from here, with the name of the track, in order.
    """

    def __init__(self) -> None:
        self.published: dict[int, str] = {}
        self.pushed: list[tuple[str, DataTrackFrame]] = []
        self._reading: dict[int, tuple[str, DataFramesSink]] = {}
        self._numbers = count(1)

    def play(self, track_sid: str, *frames: DataTrackFrame) -> None:
        """Let frames of somebody's data track arrive."""
        for sid, sink in list(self._reading.values()):
            for frame in frames if sid == track_sid else ():
                sink(frame)

    def lose(self) -> None:
        """Let the connection end, or the server take back the grant."""
        self.published.clear()
        self._reading.clear()

    def publish(self, name: str) -> int:
        """See `RoomPort`, as for the rest."""
        if data_track_name(name) in self.published.values():
            raise conflict(ConflictReason.ALREADY, f"{name!r} is published already")
        number = next(self._numbers)
        self.published[number] = name
        return number

    def push(self, number: int, frame: DataTrackFrame) -> None:
        """See `RoomPort`."""
        require_data_frame(frame)
        if number not in self.published:
            raise conflict(ConflictReason.LEFT, "it is not published any more")
        self.pushed.append((self.published[number], frame))

    def unpublish(self, number: int) -> None:
        """See `RoomPort`."""
        self.published.pop(number, None)

    def read(self, sid: str, sink: DataFramesSink) -> int:
        """See `RoomPort`."""
        reading = next(self._numbers)
        self._reading[reading] = (sid, sink)
        return reading

    def unread(self, reading: int) -> None:
        """See `RoomPort`."""
        self._reading.pop(reading, None)
