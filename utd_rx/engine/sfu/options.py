"""What a caller can choose about the embedded SFU."""

from __future__ import annotations

from attrs import field, frozen


@frozen
class SfuOptions:
    """Settings of one `EmbeddedSfu`.

    Args:
        api_key: issuer every token must name.
        api_secret: HS256 secret; never shown in a repr or a log.
        host: IPv4 address to bind; with a wildcard, clients are told the address they reached.
        port: TCP port of signalling and API, 0 for a free one.
        udp_port: UDP port of all media, 0 for a free one.
        silent_update_interval: seconds for which news of participants that publish nothing is
            collected, as the real server does (docs/livekit.md, "News of the silent"); tests
            shorten it.
        empty_timeout: seconds a room nobody ever joined stays.
        departure_timeout: seconds a room stays after the last participant left.
        webhook_urls: where to POST LiveKit-format webhooks.
    """

    api_key: str
    api_secret: str = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 0
    udp_port: int = 0
    silent_update_interval: float = 3.0
    empty_timeout: float = 300.0
    departure_timeout: float = 20.0
    webhook_urls: tuple[str, ...] = ()
