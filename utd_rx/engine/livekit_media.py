"""`LiveKitMedia`: the SFU's port over LiveKit's server API; the only module that talks to it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

import aiohttp
from livekit import api

from utd_rx.engine.media import (
    ABANDONED_ROOM_SECONDS,
    EMPTY_ROOM_SECONDS,
    MediaParticipant,
    MediaRoom,
    MediaTrack,
    MediaUnavailable,
)
from utd_rx.engine.rules.refusal import conflict
from utd_rx.engine.rules.roles import Grant
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import TrackSource
from utd_rx.models.secrets import foreign_text

R = TypeVar("R")
T = TypeVar("T")

# A loopback call takes 2-4 ms (docs/livekit.md, "Joining"). A client gives the engine 8 s in all.
CALL_TIMEOUT: Final = aiohttp.ClientTimeout(total=5.0)


class LiveKitMedia:
    """`Media` over LiveKit's `RoomService`, which more SFUs than its own answer."""

    def __init__(self, url: str, api_key: str, api_secret: str) -> None:
        self._api = api.LiveKitAPI(url, api_key, api_secret, timeout=CALL_TIMEOUT)

    async def open_room(self, room: str, metadata: str, most: int = 0) -> MediaRoom:
        """Make the room, for `most` people (0: any number), unless it is there.

        One that is there stays as it is, its metadata, too.
        """
        request = api.CreateRoomRequest(
            name=room,
            metadata=metadata,
            empty_timeout=EMPTY_ROOM_SECONDS,
            departure_timeout=ABANDONED_ROOM_SECONDS,
            max_participants=most,
        )
        found = await _answer(self._api.room.create_room(request), room_of)
        if found is None:  # only what is asked about may be missing
            raise MediaUnavailable("it has no room service")
        return found

    async def close_room(self, room: str) -> bool:
        return await _found(self._api.room.delete_room(api.DeleteRoomRequest(room=room)))

    async def list_rooms(self) -> tuple[MediaRoom, ...]:
        def read(found: api.ListRoomsResponse) -> tuple[MediaRoom, ...]:
            return tuple(map(room_of, found.rooms))

        return await _answer(self._api.room.list_rooms(api.ListRoomsRequest()), read) or ()

    async def list_participants(self, room: str) -> tuple[MediaParticipant, ...]:
        def read(found: api.ListParticipantsResponse) -> tuple[MediaParticipant, ...]:
            return tuple(map(participant_of, found.participants))

        request = api.ListParticipantsRequest(room=room)
        return await _answer(self._api.room.list_participants(request), read) or ()

    async def get_participant(self, room: str, identity: str) -> MediaParticipant | None:
        request = api.RoomParticipantIdentity(room=room, identity=identity)
        return await _answer(self._api.room.get_participant(request), participant_of)

    async def remove(self, room: str, identity: str) -> bool:
        request = api.RoomParticipantIdentity(room=room, identity=identity)
        return await _found(self._api.room.remove_participant(request))

    async def set_grant(self, room: str, identity: str, grant: Grant) -> bool:
        request = api.UpdateParticipantRequest(
            room=room,
            identity=identity,
            permission=api.ParticipantPermission(
                can_publish=grant.can_publish,
                can_subscribe=grant.can_subscribe,
                can_publish_data=grant.can_publish_data,
                can_publish_sources=[api.TrackSource.Name(it.value) for it in grant.sources],
            ),
        )
        return await _found(self._api.room.update_participant(request))

    async def set_metadata(self, room: str, identity: str, metadata: str) -> bool:
        request = api.UpdateParticipantRequest(room=room, identity=identity, metadata=metadata)
        return await _found(self._api.room.update_participant(request))

    async def set_room_metadata(self, room: str, metadata: str) -> bool:
        request = api.UpdateRoomMetadataRequest(room=room, metadata=metadata)
        return await _found(self._api.room.update_room_metadata(request))

    async def send(
        self, room: str, message: Mapping[str, object], to: tuple[str, ...] | None
    ) -> None:
        """Send an engine message, reliably; only call it for a room somebody is connected to."""
        request = api.SendDataRequest(
            room=room,
            data=json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode(),
            kind=api.DataPacket.Kind.RELIABLE,
            destination_identities=to or (),
        )
        await _reached(self._api.room.send_data(request))

    async def mute(self, room: str, identity: str, track: str, *, is_muted: bool) -> bool:
        request = api.MuteRoomTrackRequest(
            room=room, identity=identity, track_sid=track, muted=is_muted
        )
        return await _reached(self._api.room.mute_published_track(request))

    async def aclose(self) -> None:
        await self._api.aclose()


class _NobodyAnswered(MediaUnavailable):
    """livekit-server passed a call on to the room or participant, and nobody took it for 3 s."""


async def _answer(call: Awaitable[T], read: Callable[[T], R]) -> R | None:
    """Await a call of the server API, and read its answer; None is no such room or participant."""
    try:
        return read(await call)
    except api.TwirpError as error:
        if error.code == api.TwirpErrorCode.NOT_FOUND:
            return None
        message = str(error.message)  # both are whatever JSON was in the body
        if "remote unmute not enabled" in message:
            raise conflict("the media server does not let the engine unmute anybody") from error
        detail = f"{foreign_text(str(error.code))} (HTTP {error.status})"
        if "no response from servers" in message:
            raise _NobodyAnswered(detail) from error
        raise MediaUnavailable(detail) from error
    # The boundary: whatever comes of an answer that is none, in LiveKit's library as in `read`, is
    # no answer, or whoever repeats a question would end with it.
    except Exception as error:
        raise MediaUnavailable(type(error).__name__) from error


async def _found(call: Awaitable[object]) -> bool:
    return await _answer(call, lambda _: True) is True


async def _reached(call: Awaitable[object]) -> bool:
    """As `_found`, for the calls that livekit-server does not look up before it passes them on."""
    try:
        return await _found(call)
    except _NobodyAnswered:
        return False


def room_of(info: api.Room) -> MediaRoom:
    """Read LiveKit's record of a room, from an API reply or a webhook."""
    return MediaRoom(
        name=info.name,
        sid=info.sid,
        participant_count=info.num_participants,
        max_participants=info.max_participants,
        created_at=float(info.creation_time),
        metadata=info.metadata,
    )


def participant_of(info: api.ParticipantInfo) -> MediaParticipant:
    """Read LiveKit's record of a participant, from an API reply or a webhook."""
    permission = info.permission
    return MediaParticipant(
        identity=info.identity,
        sid=info.sid,
        name=info.name,
        state=api.ParticipantInfo.State.Name(info.state).lower(),
        joined_at=float(info.joined_at),
        metadata=info.metadata,
        attributes=FrozenMap(dict(info.attributes)),
        grant=Grant(
            can_publish=permission.can_publish,
            can_subscribe=permission.can_subscribe,
            can_publish_data=permission.can_publish_data,
            sources=tuple(TrackSource(source) for source in permission.can_publish_sources),
        ),
        tracks=tuple(map(track_of, info.tracks)),
    )


def track_of(info: api.TrackInfo) -> MediaTrack:
    """Read LiveKit's record of a track, from an API reply or a webhook."""
    return MediaTrack(
        sid=info.sid,
        kind=api.TrackType.Name(info.type).lower(),
        source=TrackSource(info.source),
        is_muted=info.muted,
        width=info.width,
        height=info.height,
    )
