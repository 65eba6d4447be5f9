"""`replay`: a recorded session's streams, without a network and at any speed."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar, overload

from reactivex.scheduler import HistoricalScheduler

from utd_rx.errors import invalid, words_of
from utd_rx.models.checks import POSITIVE, number
from utd_rx.protocol import journal
from utd_rx.protocol.agent.session import AgentState
from utd_rx.protocol.audio_room import AudioRoomState
from utd_rx.protocol.call import CallState
from utd_rx.protocol.journal import Journal
from utd_rx.protocol.kinds import KINDS, Kind
from utd_rx.protocol.live_stream import LiveStreamState
from utd_rx.protocol.room import PlainRoomState
from utd_rx.protocol.waiting import Waiting
from utd_rx.sessions.agent_view import AgentView
from utd_rx.sessions.view import View
from utd_rx.sessions.views import VIEWS, AudioRoomView, CallView, LiveStreamView, RoomView
from utd_rx.state import Machine, StreamCompletedError
from utd_rx.state.events import EventStream
from utd_rx.state.reports import report

St = TypeVar("St", bound=Waiting)
V = TypeVar("V", bound="Replay[Any]")

_COMMITS_PER_TURN: Final = 100
"""At full speed, so that readers in other tasks get their turn too."""


@overload
def replay(path: str | Path) -> AudioRoomReplay: ...
@overload
def replay(path: str | Path, kind: type[V]) -> V: ...
def replay(path: str | Path, kind: type[Replay[Any]] | None = None) -> Replay[Any]:
    """Read a recording of `record` and return its session's streams, at their beginning.

    Reads the whole file, at most 80 MB, before it returns.

    Args:
        path: The file.
        kind: What it is of: an `AudioRoomReplay` unless told otherwise, a `LiveStreamReplay`, a
            `CallReplay`, a `RoomReplay` or an `AgentReplay`; of whatever kind with `Replay`.

    Raises:
        UTDStreamException: `VALIDATION` when the file cannot be read, is no recording, or is one
            of another kind.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            # A line longer than allowed is cut here, and refused there.
            read = journal.read(iter(lambda: file.readline(journal.MAX_LINE + 1), b""))
    except (OSError, ValueError) as error:  # ValueError: no file can have such a name
        raise invalid(f"{path} cannot be read: {words_of(error)}") from error
    found = _of(KINDS[read.header.type])
    if not issubclass(found, kind or AudioRoomReplay):
        raise invalid(f"{path} is of another kind: write replay(path, {found.__name__})")
    return found(read)


class Replay(View[St]):
    """A recorded session: the streams of its kind, fed by what it committed.

    The rules run again on the same items at the same times, so every stream takes the same values
    in the same order; effects are not carried out. Streams complete after the last commit and
    stay readable. It is driven by `run` or by `step`, on one thread.

    Attributes:
        journal: What was read; `journal.skipped` counts items of a newer version.
        scheduler: The time of the recording, for time operators that are to follow it:
            `replay.seats.pipe(throttle(1.0, scheduler=replay.scheduler))`.
    """

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._room_name = self._agent_id = journal.header.room
        self.type = journal.header.type
        self.kind = KINDS[self.type]
        self.started_at = _moment(journal.header.started_at)
        self.scheduler = HistoricalScheduler(self.started_at)
        self._now = journal.start.at
        self._next = 0
        self._told: EventStream[Any] = EventStream()
        replayed: Machine[Any, object, object] = Machine(
            journal.start.state,
            self.kind.step,
            perform=lambda effect: None,
            now=lambda: self._now,
            drops_failures=True,
        )
        super().__init__(replayed, self._told)

    @property
    def identity(self) -> str:
        """Whose session it was."""
        return self.journal.header.identity

    @property
    def position(self) -> float:
        """Seconds from the beginning of the recording to where the streams are."""
        return self._now - self.journal.start.at

    @property
    def length(self) -> float:
        """Seconds from the beginning of the recording to its last commit."""
        commits = self.journal.commits
        return (commits[-1].at if commits else self._now) - self.journal.start.at

    def step(self) -> bool:
        """Replay the next commit, its events after it; False when there is none left."""
        if self._next == len(self.journal.commits):
            self.close()
        if self._machine.closed:
            return False
        commit = self.journal.commits[self._next]
        self._next += 1
        self._now = commit.at
        self._advance_to(self.started_at + timedelta(seconds=self.position))
        if self._machine.closed:  # by an observer that follows the recorded time
            return False
        self._machine.dispatch_all(commit.items)
        for item in commit.items:
            if isinstance(item, self.kind.events):
                self._told.emit(item)
        return True

    async def run(self, speed: float | None = 1.0) -> None:
        """Replay what is left, then complete the streams.

        Args:
            speed: 1.0 for the pace at which it happened, 2.0 for twice as fast; None or infinity
                for as fast as possible.

        Raises:
            UTDStreamException: `VALIDATION`: a speed that is not positive.

        Cancelling is safe: `run` again goes on from there.
        """
        if speed is not None:
            speed = number(speed, "speed must be positive", POSITIVE)
        loop = asyncio.get_running_loop()
        begun, begun_at = loop.time(), self._now
        commits = self.journal.commits
        while self._next < len(commits) and not self._machine.closed:
            if speed is None or math.isinf(speed):
                if self._next % _COMMITS_PER_TURN == 0:
                    await asyncio.sleep(0)
            else:
                due = begun + (commits[self._next].at - begun_at) / speed
                await self._pause(due - loop.time())
            self.step()
        self.close()

    def close(self) -> None:
        """End the replay here, a `run` too: streams complete, values stay readable. Idempotent."""
        self._machine.close()
        self._told.close()

    def _advance_to(self, moment: datetime) -> None:
        """Let the recorded time pass, whatever those who follow it do."""
        while True:
            try:
                return self.scheduler.advance_to(max(moment, self.scheduler.now))
            except BaseException as error:  # noqa: BLE001 - reported, or an interrupt and raised
                # Else it counts as running for ever, and time would stand still.
                self.scheduler.stop()
                report(error, "an observer on the recorded time")

    async def _pause(self, seconds: float) -> None:
        """Wait, but not for a replay that is closed meanwhile."""
        with suppress(TimeoutError, StreamCompletedError):
            await self.state.until(lambda _: False, timeout=seconds)


# Views and replays at once, which no annotation can say; of other kinds such a class is made.
class AudioRoomReplay(Replay[AudioRoomState], AudioRoomView):
    """A recorded audio room."""


class LiveStreamReplay(Replay[LiveStreamState], LiveStreamView):
    """A recorded live stream."""


class CallReplay(Replay[CallState], CallView):
    """Recorded calls."""


class RoomReplay(Replay[PlainRoomState], RoomView):
    """A recorded plain room."""


class AgentReplay(Replay[AgentState], AgentView):
    """A recorded session of a voice agent, without its sound."""


def _of(kind: Kind[Any]) -> type[Replay[Any]]:
    """Return what replays a kind: the class that is written for its view, or a new one."""
    view = VIEWS[kind.state]
    for written in Replay.__subclasses__():
        if issubclass(written, view):
            return written
    return type(Replay.__name__, (Replay, view), {})


def _moment(text: str) -> datetime:
    """Read the time a recording began; RxPY's schedulers know UTC without saying so."""
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)
        _ = moment + timedelta(seconds=journal.MAX_SPAN)  # all times of it are times
    except (ValueError, OverflowError) as error:
        raise journal.damage("it does not say when it began") from error
    return moment
