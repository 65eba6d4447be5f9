"""`pickled`: a port at the other end of a pipe, as far as values can tell.

What crosses is pickled both ways, and the port runs on another thread's event loop. A port that
passes its contract suite behind this hands over nothing that is alive.
"""

from __future__ import annotations

import asyncio
import inspect
import pickle
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

P = TypeVar("P")


@asynccontextmanager
async def pickled(
    make: Callable[[], P], close: Callable[[], Awaitable[None]] | None = None
) -> AsyncIterator[P]:
    """Make a port on a thread of its own, and give one that stands for it here.

    Args:
        make: Makes the port; called on its loop.
        close: Closes what is behind it, on its loop, where the port itself cannot be closed.
    """
    loop = asyncio.new_event_loop()

    def run() -> None:
        loop.run_forever()
        if ending := asyncio.all_tasks(loop):  # cancelled from here, and still closing something
            loop.run_until_complete(asyncio.wait(ending, timeout=10))
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    async def there(work: Callable[[], Any]) -> Any:
        result = work()
        return await result if inspect.isawaitable(result) else result

    thread = threading.Thread(target=run, name="utd_rx the other end", daemon=True)
    thread.start()
    try:
        far = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(there(make), loop))
        yield cast("P", _Near(far, loop))
    finally:
        if close is not None:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(there(close), loop))
        loop.call_soon_threadsafe(loop.stop)
        await asyncio.to_thread(thread.join)


class _Near:
    """Stands for a port that is far away."""

    def __init__(self, far: object, loop: asyncio.AbstractEventLoop) -> None:
        self._far = far
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._far, name)
        if not callable(method):  # a property
            return pickle.loads(pickle.dumps(method))  # noqa: S301 - our own words

        async def command(*args: Any, **kwargs: Any) -> Any:
            answer, _ = self._begin(method, args, kwargs)
            return _opened(await asyncio.wrap_future(answer))

        def ask(*args: Any, **kwargs: Any) -> Any:
            answer, stopped = self._begin(method, args, kwargs)
            result = answer.result(10)
            if not callable(result):
                return _opened(result)

            def stop() -> None:
                stopped.set()  # from here on, whatever is on its way
                self._loop.call_soon_threadsafe(result)

            return stop

        return command if inspect.iscoroutinefunction(method) else ask

    def _begin(
        self, method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Future[Any], threading.Event]:
        """Let the far side begin; what may be called among the arguments stays here, until the
        event."""
        stopped = threading.Event()
        named: dict[Any, Any] = {**dict(enumerate(args)), **kwargs}
        sinks = {name: _sink(arg, stopped) for name, arg in named.items() if callable(arg)}
        words = pickle.dumps({name: arg for name, arg in named.items() if name not in sinks})
        work = _carry_out(method, words, sinks)
        return asyncio.run_coroutine_threadsafe(work, self._loop), stopped


def _sink(take: Callable[[Any], None], stopped: threading.Event) -> Callable[[Any], object]:
    """Return a function that stays on the near side, as the far side has it."""
    loop = asyncio.get_running_loop()

    def deliver(batch: bytes) -> None:
        if not stopped.is_set():
            take(pickle.loads(batch))  # noqa: S301 - our own words

    return lambda batch: loop.call_soon_threadsafe(deliver, pickle.dumps(batch))


async def _carry_out(method: Callable[..., Any], words: bytes, sinks: dict[Any, Any]) -> Any:
    """Call the method; the answer is bytes, or what stops what it began."""
    named = {**pickle.loads(words), **sinks}  # noqa: S301 - our own words
    args = [named.pop(n) for n in sorted(name for name in named if isinstance(name, int))]
    try:
        result = method(*args, **named)
        if inspect.isawaitable(result):
            result = await result
        return result if callable(result) else pickle.dumps((True, result))
    except Exception as error:  # noqa: BLE001 - it crosses, whatever it is
        return pickle.dumps((False, error))


def _opened(answer: bytes) -> Any:
    is_result, value = pickle.loads(answer)  # noqa: S301 - our own words
    if not is_result:
        raise value
    return value
