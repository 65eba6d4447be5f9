"""`Dialer`: the sockets of a session, one attempt after another, and what is said on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeAlias

import aiohttp

from utd_rx.agent.access import Access
from utd_rx.agent.outbox import AgentOutbox
from utd_rx.errors import (
    ConflictReason,
    UTDErrorCode,
    UTDStreamException,
    conflict,
    foreign_failure,
)
from utd_rx.ports.agent_socket import (
    AgentSocketEvent,
    AgentSocketOpened,
    AgentSocketPort,
)
from utd_rx.ports.clock import Clock
from utd_rx.protocol.facts.agent import CloseAgentSocket, OpenAgentSocket
from utd_rx.protocol.wire import atoms
from utd_rx.sessions.rules_runner import Spawn

MINT_TIMEOUT: Final = 15.0
"""Seconds for a credential: half of what a token is good for."""

PART_WITHIN: Final = 3.0
"""Seconds for the peer to take the last messages and to echo the close frame."""

Heard: TypeAlias = Callable[[int, str, tuple[AgentSocketEvent, ...]], None]
"""Takes what came of the attempt that counts, and the credential that nothing of it may hold."""

NotConnected: TypeAlias = Callable[[int, UTDStreamException], None]
"""Takes why an attempt came to no socket."""


class _Attempt:
    def __init__(self, number: int, outbox: AgentOutbox) -> None:
        self.number = number
        self.outbox = outbox
        self.credential = ""
        self.sending: asyncio.Task[None] | None = None
        """None while there is no socket."""


class Dialer:
    """Runs attempts, one at a time, and lets what is said be sent on the one that counts.

    Args:
        port: The socket.
        access: Where to connect, and as whom.
        spawn: Runs a task of the session's.
        pull: Returns the next message with sound, None while there is none.
        heard: Is told what comes.
        not_connected: Is told why there is no credential.
        clock: Bounds goodbyes.
    """

    def __init__(
        self,
        port: AgentSocketPort,
        access: Access,
        *,
        spawn: Spawn,
        pull: Callable[[], str | None],
        heard: Heard,
        not_connected: NotConnected,
        clock: Clock,
    ) -> None:
        self._port = port
        self._access = access
        self._spawn = spawn
        self._pull = pull
        self._heard = heard
        self._not_connected = not_connected
        self._clock = clock
        self._only_one = asyncio.Lock()
        self._current: _Attempt | None = None
        self._running: asyncio.Task[None] | None = None
        self._parting: set[asyncio.Task[None]] = set()

    def open(self, effect: OpenAgentSocket) -> None:
        """Run a socket, in place of any other."""
        self._let_go(is_clean=False)
        attempt = self._current = _Attempt(effect.attempt, AgentOutbox(self._port, self._pull))
        self._running = self._spawn(self._run(attempt), "agent socket")

    def close(self, effect: CloseAgentSocket) -> None:
        """Take the socket down, and tell nothing of it any more."""
        if self._current is not None and self._current.number == effect.attempt:
            self._let_go(is_clean=effect.is_clean)

    def put(self, text: str, attempt: int | None = None) -> asyncio.Future[None]:
        """Send a message, of the attempt that counts or of this one only; see `AgentOutbox.put`.

        Raises:
            UTDStreamException: `CONFLICT`: not connected, or too many messages wait.
        """
        current = self._current
        if current is None or attempt not in (None, current.number):
            raise conflict(ConflictReason.NOT_JOINED, "not connected to the agent: await start()")
        return current.outbox.put(text)

    def wake(self) -> None:
        """Look for sound to send."""
        if self._current is not None:
            self._current.outbox.wake()

    async def settled(self) -> None:
        """Wait until every socket that was let go of is closed; bounded in time."""
        while self._parting:
            await asyncio.wait(self._parting)

    # --- inside ---------------------------------------------------------------------------------

    def _let_go(self, *, is_clean: bool) -> None:
        attempt, running = self._current, self._running
        self._current = self._running = None
        if attempt is None or running is None or running.done():
            return
        if not is_clean or attempt.sending is None:
            running.cancel()
        parting = self._spawn(self._part(attempt, running), "agent socket's end")
        self._parting.add(parting)
        parting.add_done_callback(self._parting.discard)

    async def _part(self, attempt: _Attempt, running: asyncio.Task[None]) -> None:
        """Say goodbye, unless it is cancelled already, and wait for the end."""

        def give_up() -> None:
            running.cancel()

        no_more = self._clock.call_at(self._clock.now() + PART_WITHIN, give_up)
        try:
            if not running.cancelling():
                await attempt.outbox.put(atoms.CLOSE_SESSION)
                await self._port.close()
        except UTDStreamException:
            pass  # it is gone, or takes nothing any more
        finally:
            no_more()
            give_up()
        await asyncio.wait((running,))

    async def _run(self, attempt: _Attempt) -> None:
        """Be one socket, from its credential to its end; the one before it ends first."""

        def take(batch: tuple[AgentSocketEvent, ...]) -> None:
            if AgentSocketOpened() in batch:
                attempt.sending = self._spawn(attempt.outbox.run(), "agent sender")
            if attempt is self._current:
                self._heard(attempt.number, attempt.credential, batch)

        async with self._only_one:
            what = "token_source failed"
            try:
                async with asyncio.timeout(MINT_TIMEOUT):
                    address, attempt.credential = await self._access.request()
                what = "the agent's socket failed"
                await self._port.run(address, take)
            except Exception as error:  # noqa: BLE001 - else nobody would try again
                if attempt is self._current:
                    self._not_connected(attempt.number, _as_failure(what, error))
            finally:
                attempt.outbox.close()
                if attempt.sending is not None:
                    attempt.sending.cancel()


def _as_failure(what: str, error: Exception) -> UTDStreamException:
    """Return why there is no credential, or no socket; what may pass is `NETWORK` or `TIMEOUT`."""
    if isinstance(error, UTDStreamException):
        return error
    if isinstance(error, TimeoutError):
        message = f"{what}: no answer in time"
        return UTDStreamException(message, code=UTDErrorCode.TIMEOUT)
    is_passing = isinstance(error, aiohttp.ClientError | OSError)
    code = UTDErrorCode.NETWORK if is_passing else UTDErrorCode.UNKNOWN
    return foreign_failure(what, error, code=code)
