"""What a caller can choose about the local engine, and the secrets made for one run."""

from __future__ import annotations

import secrets

from attrs import field, frozen

from utd_rx.errors import UTDErrorCode, UTDStreamException


@frozen
class EngineOptions:
    """Settings of one `LocalEngine`.

    Args:
        host: Address to bind; loopback unless told otherwise.
        port: TCP port, 0 for a free one.
        app_id: Ten digits; made per run unless given, like the two below.
        app_key: 32 hexadecimal digits; what a client mints with. Publishable.
        app_secret: 32 hexadecimal digits; what a backend acts with.
        sfu: "embedded", or "livekit" for the real server.
        livekit_url: An external LiveKit server instead of one started here; with its key and
            secret, all three or none, and only with `sfu="livekit"`. Its webhooks cannot be
            configured from here, so who is connected is asked every 2 s (`presence`): a kicked
            user's old token may be in the room for that long, and pushes into a room reach
            nobody before somebody was seen there. Pointing its webhooks at
            `<base_url>/livekit/webhook` removes the delay.
        silent_update_interval: Embedded SFU only: seconds for which news of participants that
            publish nothing is collected, as the real server does.
        rate_limit: Requests per minute, None for no limit.
    """

    host: str = "127.0.0.1"
    port: int = 0
    app_id: str | None = None
    app_key: str | None = field(default=None, repr=False)
    app_secret: str | None = field(default=None, repr=False)
    sfu: str = "embedded"
    livekit_url: str | None = None
    livekit_api_key: str | None = None
    livekit_api_secret: str | None = field(default=None, repr=False)
    silent_update_interval: float = 3.0
    rate_limit: int | None = None

    def __attrs_post_init__(self) -> None:
        external = (self.livekit_url, self.livekit_api_key, self.livekit_api_secret)
        given = [value is not None for value in external]
        if self.sfu not in ("embedded", "livekit"):
            raise _invalid(f"sfu must be 'embedded' or 'livekit', not {self.sfu!r}")
        if any(given) and not all(given):
            raise _invalid("livekit_url, livekit_api_key and livekit_api_secret go together")
        if any(given) and self.sfu != "livekit":
            raise _invalid("an external LiveKit server needs sfu='livekit'")
        if self.livekit_url is not None and not self.livekit_url.startswith(_SCHEMES):
            raise _invalid(f"livekit_url must start with one of {', '.join(_SCHEMES)}")
        if self.rate_limit is not None and self.rate_limit < 1:
            raise _invalid("rate_limit must be at least 1 request a minute")
        for name in ("app_id", "app_key", "app_secret"):
            if getattr(self, name) == "":
                raise _invalid(f"{name} must not be empty")

    @property
    def is_external(self) -> bool:
        """Whether the LiveKit server is somebody else's."""
        return self.livekit_url is not None


_SCHEMES = ("ws://", "wss://", "http://", "https://")


@frozen
class Secrets:
    """The credentials of one run; none of them is shown in a repr."""

    app_id: str
    app_key: str = field(repr=False)
    app_secret: str = field(repr=False)
    livekit_api_key: str = field(repr=False)
    livekit_api_secret: str = field(repr=False)
    # A key of its own: a LiveKit token can never pass for a bearer, nor the other way round.
    user_token_key: str = field(repr=False, factory=lambda: secrets.token_hex(32))


def make_secrets(options: EngineOptions) -> Secrets:
    """Return the given credentials, and fresh ones where none were given."""
    return Secrets(
        app_id=options.app_id or f"{1_000_000_000 + secrets.randbelow(9_000_000_000)}",
        app_key=options.app_key or secrets.token_hex(16),
        app_secret=options.app_secret or secrets.token_hex(16),
        livekit_api_key=options.livekit_api_key or f"API{secrets.token_hex(6)}",
        livekit_api_secret=options.livekit_api_secret or secrets.token_hex(32),
    )


def _invalid(message: str) -> UTDStreamException:
    return UTDStreamException(message, code=UTDErrorCode.VALIDATION)
