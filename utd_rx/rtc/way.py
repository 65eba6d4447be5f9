"""The way to a media server: directly, or through a proxy, as the caller says.

LiveKit's native code offers no way to say it. At every dial, those of a reconnect too, it looks for
a proxy in the environment of the process, and its WebSocket knows no `NO_PROXY` (docs/livekit.md,
"A proxy of its own"). So from the beginning of a join to the end of its room there is no proxy in
the environment as native code sees it, but for the one that is wanted. `os.environ` stays as it is;
children that are started meanwhile without `env=` inherit what native code sees.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final

from utd_rx.errors import ConflictReason, conflict
from utd_rx.ports.proxy import Proxy

if TYPE_CHECKING:
    from livekit import rtc

_DIALS: Final = {"ws": "HTTP_PROXY", "wss": "HTTPS_PROXY"}
_LOOKED_FOR: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy",
                      "all_proxy")  # fmt: skip

_ways: Final[dict[rtc.Room, tuple[str, Proxy | None]]] = {}
_lock: Final = threading.Lock()


def take(room: rtc.Room, url: str, proxy: Proxy | None) -> None:
    """Let `room` be dialled at `url` through `proxy`, None for directly, until `leave`.

    Raises:
        UTDStreamException: `CONFLICT`: another room of the process takes another way.
    """
    secure = url.partition(":")[0].lower() in ("wss", "https")
    name = _DIALS["wss" if secure else "ws"]
    with _lock:
        for other_name, other in _ways.values():
            if other_name == name and other != proxy:
                raise conflict(
                    ConflictReason.BUSY,
                    f"LiveKit takes one proxy for a whole process: this room is to be joined "
                    f"{_through(proxy)}, and another is {_through(other)}. Leave that one first, "
                    "or use another process.",
                )
        if not _ways:
            for hidden in _LOOKED_FOR:
                os.unsetenv(hidden)
        _ways[room] = name, proxy
        if proxy is not None:
            os.putenv(name, proxy.url)
            # LiveKit asks the server over HTTP why it refused a WebSocket: from a proxy the answer
            # would be taken for the server's. That client obeys this, and the WebSocket does not.
            os.putenv("NO_PROXY", "*")


def leave(room: rtc.Room) -> None:
    """Let go of the way that `room` took, when native code dials no more for it. Idempotent."""
    with _lock:
        if _ways.pop(room, None) is None or _ways:
            return
        for name in (*_LOOKED_FOR, "NO_PROXY"):
            if name in os.environ:
                os.putenv(name, os.environ[name])
            else:
                os.unsetenv(name)


def _through(proxy: Proxy | None) -> str:
    return "directly" if proxy is None else f"through {proxy}"
