"""What a caller can choose about the embedded SFU."""

from __future__ import annotations

from attrs import field, frozen


@frozen
class SfuOptions:
    """Settings of one `EmbeddedSfu`; times are seconds."""

    api_key: str  # issuer every token must name
    api_secret: str = field(repr=False)  # HS256
    host: str = "127.0.0.1"  # IPv4 to bind; with a wildcard, clients are told what they reached
    port: int = 0  # TCP, of signalling and API; 0 for a free one
    udp_port: int = 0  # of all media; 0 for a free one
    # News of participants that publish nothing is collected that long, as the real server does
    # (docs/livekit.md, "News of the silent"); tests shorten it.
    silent_update_interval: float = 3.0
    dynacast_pause_delay: float = 5.0  # until a publisher hears that a layer is not needed
    empty_timeout: float = 300.0  # of a room nobody ever joined
    departure_timeout: float = 20.0  # after the last participant left
    webhook_urls: tuple[str, ...] = ()  # where to POST LiveKit-format webhooks
