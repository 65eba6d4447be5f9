"""The network of a world: what happens to messages between a client and everybody else.

A *link* is one process's way to the world; its calls of the engine, its signalling and its media
take it alike. A *lane* is one ordered stream on a link, as a TCP connection or a data channel is.
Without trouble a message arrives where it is sent, within the same turn of the loop. Dice are
seeded, so a run repeats itself.

| verb | what happens until `heal` |
| --- | --- |
| `delay` | everything takes that much longer, each way, and keeps its order |
| `drop` | of data messages and media that share is lost; what goes over TCP is not |
| `reorder` | data messages overtake each other and everything else |
| `partition` | nothing gets through; what goes over TCP or a reliable channel is kept for later |
| `interrupt` | nothing lasting: connections break once, now |
"""

from __future__ import annotations

import asyncio
import random
from bisect import insort
from collections.abc import Callable
from enum import Enum
from functools import partial
from itertools import count
from typing import Final, TypeAlias

from utd_rx.errors import invalid
from utd_rx.models.checks import number

OVERTAKEN: Final = 0.1
"""Seconds by which a reordered message may come late: a few round trips of a bad line."""


class LinkNews(Enum):
    """What those who use a link are told of it."""

    CLOSED = "nothing gets through any more"
    OPENED = "it does again"
    BROKEN = "every connection over it broke, now"
    RESTARTED = "and what was known of it at the other end is forgotten"
    CUT = "the process at this end is gone"


Act: TypeAlias = Callable[[Callable[[], None]], None]


def _at_once(what: Callable[[], None]) -> None:
    what()


class Network:
    """The links of a world by who uses them: the newest of each.

    A verb is about somebody who has a client; who is to have a bad network from the beginning gets
    one by `world.client("anna")`.

    Args:
        seed: Of the dice for jitter, loss and order.
        act: Carries out what a verb does; at once, unless a world says how its loop does.

    Raises:
        UTDStreamException: `VALIDATION`, from each verb: nobody is called so, or a number is out
            of range.
    """

    def __init__(self, seed: int = 0, act: Act | None = None) -> None:
        self._dice = random.Random(seed)  # noqa: S311 - it guards nothing
        self._act = act or _at_once
        self._links: dict[str, Link] = {}

    def link(self, who: str) -> Link:
        """Return the way of `who` to the world; a new one when there is none that is not cut."""
        found = self._links.get(who)
        if found is None or found.is_cut:
            found = self._links[who] = Link(who, self._dice)
        return found

    def drop(self, who: str, share: float = 1.0) -> None:
        """Lose that share, 0 to 1, of the data messages and the media of `who`, both ways."""
        self._of(who).share = number(share, "a share is from 0 to 1", 0.0, 1.0)

    def delay(self, who: str, seconds: float, *, jitter: float = 0.0) -> None:
        """Let everything from and to `who` take `seconds` longer, and up to `jitter` more."""
        link = self._of(who)
        link.delay = number(seconds, "a delay is from 0 to 3600 s", 0.0, 3600.0)
        link.jitter = number(jitter, "jitter is from 0 to 3600 s", 0.0, 3600.0)

    def reorder(self, who: str) -> None:
        """Let data messages from and to `who` overtake each other and everything else."""
        self._of(who).is_reordered = True

    def partition(self, *who: str) -> None:
        """Let nothing through from and to each of `who`, without a word to anybody."""
        for link in [self._of(one) for one in who]:
            self._act(link.close)

    def heal(self, *who: str) -> None:
        """Undo whatever was done to the links of `who`, of everybody when nobody is named."""
        for link in [self._of(one) for one in who] or tuple(self._links.values()):
            self._act(link.heal)

    def interrupt(self, who: str, *, full: bool = False) -> None:
        """Break the connections of `who` once; `full`, LiveKit starts over instead of resuming."""
        news = LinkNews.RESTARTED if full else LinkNews.BROKEN
        self._act(partial(self._of(who).tell, news))

    def _of(self, who: str) -> Link:
        """Return the link of somebody who is there: a misspelt name would do nothing, silently."""
        found = self._links.get(who)
        if found is None or found.is_cut:
            there = ", ".join(one.who for one in self._links.values() if not one.is_cut) or "nobody"
            raise invalid(
                f"nobody here is called {who!r}, but {there}: "
                "who has no client yet gets one by world.client(…)"
            )
        return found


class Link:
    """One process's way to the world; made by `Network.link`.

    Attributes:
        who: Whose it is.
        delay: Seconds each way.
        jitter: Seconds more, at most.
        share: How much is lost of what may be.
        is_reordered: Data messages overtake.
        is_open: Anything gets through.
        is_cut: The process is gone, for good.
    """

    def __init__(self, who: str, dice: random.Random) -> None:
        self.who = who
        self.delay = self.jitter = self.share = 0.0
        self.is_reordered = self.is_cut = False
        self.is_open = True
        self._dice = dice
        self._watchers: dict[object, Callable[[LinkNews], None]] = {}
        self._calls = Lane(self)

    @property
    def is_clear(self) -> bool:
        """Whether what is sent arrives at once."""
        return self.is_open and not (self.delay or self.jitter)

    async def trip(self) -> None:
        """Wait until what is sent now has arrived at the other end, in the order of calls.

        In a partition that is after it; from a process that is gone nothing arrives, ever.
        Cancelling is safe.
        """
        arrived = asyncio.get_running_loop().create_future()
        self._calls.send(lambda: None if arrived.done() else arrived.set_result(None))
        await arrived

    def watch(self, tell: Callable[[LinkNews], None]) -> Callable[[], None]:
        """Tell what happens to the link from now on; call the result to stop."""
        key = object()
        self._watchers[key] = tell
        return lambda: (self._watchers.pop(key, None), None)[1]

    def close(self) -> None:
        """Let nothing through until `heal`."""
        if self.is_open:
            self.is_open = False
            self.tell(LinkNews.CLOSED)

    def heal(self) -> None:
        """Be as at the beginning again, unless the process is gone."""
        self.delay = self.jitter = self.share = 0.0
        self.is_reordered = False
        if not self.is_open and not self.is_cut:
            self.is_open = True
            self.tell(LinkNews.OPENED)

    def cut(self) -> None:
        """End the process at this end without a word."""
        if not self.is_cut:
            self.is_open, self.is_cut = False, True
            self.tell(LinkNews.CUT)
            self._watchers.clear()

    def tell(self, news: LinkNews) -> None:
        """Tell everybody who watches."""
        for tell in tuple(self._watchers.values()):
            tell(news)

    def draw_delay(self) -> float:
        """Return seconds that the next message takes."""
        return self.delay + (self._dice.uniform(0.0, self.jitter) if self.jitter else 0.0)

    def draw_late(self) -> float:
        """Return seconds by which the next data message comes late, where order is not kept."""
        return self._dice.uniform(0.0, OVERTAKEN) if self.is_reordered else 0.0

    def is_lost(self) -> bool:
        """Whether the next message that may be lost is."""
        return self.share > 0 and self._dice.random() < self.share


class Lane:
    """What goes one way over a link, in order.

    Args:
        link: The link.
        is_data: It carries data messages or media, which may be lost and overtaken.
        keeps: What is sent into a partition arrives after it.
    """

    def __init__(self, link: Link, *, is_data: bool = False, keeps: bool = True) -> None:
        self._link = link
        self._is_data = is_data
        self._keeps = keeps
        self._numbers = count()
        self._waiting: list[_Parcel] = []
        self._timer: asyncio.TimerHandle | None = None
        self._is_over = False
        self._unwatch: Callable[[], None] = lambda: None

    def send(self, arrive: Callable[[], object]) -> None:
        """Call `arrive` when the message has arrived: now, when nothing is in its way."""
        link = self._link
        if self._is_over or (self._is_data and link.is_lost()):
            return
        late = link.draw_late() if self._is_data else 0.0
        if link.is_clear and not late and not self._waiting:
            arrive()
        elif self._keeps or link.is_open:
            now = asyncio.get_running_loop().time()
            at = now + link.draw_delay() + late
            if self._waiting and not (self._is_data and link.is_reordered):
                at = max(at, self._waiting[-1][0])
            if not self._waiting:
                self._unwatch = link.watch(self._hear)
            insort(self._waiting, (at, next(self._numbers), arrive))
            self._arm()

    def close(self) -> None:
        """Let nothing more arrive, not even what is on its way. Idempotent."""
        self._is_over = True
        self._waiting.clear()
        self._rest()

    def _hear(self, news: LinkNews) -> None:
        if news is LinkNews.CUT:
            self.close()
        elif news is LinkNews.OPENED:
            self._arm()
        elif news is LinkNews.CLOSED and not self._keeps:
            self._waiting.clear()
            self._rest()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(self._waiting[0][0], self._arrive)

    def _arrive(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._waiting and self._waiting[0][0] <= now:
            if not self._link.is_open:
                return  # `_hear` goes on
            self._waiting.pop(0)[2]()
        if self._waiting:
            self._arm()
        else:
            self._rest()

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._unwatch()


_Parcel: TypeAlias = tuple[float, int, Callable[[], object]]
