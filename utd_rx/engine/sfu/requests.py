"""What a client may ask on its signal connection: one function per SignalRequest field.

None raises. `trickle` needs no answer: we are ICE-lite and learn addresses from checks. Nor does
`sync_state`: a resume keeps the participant and all that is its. Of `update_layers` the newer
`track_setting` says all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from livekit.protocol import models, rtc

from utd_rx.engine.sfu import tokens
from utd_rx.engine.sfu.audience import audience
from utd_rx.engine.sfu.limits import MAX_TRACKS, MAX_WISHES, LimitError
from utd_rx.engine.sfu.sfu_participant import SfuParticipant


def handle(participant: SfuParticipant, request: rtc.SignalRequest) -> Iterator[None]:
    """Carry out one request, or refuse what is not offered here; unknown ones are ignored.

    In parts: others have a turn whenever it yields.
    """
    kind = request.WhichOneof("message") or ""
    handler = _HANDLERS.get(kind)
    if participant.is_closed:
        return
    if handler is not None:
        yield from handler(participant, getattr(request, kind)) or ()
    elif kind and kind not in _NEEDLESS:
        _refuse_unsupported(participant, kind)


def _refuse_unsupported(participant: SfuParticipant, what: str) -> None:
    response = rtc.RequestResponse(
        reason=rtc.RequestResponse.UNSUPPORTED_TYPE,
        message=f"{what}: the embedded media server does not offer that, livekit-server does",
    )
    participant.send(request_response=response)


def refuse(participant: SfuParticipant, error: LimitError) -> None:
    reason = rtc.RequestResponse.LIMIT_EXCEEDED
    response = rtc.RequestResponse(
        request_id=error.request_id, reason=reason, message=str(error), **error.about
    )
    participant.send(request_response=response)


def _add_track(participant: SfuParticipant, request: rtc.AddTrackRequest) -> None:
    """Announce a track, or refuse it as the real server does: `request_id` stays 0."""
    if not tokens.may_publish(participant.permission, request.source):
        reason, message = rtc.RequestResponse.NOT_ALLOWED, "does not have permission to publish"
    elif len(participant.publications) >= MAX_TRACKS:
        reason, message = rtc.RequestResponse.LIMIT_EXCEEDED, "too many tracks"
    elif request.type not in (models.TrackType.AUDIO, models.TrackType.VIDEO):
        reason, message = rtc.RequestResponse.UNSUPPORTED_TYPE, "neither audio nor video"
    else:
        participant.publish(request)
        return
    refused = rtc.AddTrackRequest(cid=request.cid)
    response = rtc.RequestResponse(reason=reason, message=message, add_track=refused)
    participant.send(request_response=response)


def _mute(participant: SfuParticipant, request: rtc.MuteTrackRequest) -> None:
    publication = participant.publications.get(request.sid)
    if publication is None:
        _refuse_unknown(participant, mute=request)
    else:
        participant.set_muted(publication, request.muted)


def _refuse_unknown(participant: SfuParticipant, **about: Any) -> None:
    """Say of a request that it is about no track of this participant's."""
    response = rtc.RequestResponse(
        reason=rtc.RequestResponse.NOT_FOUND,
        message="no track of this participant has that sid: it has ended, or is another's",
        **about,
    )
    participant.send(request_response=response)


def _require_kept(participant: SfuParticipant, are_kept: bool) -> None:
    if not are_kept:
        message = f"these are wishes about more than {MAX_WISHES} tracks: the last are not kept"
        refuse(participant, LimitError(message))


def _subscription(participant: SfuParticipant, request: rtc.UpdateSubscription) -> None:
    nested = [sid for one in request.participant_tracks for sid in one.track_sids]
    are_kept = True
    for sid in [*request.track_sids, *nested]:
        if len(participant.wishes) < MAX_WISHES or sid in participant.wishes:
            participant.wishes[sid] = request.subscribe
        else:
            are_kept = False
    _require_kept(participant, are_kept)
    participant.owner.reconcile(participant)


def _publish_data_track(participant: SfuParticipant, request: rtc.PublishDataTrackRequest) -> None:
    if participant.permission.can_publish_data:
        participant.publish_data(request)
        return
    refused = rtc.PublishDataTrackRequest(pub_handle=request.pub_handle)
    reason, message = rtc.RequestResponse.NOT_ALLOWED, "does not have permission to publish data"
    response = rtc.RequestResponse(reason=reason, message=message, publish_data_track=refused)
    participant.send(request_response=response)


def _unpublish_data_track(
    participant: SfuParticipant, request: rtc.UnpublishDataTrackRequest
) -> None:
    if not participant.unpublish_data(request.pub_handle):
        about = rtc.UnpublishDataTrackRequest(pub_handle=request.pub_handle)
        reason = rtc.RequestResponse.NOT_FOUND
        response = rtc.RequestResponse(reason=reason, unpublish_data_track=about)
        participant.send(request_response=response)


def _data_subscription(participant: SfuParticipant, request: rtc.UpdateDataSubscription) -> None:
    _require_kept(participant, participant.data_receptions.wish(request))
    participant.owner.reconcile(participant)


def _track_setting(participant: SfuParticipant, request: rtc.UpdateTrackSettings) -> None:
    now = asyncio.get_running_loop().time()
    _require_kept(participant, participant.subscriptions.set_settings(request, now))


def _update_audio_track(participant: SfuParticipant, request: rtc.UpdateLocalAudioTrack) -> None:
    if not participant.describe(request):
        _refuse_unknown(participant, update_audio_track=request)


def _update_video_track(participant: SfuParticipant, request: rtc.UpdateLocalVideoTrack) -> None:
    if not participant.describe(request):
        _refuse_unknown(participant, update_video_track=request)


def _let_receive(participant: SfuParticipant, request: rtc.SubscriptionPermission) -> None:
    participant.audience = audience(request)
    participant.owner.reconcile(participant)


def _leave(participant: SfuParticipant, request: rtc.LeaveRequest) -> None:
    participant.close(request.reason or models.DisconnectReason.CLIENT_INITIATED)


def _simulate(participant: SfuParticipant, request: rtc.SimulateScenario) -> None:
    """What a client of tests asks for: that the server leaves, or wants a new join."""
    scenario = request.WhichOneof("scenario") or "nothing"
    if scenario == "server_leave":
        participant.close(models.DisconnectReason.SERVER_SHUTDOWN)
    elif scenario == "leave_request_full_reconnect":
        reason = models.DisconnectReason.CLIENT_INITIATED
        participant.close(reason, rtc.LeaveRequest.RECONNECT)
    else:
        _refuse_unsupported(participant, f"simulate {scenario}")


def _ping(participant: SfuParticipant, _request: int) -> None:
    participant.send(pong=int(time.time() * 1000))


def _ping_req(participant: SfuParticipant, request: rtc.Ping) -> None:
    now_ms = int(time.time() * 1000)
    participant.send(pong_resp=rtc.Pong(last_ping_timestamp=request.timestamp, timestamp=now_ms))


def _update_metadata(participant: SfuParticipant, request: rtc.UpdateParticipantMetadata) -> None:
    response = rtc.RequestResponse(request_id=request.request_id)
    if not participant.permission.can_update_metadata:
        response.reason = rtc.RequestResponse.NOT_ALLOWED
        response.message = "does not have permission to update own metadata"
    else:
        try:
            participant.update(request.name, request.metadata, dict(request.attributes))
        except LimitError as error:
            response.reason = rtc.RequestResponse.LIMIT_EXCEEDED
            response.message = str(error)
    participant.send(request_response=response)


_NEEDLESS: Final = frozenset({"trickle", "sync_state", "update_layers"})
_HANDLERS: Final[Mapping[str, Callable[[SfuParticipant, Any], Iterator[None] | None]]] = {
    "offer": SfuParticipant.on_offer,
    "answer": SfuParticipant.on_answer,
    "add_track": _add_track,
    "mute": _mute,
    "subscription": _subscription,
    "track_setting": _track_setting,
    "subscription_permission": _let_receive,
    "publish_data_track_request": _publish_data_track,
    "unpublish_data_track_request": _unpublish_data_track,
    "update_data_subscription": _data_subscription,
    "leave": _leave,
    "simulate": _simulate,
    "update_audio_track": _update_audio_track,
    "update_video_track": _update_video_track,
    "ping": _ping,
    "ping_req": _ping_req,
    "update_metadata": _update_metadata,
}
