"""Where rooms and devices live: in the app's process, or in one of their own."""

from __future__ import annotations

import logging
import os
import sys
from functools import cache
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

from utd_rx.errors import UTDErrorCode, UTDStreamException, invalid

logger: Final = logging.getLogger(__name__)

Media: TypeAlias = Literal["inline", "process", "auto"]
"""In the app's process, in one of their own, or in that where a device is opened and it can be."""

VARIABLE: Final = "UTD_RX_MEDIA"
"""What holds where nothing is said, in the environment; without it `auto`."""


def chosen(media: Media | None) -> Media:
    """Return what is meant by the argument `media`; `VALIDATION` for what there is not."""
    said = os.environ.get(VARIABLE) or "auto" if media is None else media
    if said not in get_args(Media):
        where = f"the environment's {VARIABLE}" if media is None else "media"
        raise invalid(f"{where} is one of {', '.join(get_args(Media))}, not {said!r}")
    found: Media = said  # type: ignore[assignment] # one of them
    return found


def why_not() -> str | None:
    """Return why no media process can be started here; None: it can be."""
    if getattr(sys, "frozen", False):
        return "this is a frozen program, which has no interpreter to start"
    if sys.platform in ("emscripten", "wasi"):
        return "this platform starts no processes"
    if not (hasattr(os, "memfd_create") and hasattr(os, "eventfd")):
        return f"so far it takes Linux, and this is {sys.platform}"
    if not sys.executable or "python" not in Path(sys.executable).name.lower():
        return "this interpreter is embedded in another program"
    return None


def is_apart(media: Media, *, has_device: bool) -> bool:
    """Whether something is to live in a process of its own.

    Args:
        media: What is wished.
        has_device: Whether a device is opened, or about to be.

    Raises:
        UTDStreamException: `FEATURE_DISABLED`: it was asked for, and cannot be.
    """
    if media == "inline" or (media == "auto" and not has_device):
        return False
    reason = why_not()
    if reason is None:
        return True
    if media == "process":
        raise refused(reason)
    say_once(reason, logging.INFO)  # known, and documented
    return False


def refused(reason: str) -> UTDStreamException:
    """Return what is raised where nothing can live apart, and is to."""
    message = f'no media process can be started: {reason}; pass media="inline"'
    return UTDStreamException(message, code=UTDErrorCode.FEATURE_DISABLED)


@cache
def say_once(reason: str, level: int) -> None:
    """Say in the log why nothing lives apart though a device is opened."""
    logger.log(level, "rooms and devices live in the app's process: %s", reason)
