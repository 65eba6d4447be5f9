"""What a caller can choose about the local engine, and the secrets made for one run."""

from __future__ import annotations

import hmac
import secrets
from urllib.parse import urlsplit

from attrs import field, frozen
from attrs.validators import ge, le

from utd_rx.errors import invalid
from utd_rx.models.checks import typed

_IS_PORT = [ge(0), le(65_535)]


@frozen(field_transformer=typed)
class EngineOptions:
    """Settings of one `LocalEngine`.

    Args:
        host: Address to bind; loopback unless told otherwise.
        port: TCP port, 0 for a free one.
        sfu_port: The media server's port, TCP and UDP alike, 0 for free ones. To come back to an
            engine that was started anew, clients need both ports and the three below unchanged.
        app_id: Ten digits; made per run unless given, like the two below.
        app_key: 32 hexadecimal digits; what a client mints with. Publishable.
        app_secret: 32 hexadecimal digits; what a backend acts with. The keys that sign tokens
            are derived from it, so those of an earlier run stay good.
        sfu: "embedded", or "livekit" for the real server.
        livekit_url: An external LiveKit server instead of one started here; with its key and
            secret, and only with `sfu="livekit"`. Its webhooks cannot be configured from here, so
            who is connected is asked every 2 s (`presence`): a kicked user's old token may be in
            the room for that long, and pushes into a room reach nobody before somebody was seen
            there. Pointing its webhooks at `<base_url>/livekit/webhook` removes the delay.
        livekit_api_key: The media server's key; with its secret, both or neither.
        livekit_api_secret: The media server's secret.
        silent_update_interval: Embedded SFU only: seconds for which news of participants that
            publish nothing is collected, as the real server does.
        rate_limit: Requests per minute, None for no limit.
        webhook_url: Where a backend takes the engine's webhooks (docs/webhooks.md), None for
            nowhere. Rooms, participants and tracks are known from the media server's own, so of
            an external one that sends none there are calls and presence only.
        ring_timeout: Seconds for which a call rings before it counts as missed, 10 to 120.
        max_call_seconds: The longest that a call lasts, 60 to 14,400.
        host_grace: Seconds for which a broadcast waits for its host, 1 to 3,600. A room that
            everybody left ends after 60 s whatever this says.
        page: Whether there is a page that shows what goes on, for browsers of this machine alone
            (docs/engine.md, "Its page").
    """

    host: str = "127.0.0.1"
    port: int = field(default=0, validator=_IS_PORT)
    sfu_port: int = field(default=0, validator=_IS_PORT)
    app_id: str | None = None
    app_key: str | None = field(default=None, repr=False)
    app_secret: str | None = field(default=None, repr=False)
    sfu: str = "embedded"
    livekit_url: str | None = None
    livekit_api_key: str | None = None
    livekit_api_secret: str | None = field(default=None, repr=False)
    silent_update_interval: float = field(default=3.0, validator=[ge(0), le(3600)])
    rate_limit: int | None = None
    webhook_url: str | None = None
    ring_timeout: float = 30.0
    max_call_seconds: float = 3600.0
    host_grace: float = 60.0
    page: bool = True

    def __attrs_post_init__(self) -> None:
        has_key, has_secret = self.livekit_api_key is not None, self.livekit_api_secret is not None
        if self.sfu not in ("embedded", "livekit"):
            raise invalid(f"sfu must be 'embedded' or 'livekit', not {self.sfu!r}")
        if has_key is not has_secret:
            raise invalid("livekit_api_key and livekit_api_secret go together")
        if self.livekit_url is not None:
            if not has_key:
                raise invalid("livekit_url, livekit_api_key and livekit_api_secret go together")
            if self.sfu != "livekit":
                raise invalid("an external LiveKit server needs sfu='livekit'")
            if not self.livekit_url.startswith(_SCHEMES):
                raise invalid(f"livekit_url must start with one of {', '.join(_SCHEMES)}")
            if self.sfu_port:
                raise invalid("sfu_port is that of a media server started here, not of livekit_url")
        if self.rate_limit is not None and self.rate_limit < 1:
            raise invalid("rate_limit must be at least 1 request a minute")
        if self.webhook_url is not None and not _is_http(self.webhook_url):
            raise invalid("webhook_url must be an http:// or https:// URL with a host")
        for name, (least, most) in _RANGES.items():
            if not least <= getattr(self, name) <= most:
                raise invalid(f"{name} must be {least} to {most} seconds")
        for name in ("app_id", "app_key", "app_secret", "livekit_api_key", "livekit_api_secret"):
            if getattr(self, name) == "":
                raise invalid(f"{name} must not be empty")

    @property
    def is_external(self) -> bool:
        """Whether the LiveKit server is somebody else's."""
        return self.livekit_url is not None


_RANGES = {
    "ring_timeout": (10, 120),
    "max_call_seconds": (60, 14_400),
    "host_grace": (1, 3_600),
}
_SCHEMES = ("ws://", "wss://", "http://", "https://")


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port or an address that is none
        return False


@frozen
class Secrets:
    """The credentials of one run; none of them is shown in a repr."""

    app_id: str
    app_key: str = field(repr=False)
    app_secret: str = field(repr=False)
    livekit_api_key: str = field(repr=False)
    livekit_api_secret: str = field(repr=False)
    # A key of its own: a LiveKit token can never pass for a bearer, nor the other way round.
    user_token_key: str = field(repr=False)
    page_key: str = field(repr=False)


def make_secrets(options: EngineOptions) -> Secrets:
    """Return the given credentials, fresh ones for the rest, and what follows from them."""
    # Whoever has the app secret may do everything here: keys derived from it give nothing away.
    app_secret = options.app_secret or secrets.token_hex(16)
    return Secrets(
        app_id=options.app_id or f"{1_000_000_000 + secrets.randbelow(9_000_000_000)}",
        app_key=options.app_key or secrets.token_hex(16),
        app_secret=app_secret,
        livekit_api_key=options.livekit_api_key or f"API{_derived(app_secret, 'key')[:12]}",
        livekit_api_secret=options.livekit_api_secret or _derived(app_secret, "media"),
        user_token_key=_derived(app_secret, "bearers"),
        page_key=_derived(app_secret, "page")[:32],
    )


def _derived(app_secret: str, purpose: str) -> str:
    return hmac.new(app_secret.encode(), f"utd-rx {purpose}".encode(), "sha256").hexdigest()
