"""What people of a `PlainRoomMachine` exchange that is no track of sound or pictures."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.data_tracks import DataTrackFrame
from utd_rx.models.methods import MethodFailed, MethodInvocation
from utd_rx.sessions.data_tracks import PublishedDataTrack
from utd_rx.sessions.incoming_streams import IncomingFile, IncomingText
from utd_rx.sessions.room import RoomSession
from utd_rx.testing.world.world import FakeWorld

TEXT, FILE, FRAME = SAID = "text", "file", "frame"

LONG: Final = 40_000
"""Characters of a long text: several parts."""

SENT_FILE: Final = Path(__file__)
"""What is sent as a file: one that is there."""


class Exchange:
    """What each sent and received, checked against each other.

    Args:
        people: Everybody who may ever be there.
    """

    def __init__(self, people: tuple[str, ...]) -> None:
        self._people = people
        self._numbers = count(1)
        self._file = SENT_FILE.read_bytes()
        self._sessions: dict[str, RoomSession] = {}
        self._tracks: dict[str, PublishedDataTrack] = {}
        self._sent: dict[tuple[str, str], list[object]] = defaultdict(list)
        self._received: dict[str, list[tuple[str, str, object]]] = defaultdict(list)

    async def begin(self, who: str, session: RoomSession, world: FakeWorld) -> None:
        """Serve and observe in a session of somebody's, made just now."""
        self._sessions[who] = session
        self._tracks.pop(who, None)
        self._received[who] = []
        session.serve("ask", partial(_answer, who))

        def take(item: IncomingText | IncomingFile) -> None:
            world.spawn(self._read(who, item))

        session.text_streams("notes").subscribe(take)
        session.files("files").subscribe(take)
        for other in self._people:
            take = partial(self._take_frame, who, other)
            session.data_track(other, "pose").subscribe(take)

    # --- commands -------------------------------------------------------------------------------

    async def call(self, who: str, other: str, payload: str) -> None:
        """Call somebody's method, which `payload` tells how to answer."""
        try:
            answer = await self._sessions[who].call("ask", payload, to=other, timeout=5)
        except MethodFailed as error:
            assert (error.code is UTDErrorCode.FORBIDDEN) is (payload == "no"), error
            raise
        assert answer == f"{other} to {who}: {payload}", answer

    async def send_text(self, who: str, to: str | None, *, is_long: bool) -> None:
        """Send a text that nobody sent before."""
        text = f"{next(self._numbers)} ".ljust(LONG if is_long else 0, ".")
        self._sent[who, TEXT].append(text)
        receivers = None if to is None else [to]
        await self._sessions[who].send_text(text, topic="notes", to=receivers)

    async def send_file(self, who: str) -> None:
        """Send a file by a name that none had before."""
        name = f"{next(self._numbers)}.py"
        self._sent[who, FILE].append((name, self._file))
        await self._sessions[who].send_file(SENT_FILE, topic="files", name=name)

    async def push(self, who: str) -> None:
        """Send a frame that nobody sent before."""
        if who not in self._tracks:
            self._tracks[who] = await self._sessions[who].publish_data_track("pose")
        frame = b"%d" % next(self._numbers)
        self._sent[who, FRAME].append(frame)
        await self._tracks[who].push(frame)

    async def unpublish(self, who: str) -> None:
        """End the data track, if there is one."""
        if (track := self._tracks.pop(who, None)) is not None:
            await track.unpublish()

    def all_of(self, who: str) -> Iterator[Coroutine[Any, Any, None]]:
        """Return what sends one of each kind to everybody."""
        yield self.send_text(who, None, is_long=True)
        yield self.send_file(who)
        yield self.push(who)

    # --- what came ------------------------------------------------------------------------------

    def last(self, who: str, other: str, kind: str) -> bool:
        """Return whether somebody has what another one sent last, of a kind."""
        return (other, kind, self._sent[other, kind][-1]) in self._received[who]

    def check(self) -> None:
        """Check that all that came was sent by whom it is said to be, and came once."""
        for who, received in self._received.items():
            for one in set(received):
                sender, kind, value = one
                times, most = received.count(one), self._sent[sender, kind].count(value)
                assert times <= most, f"{who} has {times} times the {kind} of {sender}: {value!r}"

    def _take_frame(self, who: str, other: str, frame: DataTrackFrame) -> None:
        self._received[who].append((other, FRAME, frame.payload))

    async def _read(self, who: str, item: IncomingText | IncomingFile) -> None:
        """Read something to its end, which never comes when that is lost."""
        received = self._received[who]  # of the session that it came in
        kind = TEXT if isinstance(item, IncomingText) else FILE
        try:
            if isinstance(item, IncomingText):
                value: object = await item.read()
            else:
                value = item.info.name, await item.read()
            received.append((item.info.sender, kind, value))
        except UTDStreamException:
            assert item.failure is not None


async def _answer(who: str, invocation: MethodInvocation) -> str:
    if invocation.payload == "no":
        raise MethodFailed("not to you", code=UTDErrorCode.FORBIDDEN)
    if invocation.payload == "later":
        await asyncio.sleep(2)
    return f"{who} to {invocation.caller}: {invocation.payload}"
