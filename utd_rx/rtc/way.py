"""The way to a media server: directly, or through a proxy, as the caller says.

At every dial LiveKit's native code looks for a proxy in the environment of the process
(docs/livekit.md, "A proxy of its own"). So from the beginning of a join to the end of its room
there is none in it as native code sees it, but for the one that is wanted; `os.environ` stays.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from utd_rx.errors import ConflictReason, conflict
from utd_rx.ports.proxy import Proxy

if TYPE_CHECKING:
    from livekit import rtc

_NAMES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy",
                 "all_proxy", "NO_PROXY")  # fmt: skip

# A room whose loop ended may never be let go of; then it is nobody's.
_ways: Final[WeakKeyDictionary[rtc.Room, tuple[str, Proxy | None]]] = WeakKeyDictionary()
_lock: Final = threading.Lock()


def take(room: rtc.Room, url: str, proxy: Proxy | None) -> None:
    """Let `room` be dialled at `url` through `proxy`, None for directly, until `leave`; `CONFLICT`
    when another room of the process takes another way."""
    secure = url.partition(":")[0].lower() in ("wss", "https")
    name = "HTTPS_PROXY" if secure else "HTTP_PROXY"
    with _lock:
        for other_name, other in _ways.values():
            if other_name == name and other != proxy:
                raise conflict(
                    ConflictReason.BUSY,
                    f"LiveKit takes one proxy for a whole process: this room is to be joined "
                    f"{_through(proxy)}, and another is {_through(other)}. Leave that one first, "
                    "or use another process.",
                )
        _ways[room] = name, proxy
        _apply()


def leave(room: rtc.Room) -> None:
    """Let go of the way that `room` took, when native code dials no more for it. Idempotent."""
    with _lock:
        if _ways.pop(room, None) is not None:
            _apply()


def others(room: rtc.Room) -> set[rtc.Room]:
    """Return the other rooms of the process that are joined, or are about to be."""
    with _lock:
        return {*_ways} - {room}


def _apply() -> None:
    said: dict[str, str | None] = {name: os.environ.get(name) for name in _NAMES}
    if _ways:
        wanted = {name: proxy.url for name, proxy in _ways.values() if proxy is not None}
        # LiveKit asks the server over HTTP why it refused a WebSocket: from a proxy the answer
        # would be taken for the server's. That client obeys this, and the WebSocket does not.
        said = {"NO_PROXY": "*" if wanted else said["NO_PROXY"], **wanted}
    for name in _NAMES:
        value = said.get(name)
        if value is None:
            os.unsetenv(name)
        else:
            os.putenv(name, value)


def _through(proxy: Proxy | None) -> str:
    return "directly" if proxy is None else f"through {proxy}"
