"""What a client may ask on its signal connection: one function per SignalRequest field.

A request that is not allowed gets a RequestResponse or is ignored, as on livekit-server; none
raises. `trickle` needs no answer: we are ICE-lite and learn addresses from checks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from livekit.protocol import models, rtc

from utd_rx.engine.sfu.options import MAX_TRACKS_PER_PARTICIPANT
from utd_rx.engine.sfu.participant import LimitError, Participant

_MAX_WISHES: Final = 4096

Handler = Callable[[Participant, Any, float], None]


def handle(participant: Participant, request: rtc.SignalRequest, now: float) -> None:
    """Carry out one request; unknown ones are ignored."""
    kind = request.WhichOneof("message")
    handler = _HANDLERS.get(kind) if kind is not None else None
    if handler is not None and not participant.is_closed:
        handler(participant, getattr(request, str(kind)), now)


def add_track(participant: Participant, request: rtc.AddTrackRequest, _now: float) -> None:
    """Announce a track, or refuse it as the real server does: `request_id` stays 0."""
    if not participant.grants.may_publish(request.source):
        reason, message = rtc.RequestResponse.NOT_ALLOWED, "does not have permission to publish"
    elif len(participant.publications) >= MAX_TRACKS_PER_PARTICIPANT:
        reason, message = rtc.RequestResponse.LIMIT_EXCEEDED, "too many tracks"
    elif request.type not in (models.TrackType.AUDIO, models.TrackType.VIDEO):
        reason, message = rtc.RequestResponse.UNSUPPORTED_TYPE, "neither audio nor video"
    else:
        participant.publish(request)
        return
    participant.send(
        request_response=rtc.RequestResponse(reason=reason, message=message, add_track=request)
    )


def _offer(participant: Participant, request: rtc.SessionDescription, now: float) -> None:
    participant.on_offer(request, now)


def _mute(participant: Participant, request: rtc.MuteTrackRequest, _now: float) -> None:
    publication = participant.publications.get(request.sid)
    if publication is not None:
        participant.set_muted(publication, request.muted)


def apply_subscription(participant: Participant, track_sids: list[str], is_wanted: bool) -> None:
    """Remember and apply an explicit wish, of the client or of an admin."""
    for sid in track_sids:
        if len(participant.wishes) < _MAX_WISHES or sid in participant.wishes:
            participant.wishes[sid] = is_wanted
    participant.room.reconcile(participant)


def subscription_sids(request: Any) -> list[str]:
    """All track sids an UpdateSubscription or UpdateSubscriptionsRequest names."""
    nested = [sid for one in request.participant_tracks for sid in one.track_sids]
    return [*request.track_sids, *nested]


def _subscription(participant: Participant, request: rtc.UpdateSubscription, _now: float) -> None:
    apply_subscription(participant, subscription_sids(request), request.subscribe)


def _track_setting(participant: Participant, request: rtc.UpdateTrackSettings, now: float) -> None:
    participant.subscriptions.pause(request.track_sids, request.disabled, now)


def _subscription_permission(
    participant: Participant, request: rtc.SubscriptionPermission, _now: float
) -> None:
    participant.subscription_permission = request
    participant.room.reconcile_subscribers(participant)


def _leave(participant: Participant, request: rtc.LeaveRequest, _now: float) -> None:
    reason = request.reason or models.DisconnectReason.CLIENT_INITIATED
    participant.close(reason)


def _sync_state(participant: Participant, request: rtc.SyncState, now: float) -> None:
    # Everything else in it is still here: a resume keeps the participant.
    participant.subscriptions.pause(request.track_sids_disabled, True, now)


def _simulate(participant: Participant, request: rtc.SimulateScenario, _now: float) -> None:
    leave = models.DisconnectReason
    match request.WhichOneof("scenario"):
        case "server_leave":
            participant.close(leave.SERVER_SHUTDOWN)
        case "node_failure" | "migration" | "leave_request_full_reconnect":
            participant.send(
                leave=rtc.LeaveRequest(
                    reason=leave.CLIENT_INITIATED, action=rtc.LeaveRequest.RECONNECT
                )
            )
        case "disconnect_signal_on_resume" | "disconnect_signal_on_resume_no_messages":
            participant.is_signal_cut_on_resume = True


def _ping(participant: Participant, _request: int, _now: float) -> None:
    participant.send(pong=int(time.time() * 1000))


def _ping_req(participant: Participant, request: rtc.Ping, _now: float) -> None:
    participant.send(
        pong_resp=rtc.Pong(last_ping_timestamp=request.timestamp, timestamp=int(time.time() * 1000))
    )


def _update_metadata(
    participant: Participant, request: rtc.UpdateParticipantMetadata, _now: float
) -> None:
    response = rtc.RequestResponse(request_id=request.request_id, update_metadata=request)
    if not participant.grants.can_update_metadata:
        response.reason = rtc.RequestResponse.NOT_ALLOWED
        response.message = "does not have permission to update own metadata"
    else:
        try:
            participant.update(
                name=request.name,
                metadata=request.metadata,
                attributes=dict(request.attributes),
            )
        except LimitError as error:
            response.reason = rtc.RequestResponse.LIMIT_EXCEEDED
            response.message = str(error)
    participant.send(request_response=response)


def _update_audio_track(
    participant: Participant, request: rtc.UpdateLocalAudioTrack, _now: float
) -> None:
    publication = participant.publications.get(request.track_sid)
    if publication is not None:
        del publication.info.audio_features[:]
        publication.info.audio_features.extend(request.features)
        participant.touch()
        participant.room.publish_info(participant)


def _update_video_track(
    participant: Participant, request: rtc.UpdateLocalVideoTrack, _now: float
) -> None:
    publication = participant.publications.get(request.track_sid)
    if publication is not None:
        publication.info.width, publication.info.height = request.width, request.height
        participant.touch()
        participant.room.publish_info(participant)


_HANDLERS: Final[Mapping[str, Handler]] = {
    "offer": _offer,
    "add_track": add_track,
    "mute": _mute,
    "subscription": _subscription,
    "track_setting": _track_setting,
    "subscription_permission": _subscription_permission,
    "leave": _leave,
    "sync_state": _sync_state,
    "simulate": _simulate,
    "ping": _ping,
    "ping_req": _ping_req,
    "update_metadata": _update_metadata,
    "update_audio_track": _update_audio_track,
    "update_video_track": _update_video_track,
}
