"""The SFUs an engine can stand on: one in this process, one started here, one that runs already."""

from __future__ import annotations

from typing import Protocol

from attrs import frozen

from utd_rx.engine.media import ABANDONED_ROOM_SECONDS, EMPTY_ROOM_SECONDS
from utd_rx.engine.options import EngineOptions, Secrets


class Sfu(Protocol):
    """What `EmbeddedSfu` and `LiveKitServer` have in common."""

    @property
    def url(self) -> str: ...
    @property
    def api_url(self) -> str: ...
    async def start(self) -> None: ...
    async def aclose(self) -> None: ...


@frozen
class ExternalSfu:
    """A LiveKit server that somebody else runs; it is neither started nor stopped."""

    url: str
    api_url: str

    async def start(self) -> None: ...
    async def aclose(self) -> None: ...


def make_sfu(options: EngineOptions, secrets: Secrets, *, host: str, webhook_url: str) -> Sfu:
    """Return the SFU that `options` ask for, not started; an external one gets no `webhook_url`."""
    if options.livekit_url is not None:
        return ExternalSfu(
            url=_with_scheme(options.livekit_url, "ws"),
            api_url=_with_scheme(options.livekit_url, "http"),
        )
    # Imported late: each needs packages the other does not.
    from utd_rx.engine.sfu.options import SfuOptions

    sfu_options = SfuOptions(
        api_key=secrets.livekit_api_key,
        api_secret=secrets.livekit_api_secret,
        host=host,
        port=options.sfu_port,
        udp_port=options.sfu_port,
        empty_timeout=EMPTY_ROOM_SECONDS,
        departure_timeout=ABANDONED_ROOM_SECONDS,
        silent_update_interval=options.silent_update_interval,
        webhook_urls=(webhook_url,),
    )
    if options.sfu == "livekit":
        from utd_rx.engine.livekit_server import LiveKitServer

        return LiveKitServer(sfu_options)
    from utd_rx.engine.sfu.server import EmbeddedSfu

    return EmbeddedSfu(sfu_options)


def _with_scheme(url: str, scheme: str) -> str:
    """Return `url` as `ws`/`http`, or `wss`/`https` when it was encrypted."""
    old, _, rest = url.partition("://")
    suffix = "s" if old in ("wss", "https") else ""
    return f"{scheme}{suffix}://{rest.rstrip('/')}"
