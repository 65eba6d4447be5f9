"""What a caller can choose about the embedded SFU, and the limits it cannot.

The limits are those of livekit-server (facts/livekit.md §7.3), so that a client which stays inside
them here stays inside them there.
"""

from __future__ import annotations

from typing import Final

from attrs import field, frozen

MAX_METADATA_BYTES: Final = 512 * 1024
MAX_ATTRIBUTES_BYTES: Final = 64 * 1024
MAX_NAME_BYTES: Final = 256
MAX_SIGNAL_BYTES: Final = 2 * 1024 * 1024
MAX_API_BODY_BYTES: Final = 10 * 1024 * 1024

# A participant has a handful of sources; a client that opens more is broken or hostile.
MAX_TRACKS_PER_PARTICIPANT: Final = 64


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
            collected, as the real server does (facts/sfu.md §9.1); tests shorten it.
        enable_remote_unmute: whether `MutePublishedTrack` may unmute.
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
    enable_remote_unmute: bool = True
    empty_timeout: float = 300.0
    departure_timeout: float = 20.0
    webhook_urls: tuple[str, ...] = ()
