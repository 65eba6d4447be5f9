"""What an open page hears: the rooms and calls that changed, and what happened.

Theory of operation: whatever changes is noted at once, as words in a ring of the last `KEPT`
(the oldest goes first), and wakes every page that is open. A page takes what is new since it last
looked, at most every `PAUSE` seconds, so a room that changes a thousand times is drawn ten times a
second. Nobody waits for a page: one that does not read misses words and never a state.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import suppress
from itertools import islice
from typing import Final

from attrs import field, frozen

from utd_rx.engine.core import EngineCore
from utd_rx.engine.engine_clock import EngineClock
from utd_rx.engine.page.happenings import Happening, in_room, posted
from utd_rx.engine.page.shown import call_shown, room_shown
from utd_rx.engine.rules.calls import Call
from utd_rx.engine.rules.refusal import Reason, Refusal
from utd_rx.engine.rules.room_state import RoomState
from utd_rx.models.secrets import foreign_text

KEPT: Final = 200
"""Words that are kept for a page that is opened later."""

PAUSE: Final = 0.1
"""Seconds between two looks of a page."""

BEAT: Final = 10.0
"""Seconds after which a page is told that there is nothing new: one that is gone is noticed so."""

MAX_PAGES: Final = 16
"""Open at a time, all tabs together; one more is refused."""

MAX_ROOMS: Final = 100
"""Shown, in the order in which they began; the rest is a number."""

MAX_CALLS: Final = 20
"""Shown, the newest first."""


@frozen
class Sight:
    """What a page has seen."""

    rooms: Mapping[str, RoomState] = field(factory=dict)
    calls: tuple[Call, ...] = ()
    heard: int = 0
    more: int = 0


class PageFeed:
    """Everything that goes on in one engine, for its page; a `RoomWatch` and a `Poster`."""

    def __init__(self, clock: EngineClock) -> None:
        self._clock = clock
        self._happened: deque[Happening] = deque(maxlen=KEPT)
        self._count = 0
        self._pages: set[asyncio.Event] = set()
        self._is_closed = False

    def room_changed(self, before: RoomState | None, after: RoomState | None) -> None:
        """Take in what became of a room; None is none."""
        room = after or before
        if room is not None:
            self._note(room.name, in_room(before, after))

    def post(self, event: str, **body: object) -> None:
        """Take in what a backend is told."""
        if (told := posted(event, body)) is not None:
            where, words = told
            self._note(where, (words,))

    def close(self) -> None:
        """Let every page that is open go. Idempotent."""
        self._is_closed = True
        self._wake()

    async def watch(self, core: EngineCore) -> AsyncGenerator[dict[str, object]]:
        """Yield what is new, everything at first, {} when there is nothing for long; ends with
        `close`.

        Raises:
            Refusal: 429 when too many pages are open.
        """
        if len(self._pages) >= MAX_PAGES:
            message = f"{MAX_PAGES} pages are open already; close one"
            raise Refusal(Reason.RATE_LIMITED, message, retry_after=round(BEAT))
        woken, sight = asyncio.Event(), Sight()
        self._pages.add(woken)
        try:
            while not self._is_closed:
                woken.clear()
                sight, news = self._look(core, sight)
                yield news
                await self._clock.sleep(PAUSE)
                with suppress(TimeoutError):
                    async with asyncio.timeout(BEAT):
                        await woken.wait()
        finally:
            self._pages.discard(woken)

    def _note(self, where: str, words: Iterable[str]) -> None:
        at = self._clock.wall()
        for one in words:
            self._happened.append(Happening(at, where, foreign_text(one)))
            self._count += 1
        self._wake()

    def _wake(self) -> None:
        for woken in self._pages:
            woken.set()

    def _look(self, core: EngineCore, seen: Sight) -> tuple[Sight, dict[str, object]]:
        """Return what is seen from now on, and what of it is new."""
        every = core.rooms.all()
        rooms = dict(islice(every.items(), MAX_ROOMS))
        # Those that are not over, and then the last that are: whichever is new comes first.
        calls = tuple(islice(reversed(core.calls.calls()), MAX_CALLS))
        sight = Sight(rooms, calls, self._count, len(every) - len(rooms))
        news: dict[str, object] = {}
        changed: dict[str, object] = {
            name: room_shown(room)
            for name, room in rooms.items()
            if seen.rooms.get(name) is not room
        }
        changed |= {name: None for name in seen.rooms if name not in rooms}
        if changed:
            news["rooms"] = changed
        if sight.more != seen.more:
            news["more"] = sight.more
        if calls != seen.calls:
            news["calls"] = [call_shown(call) for call in calls]
        if fresh := min(self._count - seen.heard, len(self._happened)):
            happened = islice(self._happened, len(self._happened) - fresh, None)
            news["happened"] = [[one.at, one.where, one.text] for one in happened]
        return sight, news
