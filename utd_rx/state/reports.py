"""Where the errors of other people's callbacks go."""

from __future__ import annotations

import asyncio
import logging

logger = logging.getLogger("utd_rx.state")


def report(error: BaseException, what: str) -> None:
    """Report an error that nobody is waiting for: to the log and to the running loop's handler.

    The values of a state may hold tokens and payloads, so `what` must name things, not show them.

    Args:
        error: What was raised. `KeyboardInterrupt` and its kind are raised again, not reported.
        what: A sentence that names the callback and the stream.
    """
    if not isinstance(error, Exception):
        raise error
    logger.error("%s: %s", what, type(error).__name__, exc_info=error)
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    loop.call_exception_handler({"message": what, "exception": error})
