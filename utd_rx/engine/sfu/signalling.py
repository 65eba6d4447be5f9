"""The signal connection: `GET /rtc/v1` or `/rtc` as WebSocket, and their validate end points.

Clients of `/rtc` have two peer connections (docs/livekit.md, "Two connections"), unless they bring
the `join_request` of the other.

What can be refused is refused before the upgrade, with livekit-server's status: the client has no
other typed answer (docs/livekit.md, "Signalling" and "Room service").
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web
from google.protobuf.message import DecodeError
from livekit.protocol import models, rtc

from utd_rx.engine.serving import trust
from utd_rx.engine.sfu import limits, requests, tokens
from utd_rx.engine.sfu.answers import enabled_codecs
from utd_rx.engine.sfu.budget import Budget, Share
from utd_rx.engine.sfu.join_queries import join_request
from utd_rx.engine.sfu.limits import (
    MAX_NAME_BYTES,
    MAX_SIGNAL_BYTES,
    LimitError,
    check_join_request,
    check_limits,
    decode_join_request,
    decode_request,
)
from utd_rx.engine.sfu.participant_ports import EVERYBODY_HERE
from utd_rx.engine.sfu.sfu_participant import Action, Reason, SfuParticipant
from utd_rx.engine.sfu.sfu_room import RoomFullError, SfuRoom
from utd_rx.engine.sfu.sfu_rooms import SfuRooms

_logger = logging.getLogger(__name__)

PING_INTERVAL: Final = 5
PING_TIMEOUT: Final = 15
_SERVER_INFO: Final = models.ServerInfo(
    edition=models.ServerInfo.Standard,
    version="1.13.5",
    protocol=16,
    region="local",
    node_id="ND_embedded",
)
# Policy when full: close the connection. The client resumes and gets a snapshot.
_MAX_QUEUED: Final = 4096
_MAX_QUEUED_BYTES: Final = 8 * 1024 * 1024
_CLOSE_TIMEOUT: Final = 1.0
_DONE: Final = object()
# WebSocket's own pings and pongs; clients ping by a message, and nobody here pings them.
_MAX_PINGS: Final = 100
_PINGS_SECONDS: Final = 25.0
# A client whose TCP window stays shut this long is gone, or wants our memory.
_SEND_TIMEOUT: Final = 10.0


def routes(rooms: SfuRooms) -> list[web.RouteDef]:
    return [
        web.get("/rtc/v1", partial(_connect, rooms)),
        web.get("/rtc/v1/validate", partial(_validate, rooms)),
        web.get("/rtc", partial(_connect, rooms)),
        web.get("/rtc/validate", partial(_validate, rooms)),
    ]


async def _validate(rooms: SfuRooms, request: web.Request) -> web.Response:
    _check(rooms, request)
    return web.Response(text="success")


def _check(rooms: SfuRooms, request: web.Request) -> tuple[tokens.AccessClaims, rtc.JoinRequest]:
    """What token and join request say; 401 or 400 for bad ones, as livekit-server."""
    claims = verified(rooms, bearer_token(request) or request.query.get("access_token", ""))
    if not claims.video.room_join:
        raise web.HTTPUnauthorized(text="permissions denied")
    try:
        if _has_two(request):
            join = check_join_request(join_request(request.query))
        else:
            join = decode_join_request(request.query.get("join_request", ""))
        _check_claims(claims)
    except ValueError as error:
        raise web.HTTPBadRequest(text=str(error)) from error
    return claims, join


def _has_two(request: web.Request) -> bool:
    return not request.path.startswith("/rtc/v1") and "join_request" not in request.query


async def _connect(rooms: SfuRooms, request: web.Request) -> web.StreamResponse:
    signal = MediaSignalSocket(request)
    participant = await _open(rooms, request, signal)
    if participant is None:
        return await signal.serve()
    return await signal.serve(
        partial(requests.handle, participant),
        partial(requests.refuse, participant),
        partial(participant.on_signal_closed, signal),
        participant.share,
    )


async def _open(
    rooms: SfuRooms, request: web.Request, signal: MediaSignalSocket
) -> SfuParticipant | None:
    """Join or resume; None for who was sent away on the upgraded connection."""
    claims, join = _check(rooms, request)
    if not signal.can_upgrade:
        raise web.HTTPBadRequest(text="not a WebSocket upgrade")
    trust(request)
    if join.reconnect:
        await signal.upgrade()
        return _resume(rooms, claims, join.participant_sid, signal)
    # The place in the room is taken before the upgrade, the only moment to refuse.
    room = rooms.get_or_create(claims.video.room)
    hosts = rooms.context.mux.hosts(_reached(request))
    try:
        now, has_two = rooms.context.now(), _has_two(request)
        participant = room.add(claims, join, hosts, now, has_two=has_two)
    except RoomFullError as error:
        raise web.HTTPInternalServerError(text="could not join: room is full") from error
    try:
        await signal.upgrade()
        await _welcome(room, participant, join, signal)
    except BaseException:
        # Nobody would ever end it: what follows, which does, is not reached.
        participant.close(Reason.JOIN_FAILURE)
        raise
    return participant


async def in_turns(parts: Iterator[None], share: Share) -> None:
    """Do all of it, with a turn for everybody else between the parts, which `share` is charged."""
    loop, is_left = asyncio.get_running_loop(), True
    while is_left:
        with share.used(loop.time()):
            is_left = next(parts, _DONE) is not _DONE
        if is_left:
            await asyncio.sleep(0)


async def _welcome(
    room: SfuRoom, participant: SfuParticipant, join: rtc.JoinRequest, signal: MediaSignalSocket
) -> None:
    participant.attach(signal)
    if participant.is_closed:  # removed while the upgrade was on its way
        signal.close()
        return
    response = rtc.SignalResponse(
        join=rtc.JoinResponse(
            room=room.info(),
            participant=participant.info(),
            other_participants=room.others(participant),
            server_version=_SERVER_INFO.version,
            server_info=_SERVER_INFO,
            server_region=_SERVER_INFO.region,
            subscriber_primary=participant.connections.has_two,
            ping_interval=PING_INTERVAL,
            ping_timeout=PING_TIMEOUT,
            enabled_publish_codecs=enabled_codecs(),
            # Without it the client waits 150 ms before each offer. The real server says it to
            # publishers alone, and in an audio room nobody is one yet.
            fast_publish=True,
        )
    )
    participant.send_encoded(response.SerializeToString(), EVERYBODY_HERE)
    room.on_joined(participant)
    participant.push_token(room.context.now())
    if join.HasField("publisher_offer"):
        await in_turns(participant.on_offer(join.publisher_offer), participant.share)
    elif participant.connections.has_two:
        participant.offer()


def _resume(
    rooms: SfuRooms, claims: tokens.AccessClaims, sid: str, signal: MediaSignalSocket
) -> SfuParticipant | None:
    """Give a participant its new signal connection, or tell the client how it ended.

    Told to start over, who slept through a join of its identity would throw out the newer one
    (docs/livekit.md, "Sleepers").
    """
    room = rooms.get(claims.video.room)
    participant = room.get(claims.identity) if room is not None else None
    if room is None or participant is None or participant.sid != sid:
        reason, action = Reason.DUPLICATE_IDENTITY, Action.DISCONNECT
        if participant is None:
            reason, action = Reason.STATE_MISMATCH, Action.RECONNECT
        can_reconnect = action is not Action.DISCONNECT
        leave = rtc.LeaveRequest(reason=reason, action=action, can_reconnect=can_reconnect)
        signal.send(rtc.SignalResponse(leave=leave).SerializeToString())
        signal.close()
        return None
    participant.attach(signal)
    participant.send(
        reconnect=rtc.ReconnectResponse(
            server_info=_SERVER_INFO, last_message_seq=participant.last_sequence
        )
    )
    # The client takes everybody missing from this snapshot for gone.
    infos = [participant.info(), *room.others(participant)]
    snapshot = rtc.SignalResponse(update=rtc.ParticipantUpdate(participants=infos))
    participant.send_encoded(snapshot.SerializeToString(), EVERYBODY_HERE)
    participant.send(room_update=rtc.RoomUpdate(room=room.info()))
    participant.push_token(rooms.context.now())
    participant.publications.repeat_demands()
    participant.offer()
    return participant


def bearer_token(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme == "Bearer" else ""


def verified(rooms: SfuRooms, token: str) -> tokens.AccessClaims:
    try:
        return tokens.verify(token, rooms.context.options)
    except tokens.TokenError as error:
        raise web.HTTPUnauthorized(text=str(error)) from error


def _check_claims(claims: tokens.AccessClaims) -> None:
    if not claims.identity:
        raise ValueError("identity cannot be empty")
    if not claims.video.room:
        raise ValueError("room name cannot be empty")
    if any(len(name.encode()) > MAX_NAME_BYTES for name in (claims.identity, claims.video.room)):
        raise ValueError("identity or room name exceeds limits")
    check_limits(name=claims.name, metadata=claims.metadata, attributes=claims.attributes)


def _reached(request: web.Request) -> str:
    """The address of ours that the client came to."""
    local = request.transport.get_extra_info("sockname") if request.transport else None
    return str(local[0]) if local else ""


class MediaSignalSocket:
    """The connection `request` is upgraded to. Implements `sfu_participant.SignalConnection`."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        # What a packed message unpacks to is bounded, too (aiohttp).
        self._socket = web.WebSocketResponse(
            max_msg_size=MAX_SIGNAL_BYTES, timeout=_CLOSE_TIMEOUT, autoping=False
        )
        self._pings = Budget(_MAX_PINGS / _PINGS_SECONDS, _MAX_PINGS)
        self._queue: dict[str, bytes] = {}  # in order; by what it is about, or a number
        self._queued = 0
        self._count = 0
        self._news = asyncio.Event()
        self._is_closed = False

    @property
    def can_upgrade(self) -> bool:
        return self._socket.can_prepare(self._request).ok

    async def upgrade(self) -> None:
        await self._socket.prepare(self._request)

    def send(self, message: bytes, about: str = "") -> None:
        """Queue one message; it takes the place of one about the same that still waits there.

        A client that does not read is cut off.
        """
        if self._is_closed:
            return
        self._count += 1
        about = about or str(self._count)
        self._queued -= _counted(self._queue.get(about, b""), about)
        if len(self._queue) >= _MAX_QUEUED or self._queued > _MAX_QUEUED_BYTES:
            self._queue.clear()
            self.close()
            return
        self._queue[about] = message
        self._queued += _counted(message, about)
        self._news.set()

    def close(self) -> None:
        """Close after what is queued."""
        self._is_closed = True
        self._news.set()

    async def serve(
        self,
        handle: Callable[[rtc.SignalRequest], Iterator[None]] | None = None,
        refuse: Callable[[LimitError], None] | None = None,
        on_end: Callable[[], None] | None = None,
        share: Share | None = None,
    ) -> web.WebSocketResponse:
        """Send what is queued and hand over what arrives; without `handle` the first ends it.

        The next is read when there is something left of `share`, so who asks too much waits.
        """
        loop, share = asyncio.get_running_loop(), share or limits.share()
        writer = asyncio.create_task(self._write(), name="utd-sfu-signal-writer")
        try:
            async for message in self._socket:
                code: int | None = WSCloseCode.OK
                if handle and message.type in (WSMsgType.PING, WSMsgType.PONG):
                    code = await self._pong(message, loop.time())
                elif handle and refuse:
                    with share.used(loop.time()):
                        code, rest = self._take(message, handle, refuse)
                    await in_turns(rest, share)
                    del rest
                del message  # nothing of it is kept while the next one is awaited
                if code is not None:
                    await self._socket.close(code=code)
                    break
                # What is buffered comes without a turn of the loop, and others wait for theirs.
                await asyncio.sleep(share.wait(loop.time()))
        finally:
            if on_end is not None:
                on_end()
            self.close()
            with contextlib.suppress(TimeoutError):  # what is left is sent, but not for long
                await asyncio.wait_for(writer, 2 * _CLOSE_TIMEOUT)
        return self._socket

    async def _pong(self, message: WSMessage, now: float) -> int | None:
        """Answer a ping; the code to close with when there are too many."""
        if not self._pings.take(1, now):
            return WSCloseCode.POLICY_VIOLATION
        if message.type is WSMsgType.PING:
            with contextlib.suppress(ConnectionError):
                await self._socket.pong(message.data)
        return None

    @staticmethod
    def _take(
        message: WSMessage,
        handle: Callable[[rtc.SignalRequest], Iterator[None]],
        refuse: Callable[[LimitError], None],
    ) -> tuple[int | None, Iterator[None]]:
        """Hand over one message; the code to close with when it is no request, and what is to be
        done about it."""
        if message.type is not WSMsgType.BINARY:
            return WSCloseCode.UNSUPPORTED_DATA, iter(())
        try:
            request = decode_request(message.data)
        except DecodeError:
            return WSCloseCode.INVALID_TEXT, iter(())
        except LimitError as error:
            refuse(error)
            return None, iter(())
        return None, handle(request)

    async def _write(self) -> None:
        try:
            while self._queue or not self._is_closed:
                if not self._queue:
                    self._news.clear()
                    await self._news.wait()
                    continue
                about = next(iter(self._queue))
                message = self._queue.pop(about)
                self._queued -= _counted(message, about)
                async with asyncio.timeout(_SEND_TIMEOUT):
                    await self._socket.send_bytes(message)
            async with asyncio.timeout(2 * _CLOSE_TIMEOUT):
                await self._socket.close()
        except (TimeoutError, ConnectionError, RuntimeError) as error:
            _logger.debug("signal connection cut: %s", type(error).__name__)
            if self._request.transport is not None:
                self._request.transport.abort()


def _counted(message: bytes, about: str) -> int:
    """Return what a message that waits counts against who does not read."""
    return 0 if about == EVERYBODY_HERE else len(message)
