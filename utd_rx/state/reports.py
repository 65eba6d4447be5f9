"""Where the errors of other people's callbacks go."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

logger = logging.getLogger("utd_rx.state")

INTERRUPTS: Final = (KeyboardInterrupt, SystemExit)
"""What is meant for the whole program. All else is its callback's own affair: a `CancelledError`
out of the `.result()` of somebody's future cancels neither the dispatcher nor its task."""


def report(error: BaseException, what: str) -> None:
    """Report an error that nobody is waiting for: to the log and to the running loop's handler.

    The values of a state may hold tokens and payloads, so `what` must name things, not show them.

    Args:
        error: What was raised. `INTERRUPTS` are raised again, not reported.
        what: A sentence that names the callback and the stream.
    """
    if isinstance(error, INTERRUPTS):
        raise error
    logger.error("%s: %s", what, type(error).__name__, exc_info=error)
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    loop.call_exception_handler({"message": what, "exception": error})
