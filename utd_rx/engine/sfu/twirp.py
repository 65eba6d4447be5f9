"""`livekit.RoomService` over Twirp, protobuf only: one function for each call.

Every call is authorised by its own token; a grant that is missing is 401, not 403, as on
livekit-server (docs/livekit.md, "Room service").
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Literal

from aiohttp import web
from google.protobuf.message import DecodeError, Message
from livekit import api
from livekit.protocol import room, rtc

from utd_rx.engine.serving import trust
from utd_rx.engine.sfu.data_messages import deliver_from_api
from utd_rx.engine.sfu.limits import MAX_NAME_BYTES, LimitError, check_entries, check_limits
from utd_rx.engine.sfu.sfu_participant import Reason, SfuParticipant
from utd_rx.engine.sfu.sfu_room import SfuRoom
from utd_rx.engine.sfu.sfu_rooms import SfuRooms
from utd_rx.engine.sfu.signalling import bearer_token, verified

_Grant = Literal["room_admin", "room_create", "room_list"]

PREFIX: Final = "/twirp/livekit.RoomService/"
_ERRORS: Final[dict[str, type[web.HTTPError]]] = {
    "invalid_argument": web.HTTPBadRequest,
    "malformed": web.HTTPBadRequest,
    "bad_route": web.HTTPNotFound,
    "not_found": web.HTTPNotFound,
    "unauthenticated": web.HTTPUnauthorized,
}


def _error(code: str, message: str) -> web.HTTPError:
    text = json.dumps({"code": code, "msg": message})
    return _ERRORS[code](text=text, content_type="application/json")


def routes(rooms: SfuRooms) -> list[web.RouteDef]:
    return [web.route("*", "/twirp/{path:.*}", partial(_handle, rooms))]


async def _handle(rooms: SfuRooms, request: web.Request) -> web.Response:
    token = bearer_token(request)
    grants = verified(rooms, token).video if token else api.VideoGrants()
    call = _CALLS.get(request.path.removeprefix(PREFIX))
    if call is None or request.method != "POST" or not request.path.startswith(PREFIX):
        text = f"no handler for path {request.path!r}"
        if request.path.startswith("/twirp/livekit."):
            text += ": of these the embedded media server has a few, livekit-server has all"
        raise _error("bad_route", text)
    if request.content_type != "application/protobuf":
        text = f"unexpected Content-Type: {request.content_type!r}; send application/protobuf"
        raise _error("bad_route", text)
    if not (grants.room_admin or grants.room_create or grants.room_list):
        raise _error("unauthenticated", "permissions denied")  # its body is not read
    trust(request)
    kind, grant, run = call
    try:
        message: Any = kind.FromString(await request.read())
    except DecodeError as error:
        raise _error("malformed", "the protobuf request could not be decoded") from error
    is_granted = getattr(grants, grant)
    if not is_granted or (grant == "room_admin" and grants.room != message.room):
        raise _error("unauthenticated", "permissions denied")
    try:
        check_entries(message)
        answer = run(rooms, message)
    except LimitError as error:
        raise _error("invalid_argument", str(error)) from error
    return web.Response(body=answer.SerializeToString(), content_type="application/protobuf")


def _room(rooms: SfuRooms, name: str) -> SfuRoom:
    found = rooms.get(name)
    if found is None:
        raise _error("not_found", "requested room does not exist")
    return found


def _participant(rooms: SfuRooms, request: Any) -> SfuParticipant:
    found = rooms.get(request.room)
    participant = found.get(request.identity) if found is not None else None
    if participant is None:
        raise _error("not_found", "participant does not exist")
    return participant


def _create_room(rooms: SfuRooms, request: room.CreateRoomRequest) -> Message:
    """Make a room; one that is there stays as it is, whatever is asked."""
    if not request.name:
        raise _error("invalid_argument", "room name cannot be empty")
    if len(request.name.encode()) > MAX_NAME_BYTES:
        raise _error("invalid_argument", "room name length exceeds limits")
    check_limits(metadata=request.metadata)
    return rooms.get_or_create(request.name, request).info()


def _list_rooms(rooms: SfuRooms, request: room.ListRoomsRequest) -> Message:
    names = set(request.names)
    found = [one.info() for one in rooms if not names or one.name in names]
    return room.ListRoomsResponse(rooms=found)


def _delete_room(rooms: SfuRooms, request: room.DeleteRoomRequest) -> Message:
    rooms.close(_room(rooms, request.room), Reason.ROOM_DELETED)
    return room.DeleteRoomResponse()


def _update_room_metadata(rooms: SfuRooms, request: room.UpdateRoomMetadataRequest) -> Message:
    check_limits(metadata=request.metadata)
    target = _room(rooms, request.room)
    target.set_metadata(request.metadata)
    return target.info()


def _send_data(rooms: SfuRooms, request: room.SendDataRequest) -> Message:
    if len(request.nonce) not in (0, 16):
        raise _error("invalid_argument", "nonce should be 16-bytes or not present")
    for _ in deliver_from_api(_room(rooms, request.room), request):
        pass  # at once: who rules a room may have the time
    return room.SendDataResponse()


def _list_participants(rooms: SfuRooms, request: room.ListParticipantsRequest) -> Message:
    infos = [one.info() for one in rooms.get(request.room) or ()]
    return room.ListParticipantsResponse(participants=infos)


def _get_participant(rooms: SfuRooms, request: room.RoomParticipantIdentity) -> Message:
    return _participant(rooms, request).info()


def _remove_participant(rooms: SfuRooms, request: room.RoomParticipantIdentity) -> Message:
    _participant(rooms, request).close(Reason.PARTICIPANT_REMOVED)
    return room.RemoveParticipantResponse()


def _update_participant(rooms: SfuRooms, request: room.UpdateParticipantRequest) -> Message:
    """Change name, metadata, attributes or permission; what is empty stays."""
    said = request.name, request.metadata, dict(request.attributes)
    check_limits(*said)
    participant = _participant(rooms, request)
    participant.update(*said)
    if request.HasField("permission"):
        participant.set_permission(request.permission)
    return participant.info()


def _mute_published_track(rooms: SfuRooms, request: room.MuteRoomTrackRequest) -> Message:
    """Mute a track, or unmute it: here that is enabled."""
    participant = _participant(rooms, request)
    publication = participant.publications.get(request.track_sid)
    if publication is None:
        raise _error("not_found", "track is not found")
    participant.send(mute=rtc.MuteTrackRequest(sid=publication.sid, muted=request.muted))
    participant.set_muted(publication, request.muted)
    return room.MuteRoomTrackResponse(track=publication.info)


_CALLS: Final[Mapping[str, tuple[type[Message], _Grant, Callable[..., Message]]]] = {
    "CreateRoom": (room.CreateRoomRequest, "room_create", _create_room),
    "ListRooms": (room.ListRoomsRequest, "room_list", _list_rooms),
    "DeleteRoom": (room.DeleteRoomRequest, "room_create", _delete_room),
    "UpdateRoomMetadata": (room.UpdateRoomMetadataRequest, "room_admin", _update_room_metadata),
    "SendData": (room.SendDataRequest, "room_admin", _send_data),
    "ListParticipants": (room.ListParticipantsRequest, "room_admin", _list_participants),
    "GetParticipant": (room.RoomParticipantIdentity, "room_admin", _get_participant),
    "RemoveParticipant": (room.RoomParticipantIdentity, "room_admin", _remove_participant),
    "UpdateParticipant": (room.UpdateParticipantRequest, "room_admin", _update_participant),
    "MutePublishedTrack": (room.MuteRoomTrackRequest, "room_admin", _mute_published_track),
}
