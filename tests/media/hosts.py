"""Media processes that a test kills: what they serve is a fake here, which dies with them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from utd_rx.errors import UTDErrorCode, UTDStreamException


class FakeHost:
    """A media process; `die` is its end, and `has_served` whether any call was answered, `has_left`
    whether it leaves its rooms before it dies."""

    def __init__(self) -> None:
        self.failure: UTDStreamException | None = None
        self.is_closed = False
        self.has_come_up = True
        self.has_served = False
        self.has_left = False
        self._dead = asyncio.Event()
        self._callbacks: list[Callable[[UTDStreamException], None]] = []

    def on_end(self, callback: Callable[[UTDStreamException], None]) -> Callable[[], None]:
        """See `Host`."""
        self._callbacks.append(callback)
        return self._callbacks.clear

    async def aclose(self) -> None:
        """See `Host`."""
        self.is_closed = True

    def near(self, far: object) -> Any:
        """Return what stands for a port that lives in it."""
        return _Near(self, far)

    def die(self, words: str = "killed") -> None:
        """Be gone: what is under way fails, and then whoever asked is told. Idempotent."""
        if self.failure is not None:
            return
        self.failure = UTDStreamException(
            f"the media process ended ({words})", code=UTDErrorCode.NETWORK
        )
        self._dead.set()
        callbacks = tuple(self._callbacks)
        failure = self.failure
        asyncio.get_running_loop().call_soon(lambda: [tell(failure) for tell in callbacks])

    async def wait_dead(self) -> None:
        """Wait until it dies."""
        await self._dead.wait()


class _Near:
    def __init__(self, host: FakeHost, far: object) -> None:
        self._host, self._far = host, far

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._far, name)
        if not callable(method):
            return method

        def kept(value: Any) -> Any:
            if not callable(value):
                return value
            return lambda news: None if self._host.failure else value(news)

        def ask(*args: Any, **kwargs: Any) -> Any:
            args = tuple(kept(arg) for arg in args)
            return method(*args, **{name: kept(arg) for name, arg in kwargs.items()})

        async def command(*args: Any, **kwargs: Any) -> Any:
            if self._host.failure is not None:
                raise self._host.failure
            doing = asyncio.ensure_future(ask(*args, **kwargs))
            dying = asyncio.ensure_future(self._host.wait_dead())
            try:
                await asyncio.wait((doing, dying), return_when=asyncio.FIRST_COMPLETED)
                if self._host.failure is not None:
                    raise self._host.failure
                self._host.has_served = True
                return doing.result()
            finally:
                doing.cancel()
                dying.cancel()

        return command if inspect.iscoroutinefunction(method) else ask
