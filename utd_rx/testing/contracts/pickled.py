"""A port at the other end of a pipe, as far as its values can tell."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from utd_rx.errors import UTDStreamException

T = TypeVar("T")


class OtherLoop:
    """An event loop in a thread of its own; `with` starts and ends it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="the other loop")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def run(self, call: Coroutine[Any, Any, T]) -> T:
        """Return what `call` returns there; cancelling cancels it."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call, self._loop))


class Pickled:
    """Calls the coroutines of `port` on another loop; all that goes there and back is pickled."""

    def __init__(self, port: object, other: OtherLoop) -> None:
        self._port = port
        self._other = other

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._port, name)

        async def call(*args: object, **named: object) -> Any:
            sent = pickle.dumps((args, named))

            async def there() -> bytes:
                args, named = pickle.loads(sent)  # noqa: S301 - it is our own
                try:
                    return pickle.dumps((await method(*args, **named), None))
                except UTDStreamException as error:
                    return pickle.dumps((None, error))

            result, error = pickle.loads(await self._other.run(there()))  # noqa: S301 - as above
            if error is not None:
                raise error
            return result

        return call
