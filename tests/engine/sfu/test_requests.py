"""What a client asks for: done, or refused with a sentence that helps. No network."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from google.protobuf.message import Message
from livekit.protocol import models, rtc

from tests.engine.sfu.rooms import done, join
from utd_rx.engine.sfu import requests, sdp
from utd_rx.engine.sfu.limits import MAX_WISHES
from utd_rx.engine.sfu.sfu_participant import Reason
from utd_rx.engine.sfu.sfu_room import SfuRoom

Recorded = Callable[[str], str]
Refusal = rtc.RequestResponse


@pytest.mark.parametrize(
    ("request_", "what"),
    [
        (rtc.SignalRequest(simulate=rtc.SimulateScenario(migration=True)), "simulate migration"),
        (rtc.SignalRequest(get_data_blob_request=rtc.GetDataBlobRequest()), "get_data_blob"),
    ],
)
async def test_what_is_not_offered_is_refused_in_words(
    room: SfuRoom, request_: rtc.SignalRequest, what: str
) -> None:
    alice, signal = join(room, "alice")
    done(requests.handle(alice, request_))
    refusal = signal.sent[-1].request_response
    assert refusal.reason == Refusal.UNSUPPORTED_TYPE
    assert refusal.message.startswith(what)
    assert "livekit-server" in refusal.message


@pytest.mark.parametrize("field", ["trickle", "sync_state", "update_layers"])
async def test_what_needs_no_answer_gets_none(room: SfuRoom, field: str) -> None:
    alice, signal = join(room, "alice")
    signal.sent.clear()
    request = rtc.SignalRequest()
    getattr(request, field).SetInParent()
    done(requests.handle(alice, request))
    assert signal.sent == []


@pytest.mark.parametrize(
    ("scenario", "reason", "can_reconnect"),
    [
        ("server_leave", Reason.SERVER_SHUTDOWN, False),
        ("leave_request_full_reconnect", Reason.CLIENT_INITIATED, True),
    ],
)
async def test_a_simulated_leave_is_one(
    room: SfuRoom, scenario: str, reason: models.DisconnectReason, can_reconnect: bool
) -> None:
    alice, signal = join(room, "alice")
    simulate = rtc.SimulateScenario()
    setattr(simulate, scenario, True)
    done(requests.handle(alice, rtc.SignalRequest(simulate=simulate)))
    leave = signal.sent[-1].leave
    assert (leave.reason, leave.can_reconnect) == (reason, can_reconnect)


async def test_what_a_track_has_become_is_told_to_the_others(room: SfuRoom) -> None:
    alice, signal = join(room, "alice")
    for kind in (models.TrackType.AUDIO, models.TrackType.VIDEO):
        alice.publish(rtc.AddTrackRequest(cid=f"{kind}", type=kind))
    sound, picture = alice.publications
    quiet = models.AudioTrackFeature.TF_NOISE_SUPPRESSION
    sounds = rtc.UpdateLocalAudioTrack(track_sid=sound.sid, features=[quiet])
    done(requests.handle(alice, rtc.SignalRequest(update_audio_track=sounds)))
    pictures = rtc.UpdateLocalVideoTrack(track_sid=picture.sid, width=320, height=180)
    done(requests.handle(alice, rtc.SignalRequest(update_video_track=pictures)))
    assert list(sound.info.audio_features) == [quiet]
    assert (picture.info.width, picture.info.height) == (320, 180)
    assert signal.news()


@pytest.mark.parametrize(
    ("kind", "about"),
    [
        ("mute", rtc.MuteTrackRequest(sid="TR_none", muted=True)),
        ("update_audio_track", rtc.UpdateLocalAudioTrack(track_sid="TR_none")),
        ("update_video_track", rtc.UpdateLocalVideoTrack(track_sid="TR_none", width=1)),
    ],
)
async def test_what_is_asked_of_a_track_that_is_none_is_refused_in_the_clients_terms(
    room: SfuRoom, kind: str, about: Message
) -> None:
    alice, signal = join(room, "alice")
    request = rtc.SignalRequest()
    getattr(request, kind).CopyFrom(about)
    done(requests.handle(alice, request))
    refusal = signal.sent[-1].request_response
    assert (refusal.reason, getattr(refusal, kind)) == (Refusal.NOT_FOUND, about)
    assert "sid" in refusal.message


@pytest.mark.parametrize("kind", ["subscription", "track_setting", "update_data_subscription"])
async def test_wishes_beyond_the_bound_are_refused_and_those_that_are_kept_change(
    room: SfuRoom, kind: str
) -> None:
    def wish(*sids: str) -> list[Refusal]:
        request = rtc.SignalRequest()
        if kind == "update_data_subscription":
            for sid in sids:
                request.update_data_subscription.updates.add(track_sid=sid, subscribe=True)
        else:
            getattr(request, kind).track_sids.extend(sids)
        signal.sent.clear()
        done(requests.handle(alice, request))
        responses = [one for one in signal.sent if one.HasField("request_response")]
        return [one.request_response for one in responses]

    alice, signal = join(room, "alice")
    assert wish(*(f"TR_{n}" for n in range(MAX_WISHES))) == []
    (refusal,) = wish("TR_1", "TR_more", "TR_most")
    assert refusal.reason == Refusal.LIMIT_EXCEEDED
    assert str(MAX_WISHES) in refusal.message
    assert wish("TR_0") == []
    assert "TR_more" not in alice.wishes


async def test_a_codec_that_nobody_forwards_is_refused_and_the_track_is_gone(
    room: SfuRoom, recorded: Recorded
) -> None:
    alice, signal = join(room, "alice")
    text = recorded("sdk_camera")
    section = sdp.parse_offer(text).sections[-1]
    alice.publish(rtc.AddTrackRequest(cid=section.track_id, type=models.TrackType.VIDEO))
    (track,) = alice.publications
    done(
        alice.on_offer(
            rtc.SessionDescription(type="offer", sdp=text.replace("VP8/90000", "H265/90000"))
        )
    )
    refusals = [one.request_response for one in signal.sent if one.HasField("request_response")]
    (refusal,) = refusals
    assert (refusal.reason, refusal.add_track.cid) == (Refusal.UNSUPPORTED_TYPE, section.track_id)
    assert "VP8" in refusal.message
    (gone,) = [one for one in signal.sent if one.HasField("track_unpublished")]
    assert gone.track_unpublished.track_sid == track.sid
    assert not list(alice.publications)
