"""`House`: the media process of an event loop, for all rooms and devices of it that live apart.

One for all of them, so that a room finds the microphone that it publishes and the speaker that it
plays on, whoever made them. It is there while somebody holds it: a client, a room, an open device.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any, Final

from utd_rx.audio.handle import BackendName, port_of
from utd_rx.errors import UTDStreamException
from utd_rx.media import forked
from utd_rx.media.afar import AfarAudio
from utd_rx.media.choice import Media, is_apart, refused, say_once
from utd_rx.media.process import MediaProcess
from utd_rx.media.restoring_audio import RestoringAudio
from utd_rx.media.restoring_room import RestoringRoom
from utd_rx.media.succession import Succession
from utd_rx.models.devices import DeviceKey
from utd_rx.ports.clock import SYSTEM_CLOCK, Clock


def _in_app() -> Any:
    from utd_rx.media.in_app import InApp  # whose rooms, who only has devices does not load

    return InApp()


class House:
    """Rooms and devices that live apart.

    Args:
        start: Starts a media process.
        clock: As of `Succession`.
        in_app: Makes what serves in the app, where no process comes up.
    """

    def __init__(
        self,
        start: Callable[[], Any] = MediaProcess,
        clock: Clock = SYSTEM_CLOCK,
        in_app: Callable[[], Any] = _in_app,
    ) -> None:
        self.succession: Final[Succession[Any]] = Succession(start, clock, self._in_app)
        self._audios: dict[BackendName, AfarAudio] = {}
        self._holds = 0
        self._make_in_app = in_app
        self._is_tried = self._is_insisted_on = False
        self._why_not: str | None = None

    def hold(self) -> Hold:
        """Let it be there, from now on until that is let go of."""
        self.succession.begin()
        self._holds += 1
        return Hold(self)

    def stands(self) -> bool:
        """Whether the first process could be started, now if it was not yet; why not is said.

        It holds from then on, so that rooms and devices which may live anywhere are in one place;
        but where the first process then never comes up, they live in the app after all.
        """
        if not self._is_tried:
            self._is_tried = True
            try:
                self.succession.begin()
            except UTDStreamException as error:
                self._why_not = error.message
        if self._why_not is not None:
            say_once(self._why_not, logging.WARNING)  # nobody would expect it
        return self._why_not is None

    def insist(self) -> None:
        """Let nothing that lives here live in the app; `FEATURE_DISABLED` where it does already."""
        if self.succession.is_over:
            raise refused(self._why_not or "")
        self._is_insisted_on = True

    def room(self, needs: Callable[[DeviceKey], bool], **options: Any) -> RestoringRoom:
        """Return a room that lives there, a `UTDRoom` with these options, and holds the house.

        Args:
            needs: As that of `RestoringRoom`.
            options: As those of `UTDRoom`.
        """
        return RestoringRoom(
            self.succession,
            lambda process: process.room(**options),
            needs=lambda key: needs(key) or self.succession.is_over,
            dropped=lambda: sum(audio.dropped for audio in self._audios.values()),
            closed=self.hold().release,
        )

    def audio(self, backend: BackendName) -> AfarAudio:
        """Return the devices of a backend that live there."""
        if backend not in self._audios:
            restoring = RestoringAudio(
                self.succession,
                lambda process: process.audio(backend),
                port_of(backend).abilities,
            )
            afar = AfarAudio(
                restoring,
                self._begin,
                lambda: self.hold().release,
                restoring.is_in_use,
                lambda: loop_of(self),
            )
            self.succession.join(afar)  # behind the devices
            self._audios[backend] = afar
        return self._audios[backend]

    def _begin(self) -> None:
        """Start a process for whoever is to speak in it; raises what they were given up for."""
        self.succession.begin()
        if (failure := self.succession.gave_up) is not None:
            raise failure

    def _in_app(self, failure: UTDStreamException) -> Any:
        """Return what serves instead of a process, as the first one never came up."""
        self._why_not = failure.message
        if self._is_insisted_on:
            return None
        say_once(failure.message, logging.WARNING)
        return self._make_in_app()

    async def let_go(self) -> None:
        """Somebody who held it does not any more; without anybody the process ends."""
        self._holds -= 1
        await self.rest()

    async def rest(self) -> None:
        """End the process, unless somebody holds it."""
        if self._holds == 0:
            await self.succession.rest()

    def end(self) -> None:
        """End the process, as the loop is closed: on a thread, as that takes a moment."""
        if (host := self.succession.abandon()) is not None:
            name = "utd_rx: end a media process"
            threading.Thread(target=asyncio.run, args=(host.aclose(),), name=name).start()


class Hold:
    """That somebody holds a house."""

    def __init__(self, house: House) -> None:
        self.house = house
        self._is_held = True

    async def release(self) -> None:
        """Let go of it. Idempotent; cancelling is safe, it ends all the same."""
        if self._is_held:
            self._is_held = False
            ending = asyncio.create_task(self.house.let_go(), name="utd_rx.media: end a process")
            await asyncio.shield(ending)


_houses: Final[dict[asyncio.AbstractEventLoop, House]] = {}
_unbound: Final[list[House]] = []
"""That of a client which was made before there was a loop: the first loop's that asks for one."""

# Or the first loop of a worker would be refused everything, as its parent's.
forked.then(_houses.clear)
forked.then(_unbound.clear)


def house() -> House:
    """Return the house of this loop; without one that of the first loop that will ask. What loops
    that are closed have left is ended."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        if not _unbound:
            _unbound.append(House())
        return _unbound[0]
    if loop not in _houses:
        for closed in [other for other in tuple(_houses) if other.is_closed()]:
            if (left := _houses.pop(closed, None)) is not None:  # by no other thread meanwhile
                left.end()
        _houses[loop] = _unbound.pop() if _unbound else House()
    return _houses[loop]


def loop_of(there: House) -> asyncio.AbstractEventLoop | None:
    """Return the loop whose house it is, None while none is, or that runs no more."""
    homes = tuple(_houses.items())
    return next((loop for loop, one in homes if one is there and loop.is_running()), None)


def place(media: Media, *, has_device: bool) -> House | None:
    """Return the house in which something is to live; None: in the app's own process.

    Args:
        media: What is wished: `process` is that, and fails where it cannot be.
        has_device: As of `is_apart`, and raises as that.
    """
    if not is_apart(media, has_device=has_device):
        return None
    there = house()
    if media == "process":
        there.insist()
        return there
    return there if there.stands() else None
