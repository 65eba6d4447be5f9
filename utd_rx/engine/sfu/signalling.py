"""The signal connection: `GET /rtc/v1` as WebSocket, and the validate end points.

Only `/rtc/v1` exists (one transport, the client offers); `/rtc` is answered 404. Everything that
can be refused is refused before the upgrade, with the status livekit-server uses: the client has
no other typed answer (docs/livekit.md, "Signalling" and "Room service").
"""

from __future__ import annotations

from functools import partial
from typing import Final

from aiohttp import web
from livekit.protocol import models, rtc

from utd_rx.engine.serving import trust
from utd_rx.engine.sfu import requests, tokens
from utd_rx.engine.sfu.answers import enabled_codecs
from utd_rx.engine.sfu.limits import MAX_NAME_BYTES, check_limits, decode_join_request
from utd_rx.engine.sfu.sfu_participant import Reason, SfuParticipant
from utd_rx.engine.sfu.sfu_room import RoomFullError, SfuRoom
from utd_rx.engine.sfu.sfu_rooms import SfuRooms
from utd_rx.engine.sfu.signal_socket import SignalSocket

PING_INTERVAL: Final = 5
PING_TIMEOUT: Final = 15
_WILDCARDS: Final = frozenset({"", "0.0.0.0"})  # noqa: S104 - compared with, not bound to
_SERVER_INFO: Final = models.ServerInfo(
    edition=models.ServerInfo.Standard,
    version="1.13.5",
    protocol=16,
    region="local",
    node_id="ND_embedded",
)


def routes(rooms: SfuRooms) -> list[web.RouteDef]:
    return [
        web.get("/rtc/v1", partial(_connect, rooms)),
        web.get("/rtc/v1/validate", partial(_validate, rooms)),
    ]


async def _validate(rooms: SfuRooms, request: web.Request) -> web.Response:
    _check(rooms, request)
    return web.Response(text="success")


def _check(rooms: SfuRooms, request: web.Request) -> tuple[tokens.AccessClaims, rtc.JoinRequest]:
    """What token and join request say; 401 or 400 for bad ones, as livekit-server."""
    token = bearer_token(request) or request.query.get("access_token", "")
    try:
        claims = tokens.verify(token, rooms.context.options)
    except tokens.TokenError as error:
        raise web.HTTPUnauthorized(text=str(error)) from error
    if not claims.video.room_join:
        raise web.HTTPUnauthorized(text="permissions denied")
    try:
        join = decode_join_request(request.query.get("join_request", ""))
        _check_claims(claims)
    except ValueError as error:
        raise web.HTTPBadRequest(text=str(error)) from error
    return claims, join


async def _connect(rooms: SfuRooms, request: web.Request) -> web.StreamResponse:
    signal = SignalSocket(request)
    participant = await _open(rooms, request, signal)
    if participant is None:
        return await signal.serve()
    return await signal.serve(
        partial(requests.handle, participant, rooms.context.now),
        partial(requests.refuse, participant),
        partial(participant.on_signal_closed, signal),
    )


async def _open(
    rooms: SfuRooms, request: web.Request, signal: SignalSocket
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
    host = _media_host(rooms.context.options.host, request)
    try:
        participant = room.add(claims, join, host, rooms.context.now())
    except RoomFullError as error:
        raise web.HTTPInternalServerError(text="could not join: room is full") from error
    try:
        await signal.upgrade()
        _welcome(room, participant, join, signal)
    except BaseException:
        # Nobody would ever end it: what follows, which does, is not reached.
        participant.close(Reason.JOIN_FAILURE)
        raise
    return participant


def _welcome(
    room: SfuRoom, participant: SfuParticipant, join: rtc.JoinRequest, signal: SignalSocket
) -> None:
    """Send the JoinResponse and handle what came with the request."""
    now = room.context.now()
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
    if join.HasField("publisher_offer"):
        participant.on_offer(join.publisher_offer, now)


def _resume(
    rooms: SfuRooms, claims: tokens.AccessClaims, sid: str, signal: SignalSocket
) -> SfuParticipant | None:
    """Give a participant its new signal connection, or tell the client how it ended.

    A client that slept through a join of the same identity resumes before it reads that it
    was replaced. Told to start over, it would throw out the newer one
    (docs/livekit.md, "Sleepers").
    """
    room = rooms.get(claims.video.room)
    participant = room.get(claims.identity) if room is not None else None
    if room is None or participant is None:
        _send_away(signal, Reason.STATE_MISMATCH, rtc.LeaveRequest.RECONNECT)
        return None
    if participant.sid != sid:
        _send_away(signal, Reason.DUPLICATE_IDENTITY, rtc.LeaveRequest.DISCONNECT)
        return None
    participant.attach(signal)
    participant.send(
        reconnect=rtc.ReconnectResponse(
            server_info=_SERVER_INFO, last_message_seq=participant.last_sequence
        )
    )
    # The client takes everybody missing from this snapshot for gone.
    infos = [participant.info(), *room.others(participant)]
    participant.send(update=rtc.ParticipantUpdate(participants=infos))
    participant.send(room_update=rtc.RoomUpdate(room=room.info()))
    participant.push_token(rooms.context.now())
    participant.subscriptions.end_request()
    return participant


def _send_away(
    signal: SignalSocket, reason: models.DisconnectReason, action: rtc.LeaveRequest.Action
) -> None:
    leave = rtc.LeaveRequest(reason=reason, action=action)
    signal.send(rtc.SignalResponse(leave=leave).SerializeToString())
    signal.close()


def bearer_token(request: web.Request) -> str:
    """The token of the Authorization header, empty when there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme == "Bearer" else ""


def _check_claims(claims: tokens.AccessClaims) -> None:
    if not claims.identity:
        raise ValueError("identity cannot be empty")
    if not claims.video.room:
        raise ValueError("room name cannot be empty")
    if any(len(name.encode()) > MAX_NAME_BYTES for name in (claims.identity, claims.video.room)):
        raise ValueError("identity or room name exceeds limits")
    check_limits(name=claims.name, metadata=claims.metadata, attributes=claims.attributes)


def _media_host(bound: str, request: web.Request) -> str:
    """The address the client shall send media to: ours, or the one it reached us at."""
    if bound not in _WILDCARDS:
        return bound
    local = request.transport.get_extra_info("sockname") if request.transport else None
    return str(local[0]) if local else "127.0.0.1"
