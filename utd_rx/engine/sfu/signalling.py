"""The signal connection: `GET /rtc/v1` as WebSocket, and the validate end points.

Only `/rtc/v1` exists (one transport, the client offers); `/rtc` is answered 404. Everything that
can be refused is refused before the upgrade, with the status livekit-server uses: the client has
no other typed answer (facts/sfu.md §2.1, §6).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import zlib
from typing import Final

from aiohttp import WSMsgType, web
from attrs import evolve, frozen
from google.protobuf.message import DecodeError
from livekit.protocol import models, rtc

from utd_rx.engine.serving import trust
from utd_rx.engine.sfu import requests, tokens
from utd_rx.engine.sfu.answers import enabled_codecs
from utd_rx.engine.sfu.hub import Hub
from utd_rx.engine.sfu.options import MAX_NAME_BYTES, MAX_SIGNAL_BYTES
from utd_rx.engine.sfu.participant import Participant, Reason, check_limits
from utd_rx.engine.sfu.room import RoomFullError

_logger = logging.getLogger(__name__)

PING_INTERVAL: Final = 5
PING_TIMEOUT: Final = 15
# Policy when full: close the connection. The client resumes and gets a snapshot.
_MAX_QUEUED: Final = 4096
_CLOSE_TIMEOUT: Final = 1.0
# A client whose TCP window stays shut this long is gone, or wants our memory.
_SEND_TIMEOUT: Final = 10.0
_WILDCARDS: Final = frozenset({"", "0.0.0.0"})  # noqa: S104 - compared with, not bound to
_SERVER_INFO: Final = models.ServerInfo(
    edition=models.ServerInfo.Standard,
    version="1.13.5",
    protocol=16,
    region="local",
    node_id="ND_embedded",
)


@frozen
class JoinAttempt:
    """A checked request to join or resume."""

    claims: tokens.Claims
    request: rtc.JoinRequest


class WebSocketSignal:
    """Implements `participant.SignalConnection`: a bounded queue and one writer task."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport | None) -> None:
        self._socket = socket
        self._transport = transport
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(_MAX_QUEUED)

    def send(self, message: bytes) -> None:
        """Queue one message; a client that does not read is cut off."""
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            self.close()

    def close(self) -> None:
        """Close after what is queued; what does not fit any more is dropped."""
        while True:
            try:
                self._queue.put_nowait(None)
            except asyncio.QueueFull:
                self._queue.get_nowait()
            else:
                return

    async def write(self) -> None:
        """Send what is queued until `close`."""
        try:
            while (message := await self._queue.get()) is not None:
                async with asyncio.timeout(_SEND_TIMEOUT):
                    await self._socket.send_bytes(message)
            async with asyncio.timeout(2 * _CLOSE_TIMEOUT):
                await self._socket.close()
        except (TimeoutError, ConnectionError, RuntimeError) as error:
            _logger.debug("signal connection cut: %s", type(error).__name__)
            if self._transport is not None:
                self._transport.abort()


class Signalling:
    """The HTTP handlers.

    Args:
        hub: the rooms.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def routes(self) -> list[web.RouteDef]:
        """What the server must serve."""
        return [
            web.get("/rtc/v1", self._connect),
            web.get("/rtc/v1/validate", self._validate),
            web.get("/rtc/validate", self._validate),
        ]

    async def _validate(self, request: web.Request) -> web.Response:
        self._check(request)
        return web.Response(text="success")

    def _check(self, request: web.Request) -> JoinAttempt:
        """Check token and join request.

        Raises:
            web.HTTPException: 401 or 400, as livekit-server.
        """
        options = self._hub.context.options
        token = bearer_token(request) or request.query.get("access_token", "")
        try:
            claims = tokens.verify(token, options.api_key, options.api_secret)
        except tokens.TokenError as error:
            raise web.HTTPUnauthorized(text=str(error)) from error
        if not claims.grants.room_join:
            raise web.HTTPUnauthorized(text="permissions denied")
        try:
            join = parse_join_request(request.query.get("join_request", ""))
            claims = _described(claims, join)
            _check_claims(claims)
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        return JoinAttempt(claims, join)

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        attempt = self._check(request)
        socket = web.WebSocketResponse(max_msg_size=MAX_SIGNAL_BYTES, timeout=_CLOSE_TIMEOUT)
        if not socket.can_prepare(request).ok:
            raise web.HTTPBadRequest(text="not a WebSocket upgrade")
        trust(request)
        if attempt.request.reconnect:
            await socket.prepare(request)
            signal = WebSocketSignal(socket, request.transport)
            participant = self._resume(attempt, signal)
        else:
            participant = self._admit(attempt, request)
            try:
                await socket.prepare(request)
                signal = WebSocketSignal(socket, request.transport)
                self._welcome(participant, attempt.request, signal)
            except BaseException:
                # Nobody would ever end it: `_serve`, which does, is not reached.
                participant.close(Reason.JOIN_FAILURE)
                raise
        await self._serve(socket, signal, participant)
        return socket

    def _admit(self, attempt: JoinAttempt, request: web.Request) -> Participant:
        """Take a place in the room before the upgrade, the only moment to refuse."""
        name = attempt.claims.grants.room
        try:
            target = self._hub.get_or_create(name, attempt.claims.room_config)
            return target.add(
                attempt.claims,
                attempt.request,
                _media_host(self._hub.context.options.host, request),
                self._hub.context.now(),
            )
        except RoomFullError as error:
            raise web.HTTPInternalServerError(text="could not join: room is full") from error

    def _welcome(
        self, participant: Participant, join: rtc.JoinRequest, signal: WebSocketSignal
    ) -> None:
        """Send the JoinResponse and handle what came with the request."""
        now = self._hub.context.now()
        room = participant.room
        participant.attach(signal)
        if participant.is_closed:  # removed while the upgrade was on its way
            signal.close()
            return
        participant.send(
            join=rtc.JoinResponse(
                room=room.info(),
                participant=participant.info(),
                other_participants=room.others(participant),
                server_version=_SERVER_INFO.version,
                server_info=_SERVER_INFO,
                server_region=_SERVER_INFO.region,
                subscriber_primary=False,
                ping_interval=PING_INTERVAL,
                ping_timeout=PING_TIMEOUT,
                enabled_publish_codecs=enabled_codecs(),
                # Without it the client waits 150 ms before each offer, for its own tracks and for
                # those it is to receive. The real server says it to publishers alone, and in an
                # audio room nobody is one yet.
                fast_publish=True,
            )
        )
        room.on_joined(participant)
        participant.push_token(now)
        for track in join.add_track_requests:
            requests.add_track(participant, track, now)
        if join.HasField("publisher_offer"):
            participant.on_offer(join.publisher_offer, now)

    def _resume(self, attempt: JoinAttempt, signal: WebSocketSignal) -> Participant | None:
        """Give a participant its new signal connection, or tell the client how it ended.

        A client that slept through a join of the same identity resumes before it reads that it
        was replaced. Told to start over, it would throw out the newer one (docs/livekit.md).
        """
        room = self._hub.get(attempt.claims.grants.room)
        participant = room.get(attempt.claims.identity) if room is not None else None
        if participant is None:
            _send_away(signal, Reason.STATE_MISMATCH, rtc.LeaveRequest.RECONNECT)
            return None
        if participant.sid != attempt.request.participant_sid:
            _send_away(signal, Reason.DUPLICATE_IDENTITY, rtc.LeaveRequest.DISCONNECT)
            return None
        room = participant.room
        participant.attach(signal)
        if participant.is_signal_cut_on_resume:
            participant.is_signal_cut_on_resume = False
            signal.close()
            return participant
        participant.send(
            reconnect=rtc.ReconnectResponse(
                server_info=_SERVER_INFO, last_message_seq=participant.last_sequence
            )
        )
        # The client takes everybody missing from this snapshot for gone.
        infos = [participant.info(), *room.others(participant)]
        participant.send(update=rtc.ParticipantUpdate(participants=infos))
        participant.send(room_update=rtc.RoomUpdate(room=room.info()))
        participant.push_token(self._hub.context.now())
        participant.subscriptions.on_resumed()
        return participant

    async def _serve(
        self,
        socket: web.WebSocketResponse,
        signal: WebSocketSignal,
        participant: Participant | None,
    ) -> None:
        writer = asyncio.create_task(signal.write(), name="utd-sfu-signal-writer")
        try:
            async for message in socket:
                if participant is None:
                    break
                if message.type is not WSMsgType.BINARY:
                    await socket.close(code=1003, message=b"binary messages only")
                    break
                try:
                    request = rtc.SignalRequest.FromString(message.data)
                except DecodeError:
                    await socket.close(code=1007, message=b"not a SignalRequest")
                    break
                requests.handle(participant, request, self._hub.context.now())
        finally:
            if participant is not None:
                participant.on_signal_closed(signal)
            signal.close()
            await _finish(writer)


def _send_away(
    signal: WebSocketSignal, reason: models.DisconnectReason, action: rtc.LeaveRequest.Action
) -> None:
    leave = rtc.LeaveRequest(reason=reason, action=action)
    signal.send(rtc.SignalResponse(leave=leave).SerializeToString())
    signal.close()


async def _finish(writer: asyncio.Task[None]) -> None:
    """Let the writer send what is left, but not for long."""
    try:
        await asyncio.wait({writer}, timeout=2 * _CLOSE_TIMEOUT)
    finally:
        writer.cancel()
    await asyncio.wait({writer})
    if not writer.cancelled() and writer.exception() is not None:
        _logger.debug("signal writer ended", exc_info=writer.exception())


def bearer_token(request: web.Request) -> str:
    """The token of the Authorization header, empty when there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme == "Bearer" else ""


def _described(claims: tokens.Claims, join: rtc.JoinRequest) -> tokens.Claims:
    """The claims with what the client itself says about its participant, none of it deleted.

    Raises:
        web.HTTPUnauthorized: it may not say anything.
    """
    if not (join.metadata or join.participant_attributes):
        return claims
    if not claims.grants.can_update_metadata:
        raise web.HTTPUnauthorized(text="permissions denied")
    said = {key: value for key, value in join.participant_attributes.items() if value}
    return evolve(
        claims,
        metadata=join.metadata or claims.metadata,
        attributes={**claims.attributes, **said},
    )


def _check_claims(claims: tokens.Claims) -> None:
    if not claims.identity:
        raise ValueError("identity cannot be empty")
    if not claims.grants.room:
        raise ValueError("room name cannot be empty")
    if any(len(name.encode()) > MAX_NAME_BYTES for name in (claims.identity, claims.grants.room)):
        raise ValueError("identity or room name exceeds limits")
    check_limits(name=claims.name, metadata=claims.metadata, attributes=dict(claims.attributes))


def parse_join_request(value: str) -> rtc.JoinRequest:
    """Decode the `join_request` query parameter: base64url of a WrappedJoinRequest, maybe gzip.

    Raises:
        ValueError: it is missing, malformed, or unpacks to more than a signalling message may be.
    """
    if not value:
        raise ValueError("join_request is required")
    plain = value.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        wrapped = rtc.WrappedJoinRequest.FromString(
            base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
        )
        packed = wrapped.join_request
        if wrapped.compression == rtc.WrappedJoinRequest.GZIP:
            packed = _gunzip(packed)
        return rtc.JoinRequest.FromString(packed)
    except (binascii.Error, DecodeError, zlib.error) as error:
        raise ValueError("cannot decode join request") from error


def _gunzip(data: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    unpacked = unpacker.decompress(data, MAX_SIGNAL_BYTES)
    if not unpacker.eof:
        raise ValueError("join request too large or cut short")
    return unpacked


def _media_host(bound: str, request: web.Request) -> str:
    """The address the client shall send media to: ours, or the one it reached us at."""
    if bound not in _WILDCARDS:
        return bound
    local = request.transport.get_extra_info("sockname") if request.transport else None
    return str(local[0]) if local else "127.0.0.1"
