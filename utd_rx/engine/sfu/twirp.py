"""`livekit.RoomService` over Twirp, protobuf only: one row for each method in `_METHODS`.

Every call is authorised by its own token; a grant that is missing is 401, not 403, as on
livekit-server (facts/sfu.md §6).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from aiohttp import web
from attrs import frozen
from google.protobuf.message import DecodeError, Message
from livekit import api
from livekit.protocol import models, room

from utd_rx.engine.serving import trust
from utd_rx.engine.sfu import tokens
from utd_rx.engine.sfu.limits import MAX_NAME_BYTES, LimitError, check_limits
from utd_rx.engine.sfu.sfu_participant import Reason, SfuParticipant
from utd_rx.engine.sfu.sfu_room import SfuRoom
from utd_rx.engine.sfu.sfu_rooms import SfuRooms
from utd_rx.engine.sfu.signalling import bearer_token

PREFIX: Final = "/twirp/livekit.RoomService/"
_STATUS: Final = {
    "invalid_argument": 400,
    "malformed": 400,
    "bad_route": 404,
    "not_found": 404,
    "unauthenticated": 401,
    "failed_precondition": 412,
}


class TwirpError(Exception):
    """A Twirp error: `code` decides the HTTP status."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def to_response(self) -> web.Response:
        """As Twirp puts it on the wire."""
        return web.json_response(
            {"code": self.code, "msg": self.message}, status=_STATUS[self.code]
        )


@frozen
class _Method:
    request: type[Message]
    grant: Callable[[api.VideoGrants, Any], bool]
    run: Callable[[RoomService, Any], Message]


class RoomService:
    """The HTTP handler and the calls."""

    def __init__(self, rooms: SfuRooms) -> None:
        self._rooms = rooms

    def routes(self) -> list[web.RouteDef]:
        """What the server must serve."""
        return [web.route("*", "/twirp/{path:.*}", self._handle)]

    async def _handle(self, request: web.Request) -> web.Response:
        try:
            return await self._call(request)
        except TwirpError as error:
            return error.to_response()

    async def _call(self, request: web.Request) -> web.Response:
        grants = self._grants(request)
        method = _METHODS.get(request.path.removeprefix(PREFIX))
        if method is None or request.method != "POST" or not request.path.startswith(PREFIX):
            raise TwirpError("bad_route", f"no handler for path {request.path!r}")
        if request.content_type != "application/protobuf":
            raise TwirpError("bad_route", f"unexpected Content-Type: {request.content_type!r}")
        if not (grants.room_admin or grants.room_create or grants.room_list):
            raise TwirpError("unauthenticated", "permissions denied")  # its body is not read
        trust(request)
        try:
            message = method.request.FromString(await request.read())
        except DecodeError as error:
            text = "the protobuf request could not be decoded"
            raise TwirpError("malformed", text) from error
        if not method.grant(grants, message):
            raise TwirpError("unauthenticated", "permissions denied")
        try:
            answer = method.run(self, message)
        except LimitError as error:
            raise TwirpError("invalid_argument", str(error)) from error
        return web.Response(body=answer.SerializeToString(), content_type="application/protobuf")

    def _grants(self, request: web.Request) -> api.VideoGrants:
        """What the token allows; nothing without one."""
        token = bearer_token(request)
        if not token:
            return api.VideoGrants()
        options = self._rooms.context.options
        try:
            return tokens.verify(token, options.api_key, options.api_secret).video
        except tokens.TokenError as error:
            raise web.HTTPUnauthorized(text=str(error)) from error

    # -- lookups ------------------------------------------------------------------------------

    def _room(self, name: str) -> SfuRoom:
        found = self._rooms.get(name)
        if found is None:
            raise TwirpError("not_found", "requested room does not exist")
        return found

    def _participant(self, name: str, identity: str) -> SfuParticipant:
        found = self._rooms.get(name)
        participant = found.get(identity) if found is not None else None
        if participant is None:
            raise TwirpError("not_found", "participant does not exist")
        return participant

    # -- rooms --------------------------------------------------------------------------------

    def create_room(self, request: room.CreateRoomRequest) -> models.Room:
        """Make a room; one that is there stays as it is, whatever is asked."""
        if not request.name:
            raise TwirpError("invalid_argument", "room name cannot be empty")
        if len(request.name.encode()) > MAX_NAME_BYTES:
            raise TwirpError("invalid_argument", "room name length exceeds limits")
        check_limits(metadata=request.metadata)
        return self._rooms.get_or_create(request.name, request).info()

    def list_rooms(self, request: room.ListRoomsRequest) -> room.ListRoomsResponse:
        """All rooms, or those named."""
        names = set(request.names)
        rooms = [one.info() for one in self._rooms if not names or one.name in names]
        return room.ListRoomsResponse(rooms=rooms)

    def delete_room(self, request: room.DeleteRoomRequest) -> room.DeleteRoomResponse:
        """Close a room and send everybody away."""
        self._rooms.close(self._room(request.room), Reason.ROOM_DELETED)
        return room.DeleteRoomResponse()

    def update_room_metadata(self, request: room.UpdateRoomMetadataRequest) -> models.Room:
        """Change a room's metadata."""
        check_limits(metadata=request.metadata)
        target = self._room(request.room)
        target.set_metadata(request.metadata)
        return target.info()

    def send_data(self, request: room.SendDataRequest) -> room.SendDataResponse:
        """Send a message from nobody."""
        if len(request.nonce) not in (0, 16):
            raise TwirpError("invalid_argument", "nonce should be 16-bytes or not present")
        self._room(request.room).send_data(request)
        return room.SendDataResponse()

    # -- participants -------------------------------------------------------------------------

    def list_participants(
        self, request: room.ListParticipantsRequest
    ) -> room.ListParticipantsResponse:
        """Everybody in a room; empty for a room that does not exist."""
        target = self._rooms.get(request.room)
        infos = [one.info() for one in target] if target is not None else []
        return room.ListParticipantsResponse(participants=infos)

    def get_participant(self, request: room.RoomParticipantIdentity) -> models.ParticipantInfo:
        """One participant."""
        return self._participant(request.room, request.identity).info()

    def remove_participant(
        self, request: room.RoomParticipantIdentity
    ) -> room.RemoveParticipantResponse:
        """Send a participant away; its token stays good."""
        self._participant(request.room, request.identity).close(Reason.PARTICIPANT_REMOVED)
        return room.RemoveParticipantResponse()

    def update_participant(self, request: room.UpdateParticipantRequest) -> models.ParticipantInfo:
        """Change name, metadata, attributes or permission; what is empty stays."""
        attributes = dict(request.attributes)
        check_limits(name=request.name, metadata=request.metadata, attributes=attributes)
        participant = self._participant(request.room, request.identity)
        participant.update(name=request.name, metadata=request.metadata, attributes=attributes)
        if request.HasField("permission"):
            participant.set_permission(request.permission, self._rooms.context.now())
        return participant.info()

    def mute_published_track(
        self, request: room.MuteRoomTrackRequest
    ) -> room.MuteRoomTrackResponse:
        """Mute a track, or unmute it where that is enabled."""
        participant = self._participant(request.room, request.identity)
        publication = participant.publications.get(request.track_sid)
        if publication is None:
            raise TwirpError("not_found", "track is not found")
        if not request.muted and not self._rooms.context.options.enable_remote_unmute:
            raise TwirpError("failed_precondition", "remote unmute not enabled")
        participant.mute_remotely(publication, request.muted)
        return room.MuteRoomTrackResponse(track=publication.info)


def _may_create(grants: api.VideoGrants, _request: Any) -> bool:
    return bool(grants.room_create)


def _may_list(grants: api.VideoGrants, _request: Any) -> bool:
    return bool(grants.room_list)


def _may_administer(grants: api.VideoGrants, request: Any) -> bool:
    return bool(grants.room_admin) and grants.room == request.room


_METHODS: Final[dict[str, _Method]] = {
    "CreateRoom": _Method(room.CreateRoomRequest, _may_create, RoomService.create_room),
    "ListRooms": _Method(room.ListRoomsRequest, _may_list, RoomService.list_rooms),
    "DeleteRoom": _Method(room.DeleteRoomRequest, _may_create, RoomService.delete_room),
    "UpdateRoomMetadata": _Method(
        room.UpdateRoomMetadataRequest, _may_administer, RoomService.update_room_metadata
    ),
    "SendData": _Method(room.SendDataRequest, _may_administer, RoomService.send_data),
    "ListParticipants": _Method(
        room.ListParticipantsRequest, _may_administer, RoomService.list_participants
    ),
    "GetParticipant": _Method(
        room.RoomParticipantIdentity, _may_administer, RoomService.get_participant
    ),
    "RemoveParticipant": _Method(
        room.RoomParticipantIdentity, _may_administer, RoomService.remove_participant
    ),
    "UpdateParticipant": _Method(
        room.UpdateParticipantRequest, _may_administer, RoomService.update_participant
    ),
    "MutePublishedTrack": _Method(
        room.MuteRoomTrackRequest, _may_administer, RoomService.mute_published_track
    ),
}
