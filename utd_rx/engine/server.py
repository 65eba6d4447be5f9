"""`LocalEngine`: the engine's REST side and an SFU behind it, started and ended together.

It is for development and tests: state lives in memory, and whoever has the app key mints as anybody
(docs/contract.md, "Identities are claims").
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Final, Protocol, Self, TypedDict

from attrs import field, frozen

from utd_rx.engine.app import make_app
from utd_rx.engine.call_news import Posters
from utd_rx.engine.core import EngineCore
from utd_rx.engine.engine_clock import EngineClock, LoopEngineClock
from utd_rx.engine.listening import bind, loopback_url_of, url_of
from utd_rx.engine.livekit_media import LiveKitMedia
from utd_rx.engine.media import (
    ABANDONED_ROOM_SECONDS,
    EMPTY_ROOM_SECONDS,
    Media,
)
from utd_rx.engine.media_reports import WEBHOOK_PATH, MediaReports
from utd_rx.engine.options import EngineOptions, Secrets, make_secrets
from utd_rx.engine.page.feed import PageFeed
from utd_rx.engine.page.site import Page
from utd_rx.engine.presence import CHECK_SECONDS, POLL_SECONDS, poll_presence
from utd_rx.engine.routes import signal
from utd_rx.engine.routes.http import Context
from utd_rx.engine.rules.call_book import CallLimits
from utd_rx.engine.serving import HttpServer
from utd_rx.engine.signal_hub import SignalHub
from utd_rx.engine.signed_tokens import SignedTokens
from utd_rx.engine.tasks import OwnedTasks, require_loop
from utd_rx.engine.webhooks import WebhookSender
from utd_rx.errors import ConflictReason, UTDStreamException, conflict, needing_extra

SHUTDOWN_SECONDS: Final = 2.0  # for requests under way to end


class Sfu(Protocol):
    @property
    def url(self) -> str: ...
    @property
    def api_url(self) -> str: ...
    async def start(self) -> None: ...
    async def aclose(self) -> None: ...


class ClientCredentials(TypedDict):
    """What `UTDStreamClient` is made with."""

    app_id: str
    app_key: str
    base_url: str
    token_base_url: str


@frozen
class ExternalSfu:
    """A LiveKit server that somebody else runs; it is neither started nor stopped."""

    url: str
    api_url: str

    async def start(self) -> None: ...
    async def aclose(self) -> None: ...


@frozen
class _Running:
    """What exists between `start` and `aclose`."""

    base_url: str
    sfu: Sfu
    core: EngineCore
    page_url: str | None = field(repr=False)
    closing: AsyncExitStack = field(repr=False)


class LocalEngine:
    """A local engine; `async with` starts and ends it.

    Args:
        options: See `EngineOptions`.
        media: Instead of an SFU, for tests of the REST side alone.
        clock: Instead of the loop's, for tests.
    """

    def __init__(
        self,
        options: EngineOptions | None = None,
        *,
        media: Media | None = None,
        clock: EngineClock | None = None,
    ) -> None:
        self._options = options or EngineOptions()
        self._secrets = make_secrets(self._options)
        self._media = media
        self._clock = clock or LoopEngineClock()
        self._running: _Running | None = None
        self._is_starting = False
        self._is_unwanted = False
        self._closing: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        where = "not running" if self._running is None else self._running.base_url
        return f"<LocalEngine {where}>"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @property
    def base_url(self) -> str:
        """Where the in-room API is: `http://host:port`, without `/api/v1`."""
        return self._started.base_url

    @property
    def token_base_url(self) -> str:
        """Where tokens are minted; here the same host."""
        return self._started.base_url

    @property
    def credentials(self) -> ClientCredentials:
        """What a client of this engine is made with: `UTDStreamClient(**engine.credentials)`."""
        return {
            "app_id": self.app_id,
            "app_key": self.app_key,
            "base_url": self.base_url,
            "token_base_url": self.token_base_url,
        }

    @property
    def page_url(self) -> str | None:
        """Where a browser of this machine sees what goes on, and joins; None without a page.

        It ends in the page's key: whoever has it may do what the app key allows.
        """
        return self._started.page_url

    @property
    def livekit_url(self) -> str:
        """Where clients connect for media."""
        return self.sfu.url

    @property
    def livekit_api_url(self) -> str:
        """Where LiveKit's server API is."""
        return self.sfu.api_url

    @property
    def sfu(self) -> Sfu:
        """The SFU behind this engine."""
        return self._started.sfu

    @property
    def core(self) -> EngineCore:
        """The core, for tests that report facts themselves."""
        return self._started.core

    @property
    def app_id(self) -> str:
        """Ten digits."""
        return self._secrets.app_id

    @property
    def app_key(self) -> str:
        """The publishable key clients mint with."""
        return self._secrets.app_key

    @property
    def app_secret(self) -> str:
        """The secret backends act with."""
        return self._secrets.app_secret

    @property
    def livekit_api_key(self) -> str:
        """The key of LiveKit's server API."""
        return self._secrets.livekit_api_key

    @property
    def livekit_api_secret(self) -> str:
        """The secret of LiveKit's server API."""
        return self._secrets.livekit_api_secret

    async def start(self) -> None:
        """Start; returns when the engine answers. Cancelling it leaves nothing behind.

        Raises:
            UTDStreamException: `CONFLICT` when the port is taken or the engine was started
                before, `NOT_FOUND` when there is no livekit-server to start, and what else the
                SFU's start raises.
        """
        require_loop("an engine")
        if self._running is not None or self._is_starting or self._is_unwanted:
            raise conflict(ConflictReason.ALREADY, "an engine starts once")
        self._is_starting = True
        try:
            async with AsyncExitStack() as stack:
                opened = await self._open(stack)
                if self._is_unwanted:
                    raise conflict(ConflictReason.CLOSED, "closed while starting")
                self._running = _Running(*opened, stack.pop_all())
        finally:
            self._is_starting = False

    async def aclose(self) -> None:
        """End everything this engine started. Idempotent; concurrent calls wait for the first.

        While `start` is under way it returns at once, and `start` takes back what it began and
        raises.
        """
        self._is_unwanted = True
        if self._running is None:
            return
        if self._closing is None:
            closing = self._running.closing.aclose()
            self._closing = asyncio.create_task(closing, name="engine-close")
        # Shielded: whoever stops waiting does not stop the closing.
        await asyncio.shield(self._closing)

    @property
    def _started(self) -> _Running:
        if self._running is None:
            raise conflict(ConflictReason.NOT_JOINED, "the engine was not started")
        return self._running

    async def _open(self, stack: AsyncExitStack) -> tuple[str, Sfu, EngineCore, str | None]:
        options = self._options
        listener = bind(options.host, options.port)
        stack.callback(listener.close)
        host, base_url = listener.getsockname()[0], url_of(listener)
        sfu, media = await self._open_sfu(stack, host, base_url)
        sender = WebhookSender(options.webhook_url, self.app_secret, self._clock)
        stack.push_async_callback(sender.aclose)
        sender.start()
        local_url = loopback_url_of(listener) if options.page else None
        feed = PageFeed(self._clock)
        poster = Posters(sender) if local_url is None else Posters(sender, feed)
        hub = SignalHub(self._clock, poster)
        limits = CallLimits(options.ring_timeout, options.max_call_seconds)
        core = EngineCore(
            self.app_id,
            media,
            self._clock,
            host_grace=options.host_grace,
            limits=limits,
            teller=hub,
            poster=poster,
            watch=feed.room_changed,
        )
        reports = MediaReports(core, self._secrets, poster)
        signal_url = _with_scheme(base_url, "ws") + signal.PATH
        context = Context(
            core, self._secrets, SignedTokens(self._secrets), sfu.url, signal_url, hub
        )
        page = None if local_url is None else Page(context, feed)
        app = make_app(context, reports, page, per_minute=options.rate_limit)
        http = HttpServer(app, "engine", shutdown_timeout=SHUTDOWN_SECONDS)
        # The site outlives the SFU: an SFU that cannot deliver its last webhooks retries them,
        # which would make every end slow. So it is closed first, from here.
        stack.push_async_callback(http.aclose)
        await http.start(listener)
        stack.push_async_callback(sfu.aclose)
        stack.push_async_callback(core.rooms.aclose)
        stack.push_async_callback(core.calls.aclose)
        stack.callback(reports.close)
        stack.callback(hub.close)
        stack.callback(feed.close)
        if self._media is None:
            tasks = OwnedTasks()
            stack.push_async_callback(tasks.aclose)
            every = POLL_SECONDS if options.is_external else CHECK_SECONDS
            tasks.spawn(poll_presence(core, every, reports.doubt), "engine-presence")
        page_url = None if local_url is None else f"{local_url}/#{self._secrets.page_key}"
        return base_url, sfu, core, page_url

    async def _open_sfu(self, stack: AsyncExitStack, host: str, base_url: str) -> tuple[Sfu, Media]:
        if self._media is not None:
            stack.push_async_callback(self._media.aclose)
            return ExternalSfu("ws://127.0.0.1:1", "http://127.0.0.1:1"), self._media
        webhook_url = f"{base_url}{WEBHOOK_PATH}"
        sfu = _make_sfu(self._options, self._secrets, host=host, webhook_url=webhook_url)
        stack.push_async_callback(sfu.aclose)
        try:
            await sfu.start()
        except UTDStreamException:
            raise
        except (OSError, ValueError) as error:
            message = f"the media server cannot start on {host}: {error}"
            raise conflict(ConflictReason.BUSY, message) from error
        media = LiveKitMedia(sfu.api_url, self.livekit_api_key, self.livekit_api_secret)
        stack.push_async_callback(media.aclose)
        return sfu, media


def _make_sfu(options: EngineOptions, secrets: Secrets, *, host: str, webhook_url: str) -> Sfu:
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
    with needing_extra("the embedded media server", "engine"):
        from utd_rx.engine.sfu.server import EmbeddedSfu

    return EmbeddedSfu(sfu_options)


def _with_scheme(url: str, scheme: str) -> str:
    """Return `url` as `ws`/`http`, or `wss`/`https` when it was encrypted."""
    old, _, rest = url.partition("://")
    suffix = "s" if old in ("wss", "https") else ""
    return f"{scheme}{suffix}://{rest.rstrip('/')}"
