"""What runs the rules of a session in a room: joining, asking the engine, and what the room tells.

What happened in one turn of the room's loop is one commit, so no observer sees the middle of a
server update that LiveKit reports as four events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Concatenate, ParamSpec, TypeVar, cast

from utd_rx.errors import ConflictReason, UTDStreamException, conflict, foreign_failure
from utd_rx.models.events import Reconnected, RoomEvent, RoomSnapshot
from utd_rx.ports.clock import Clock
from utd_rx.ports.room import RoomPort
from utd_rx.protocol.call import CallState
from utd_rx.protocol.facts import connection as facts
from utd_rx.protocol.kinds import Kind
from utd_rx.protocol.session import SessionState
from utd_rx.protocol.waiting import Promise, Waiting
from utd_rx.sessions.rules_runner import RulesRunner
from utd_rx.state.events import EventStream

St = TypeVar("St", bound=Waiting)
P = ParamSpec("P")
R = TypeVar("R")


class Runner(RulesRunner[St]):
    """Runs the rules of a kind of session that has a room."""

    def __init__(
        self,
        kind: Kind[St],
        initial: St,
        room_name: Callable[[], str],
        *,
        room: RoomPort,
        clock: Clock,
    ) -> None:
        super().__init__(kind, initial, clock=clock)
        self._kind = kind
        self._room_name = room_name
        self._inbox: list[RoomEvent] = []
        self._joining: int | None = None
        self.events: EventStream[RoomEvent] = EventStream()
        self._unlisten = room.listen(self._flush)

    @property
    def session(self) -> SessionState:
        """The common part of it."""
        session: SessionState = self.machine.head.session
        return session

    @property
    def room_name(self) -> str:
        """The un-prefixed name of the room that it is about now."""
        return self._room_name()

    def require_joined(self) -> int:
        """Return the join a command belongs to: once the engine was asked, it may be the next."""
        if not self.session.connection.is_joined:
            how = "start or accept a call" if self._kind.state is CallState else "await join()"
            raise conflict(ConflictReason.NOT_JOINED, f"not joined: {how} first")
        return self.session.connection.epoch

    async def ask(
        self,
        promise: Promise | Callable[[R], Promise | None],
        call: Callable[Concatenate[str, P], Awaitable[R]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Ask the engine about this room, wait until the state shows what its yes promises.

        The promise may depend on its answer, which is returned; None when there is nothing to show.
        What the engine refuses because it is so already, as one's own seat after a restart, is
        done, and the answer None.
        """
        epoch = self.require_joined()
        shown: Promise | None
        try:
            answer = await call(self.room_name, *args, **kwargs)
        except UTDStreamException as error:
            shown = promise if isinstance(promise, Promise) else None
            if shown is None or not shown.is_so_already(error, self.state):
                raise
            answer = cast("R", None)
        else:
            shown = promise if isinstance(promise, Promise) else promise(answer)
        if shown is not None:
            await self.wait(shown, epoch)
        return answer

    async def do(
        self, ask: Callable[[], Awaitable[R]], promise: Promise | Callable[[R], Promise | None]
    ) -> R:
        """As `ask`, by what is more than one call."""
        return await self.ask(promise, lambda _: ask())

    # --- joining --------------------------------------------------------------------------------

    def begin_join(self) -> int:
        """State that a join begins, and return its epoch."""
        if not self.session.connection.is_resting:
            raise conflict(ConflictReason.ALREADY, "already joined or joining")
        # What the connection before this one still had to say belongs before the new epoch.
        self._flush()
        self.offer(facts.JoinStarted())
        return self.session.connection.epoch

    def require_join(self, epoch: int) -> None:
        """Check that the join of `epoch` is still wanted."""
        connection = self.session.connection
        if connection.epoch != epoch or connection.is_resting:
            raise conflict(ConflictReason.LEFT, "left meanwhile")

    async def connect(self, epoch: int, connecting: Awaitable[RoomSnapshot]) -> None:
        """Commit the snapshot of a connection, with the events since then."""
        self._flush()  # the last words of the connection before this one
        with self._holding_events(epoch):
            snapshot = await connecting
        self._flush(first=(facts.JoinSucceeded(epoch, snapshot),))
        self.require_join(epoch)

    async def reconnect(self, epoch: int, connecting: Awaitable[RoomSnapshot]) -> bool:
        """Commit how connecting anew in an outage went; nothing when the outage is over meanwhile.

        Returns whether the connection is of no use to anybody, and is to be ended.
        """
        try:
            with self._holding_events(epoch):
                snapshot = await connecting
        except Exception as error:  # noqa: BLE001 - else nobody would try again
            failure = _as_failure(error, "rejoining")
            self._flush(first=(facts.RejoinFailed(epoch, failure, self._clock.jitter()),))
            return False
        connection = self.session.connection
        if connection.epoch == epoch and connection.is_lost:
            self._inbox.insert(0, Reconnected(snapshot))  # told as LiveKit's own are
            self._flush()
        return connection.is_resting

    def fail_join(self, epoch: int, error: BaseException) -> bool:
        """State why the join of `epoch` failed; return whether its connection is to be ended."""
        is_current = self.session.connection.epoch == epoch
        self._flush(first=(facts.JoinFailed(epoch, _as_failure(error, "joining")),))
        return is_current

    # --- ending ---------------------------------------------------------------------------------

    def tell(self, event: RoomEvent) -> None:
        """State an event of the session's own as one that the room tells."""
        self._flush((event,))

    def stop_listening(self) -> None:
        """Hear nothing more of the room. Idempotent."""
        self._flush()
        self._unlisten()

    async def aclose(self) -> None:
        """Cancel what is under way, let go of who waits, complete every stream. Idempotent."""
        self.stop_listening()
        await super().aclose()
        self.events.close()

    # --- inside ---------------------------------------------------------------------------------

    @contextmanager
    def _holding_events(self, epoch: int) -> Iterator[None]:
        """Let events behind the snapshot wait: they may be here before who awaits it wakes up."""
        self._joining = epoch
        try:
            yield
        finally:
            if self._joining == epoch:
                self._joining = None

    def _flush(self, batch: tuple[RoomEvent, ...] = (), first: tuple[object, ...] = ()) -> None:
        """Commit what was heard, unless it has to wait, behind the facts that come `first`."""
        self._inbox += batch
        events: list[RoomEvent] = []
        if self._joining is None:
            events, self._inbox = self._inbox, events
        if first or events:
            self.offer(*first, *events)
        for event in events:
            self.events.emit(event)


def _as_failure(error: BaseException, what: str) -> UTDStreamException:
    if isinstance(error, UTDStreamException):
        return error
    if isinstance(error, asyncio.CancelledError):
        return conflict(ConflictReason.LEFT, f"{what} was cancelled")
    return foreign_failure(f"{what} failed", error)
