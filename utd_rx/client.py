"""`UTDStreamClient`: credentials in, sessions out."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from typing import Self

from reactivex import Observable

from utd_rx.errors import UTDErrorCode, UTDStreamException, invalid
from utd_rx.media.choice import Media
from utd_rx.media.placed_rooms import PlacedRooms
from utd_rx.models.audio import AudioFormat, AudioInput
from utd_rx.models.call import IncomingCall
from utd_rx.models.checks import source
from utd_rx.models.encryption import Encryption
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.models.token import UTDSessionResponse
from utd_rx.models.video import VideoFormat, VideoInput
from utd_rx.ports.clock import SYSTEM_CLOCK, Clock
from utd_rx.ports.proxy import Proxies
from utd_rx.ports.room import RoomPort
from utd_rx.ports.signal import SignalPort
from utd_rx.rest.api import UTDApi
from utd_rx.rest.bearer import Bearer
from utd_rx.rest.client import UTDApiClient
from utd_rx.rest.exchange import Transport
from utd_rx.rest.signal import SignalClient
from utd_rx.rooms import Rooms
from utd_rx.sessions.call import UTDCallSession
from utd_rx.sessions.encrypting import checked_encryption
from utd_rx.sessions.signals import SignalAccess, Signals
from utd_rx.state import StateSubject
from utd_rx.state.errors import Uncopied


class UTDStreamClient(Rooms, Uncopied):
    """The way in: one client per signed-in user, one HTTP layer for all its sessions.

    It belongs to the event loop of its first call. It holds publishable credentials only; who may
    do what is decided by the engine. Identities are claims as long as the app key is what proves
    them: in production your backend mints.

    Args:
        app_id: The project's id.
        app_key: The project's publishable key.
        base_url: The engine's REST host.
        token_base_url: The host that mints tokens.
        microphone: What sessions publish as their microphone unless told otherwise.
        encryption: What they are encrypted with, end to end, unless told otherwise; None is in
            clear.
        proxy: An HTTP proxy to go through, `http://user:password@host:port`, for REST and media
            alike; never to this machine nor to what `NO_PROXY` names.
        trust_env: Whether `HTTP_PROXY` and `HTTPS_PROXY` hold where no `proxy` is given; read now,
            once. Otherwise the environment's proxies count for nothing.
        adaptive_stream: Whether of a remote video no more is pulled than is looked at; as
            `UTDRoom`.
        dynacast: Whether video layers that nobody pulls are not encoded; as `UTDRoom`.
        allow_clear_text: Whether media may be joined by `ws://` on other machines; as `UTDRoom`.
        media: Where rooms live: `"inline"` in this process, `"process"` in one of their own, which
            a busy app does not disturb, `"auto"` in that where a device is opened and it can be;
            None as the environment's `UTD_RX_MEDIA` says, or `"auto"` (docs/audio.md).
        make_room: Makes the media room of each session instead, in this process.
        signal: The signal socket, by default a `SignalClient`.
        transport: Exchanges with the engine, by default HTTP; as `UTDApiClient`.
        clock: What time it is for the client and its sessions.

    Raises:
        UTDStreamException: `VALIDATION`: an empty credential, a URL that is neither `https://`
            nor on this machine, or a proxy that is not `http://`.
    """

    COPY_INSTEAD = "its arguments, and make one client per process"

    def __init__(
        self,
        app_id: str,
        app_key: str,
        *,
        base_url: str = UTDApiClient.DEFAULT_BASE_URL,
        token_base_url: str = UTDApiClient.DEFAULT_TOKEN_BASE_URL,
        microphone: AudioInput | None = None,
        encryption: Encryption | None = None,
        proxy: str | None = None,
        trust_env: bool = False,
        adaptive_stream: bool = True,
        dynacast: bool = True,
        allow_clear_text: bool = False,
        media: Media | None = None,
        make_room: Callable[[], RoomPort] | None = None,
        signal: SignalPort | None = None,
        transport: Transport | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        host = partial(
            UTDApiClient,
            app_id=app_id,
            app_key=app_key,
            proxy=proxy,
            trust_env=trust_env,
            transport=transport,
            clock=clock,
        )
        proxies = Proxies.of(proxy, trust_env=trust_env)
        self._rooms = PlacedRooms(
            media,
            adaptive_stream=adaptive_stream,
            dynacast=dynacast,
            proxies=proxies,
            allow_clear_text=allow_clear_text,
        )
        self._make_room = self._rooms.make if make_room is None else lambda *_: make_room()
        self._engine = host(base_url)
        self._tokens = self._engine if token_base_url == base_url else host(token_base_url)
        self._api = UTDApi(self._engine, self._tokens)
        self._microphone = microphone
        self._encryption = checked_encryption(encryption)
        self._identity: str | None = None
        self._user: str | None = None
        self._name: str | None = None
        self._clock = clock
        self._device_id = secrets.token_hex(8)
        self._signals = Signals(signal or SignalClient(proxies=proxies), clock=clock)
        if make_room is None:
            self._rooms.begin(microphone)  # it is up by the time a token is there

    def __repr__(self) -> str:
        return f"UTDStreamClient(identity={self._identity!r})"

    @property
    def identity(self) -> str | None:
        """The identity last authenticated or joined, None before."""
        return self._identity

    async def authenticate(
        self, identity: str, *, name: str | None = None, device_id: str | None = None
    ) -> str:
        """Mint a bearer that is not tied to a room, attach it, and return it.

        What is attached is renewed before it ends, and when the engine refuses it. In the
        background the signal socket comes up, and is kept up until `aclose`; another call replaces
        it, and as somebody else all that it told.

        Args:
            identity: Who acts from now on.
            name: Display name, which whoever is called is shown, too.
            device_id: Tells several devices of one identity apart, one socket for each; None is
                a random one of this client.

        Raises:
            UTDStreamException: `UNAUTHORIZED` wrong key, `BANNED`, `NETWORK`, …; what was attached
                stays.

        Cancelling is safe.
        """
        device = device_id or self._device_id
        mint = partial(self._api.mint_session, identity=identity, name=name, device_id=device)
        bearer = Bearer(mint, clock=self._clock)
        reply = await bearer.mint()
        api = UTDApi(self._engine, self._tokens, bearer=bearer)
        is_off = isinstance(reply, UTDSessionResponse) and reply.signaling_enabled is False
        url = None if is_off else reply.ws_url

        self._signals.sign_in(SignalAccess(identity, url, bearer.fresh, api.get_call))
        self._identity, self._user, self._name, self._api = identity, identity, name, api
        return reply.user_token

    @property
    def signal_connected(self) -> StateSubject[bool]:
        """Whether the engine tells this client of calls by its signal socket.

        Calls work without it: their sessions then ask every few seconds.
        """
        return self._signals.connected

    @property
    def signal_failure(self) -> StateSubject[UTDStreamException | None]:
        """Why the signal socket is not tried again until the next `authenticate`; else None.

        `UNAUTHORIZED` a fresh bearer was refused, too; `BANNED`; `CONFLICT`, replaced: the same
        user and device is signed in elsewhere; `VALIDATION` the engine's URL is neither `wss://`
        nor on this machine.
        """
        return self._signals.failure

    @property
    def ringing_calls(self) -> StateSubject[tuple[IncomingCall, ...]]:
        """Who calls this user now, in the order they came.

        A call leaves it when it is answered, here or elsewhere, declined, cancelled or missed.
        """
        return self._signals.ringing

    @property
    def incoming_calls(self) -> Observable[IncomingCall]:
        """Tells each incoming call once, on the client's loop; whoever subscribes later hears
        first those that still ring. Completes with `aclose`."""
        return self._signals.incoming

    def call_session(
        self,
        type: UTDStreamType,  # noqa: A002 (the seed's word)
        *,
        microphone: AudioInput | None = None,
        camera: VideoInput | None = None,
        screen: VideoInput | None = None,
        encryption: Encryption | None = None,
    ) -> UTDCallSession:
        """Make a session for calls of whoever is authenticated, one call after another.

        Args:
            type: `AUDIO_CALL` or `VIDEO_CALL`: what it dials, and what it may publish.
            microphone: What to publish in a call; the client's by default.
            camera: What to publish in a video call.
            screen: What a video call may show with `set_screen_share`.
            encryption: What its calls are encrypted with, end to end; the client's by default.

        Raises:
            UTDStreamException: `UNAUTHORIZED` before `authenticate`; `VALIDATION` for a type that
                is no call's, what is no source, or pictures for an audio call; `CONFLICT` when the
                client is closed, or on a foreign loop.
        """
        if not isinstance(type, UTDStreamType) or not type.is_call:
            raise invalid("a call session is of AUDIO_CALL or VIDEO_CALL")
        source(microphone, "microphone", "an AudioInput", AudioFormat)
        for name, pictures in (("camera", camera), ("screen", screen)):
            source(pictures, name, "a VideoInput", VideoFormat)
            if pictures is not None and type is UTDStreamType.AUDIO_CALL:
                raise invalid(f"an AUDIO_CALL has no {name}: make a session of VIDEO_CALL")
        if self._user is None:
            message = "nobody is signed in: await client.authenticate(identity) first"
            raise UTDStreamException(message, code=UTDErrorCode.UNAUTHORIZED)
        self._signals.require_open()
        keys = checked_encryption(encryption) or self._encryption
        return UTDCallSession(
            self._user,
            type,
            room=self._make_room(microphone or self._microphone, camera, screen),
            engine=self._api,
            signals=self._signals,
            name=self._name,
            microphone=microphone or self._microphone,
            camera=camera,
            screen=screen,
            clock=self._clock,
            encryption=keys,
        )

    async def aclose(self) -> None:
        """Hang up every call, and close the signal socket and the HTTP connections.

        Sessions are closed by themselves. Idempotent; bounded in time.

        Raises:
            UTDStreamException: `CONFLICT` on a foreign loop.
        """
        self._tokens.owner.check()  # which the first call of a client asks; the others may be new
        try:
            await self._signals.hang_up()
            await self._signals.aclose()
            await self._engine.aclose()
            await self._tokens.aclose()
        finally:
            await self._rooms.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
