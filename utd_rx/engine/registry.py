"""The rooms of one engine: by name, each with its lock, forgotten when they end
(docs/contract.md, "Names")."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from utd_rx.engine.engine_clock import EngineClock
from utd_rx.engine.media import Media
from utd_rx.engine.room_shell import RoomShell, RoomWatch
from utd_rx.engine.rules.room_state import RoomState
from utd_rx.engine.tasks import OwnedTasks


class Registry:
    def __init__(
        self,
        app_id: str,
        media: Media,
        clock: EngineClock,
        watch: RoomWatch = lambda before, after: None,
    ) -> None:
        self._prefix = f"p{app_id}_"
        self._media = media
        self._clock = clock
        self._watch = watch
        self._shells: dict[str, RoomShell] = {}
        self._tasks = OwnedTasks()

    async def aclose(self) -> None:
        """Forget every room and wait for their tasks. Idempotent."""
        for shell in tuple(self._shells.values()):
            shell.close()
        await self._tasks.aclose()

    def names(self) -> tuple[str, ...]:
        return tuple(self._shells)

    def get(self, name: str) -> RoomState | None:
        shell = self._shells.get(name)
        return None if shell is None else shell.state

    def all(self) -> dict[str, RoomState]:
        shells = self._shells.values()
        return {shell.name: shell.state for shell in shells if shell.state is not None}

    def sids(self) -> dict[str, str | None]:
        """Return LiveKit's sid of every room by its name, None where it is not known."""
        return {shell.name: shell.sid for shell in self._shells.values()}

    def livekit_name(self, name: str) -> str:
        return f"{self._prefix}{name}"

    def engine_name(self, livekit_name: str) -> str | None:
        """Return the name of LiveKit's room, None for one that is not this project's."""
        name = livekit_name.removeprefix(self._prefix)
        return name if name != livekit_name and name else None

    @asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[RoomShell]:
        """Hold the lock of a room's shell; one without a room is forgotten afterwards."""
        while True:
            shell = self._shells.get(name)
            if shell is None:
                shell = RoomShell(
                    name,
                    self.livekit_name(name),
                    self._media,
                    self._clock,
                    self._tasks,
                    self._watch,
                )
                self._shells[name] = shell
            async with shell.lock:
                if self._shells.get(name) is shell:  # else it was forgotten meanwhile
                    try:
                        yield shell
                    finally:
                        if shell.state is None:
                            del self._shells[name]
                    return
