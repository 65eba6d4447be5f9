"""What a client publishes: tracks announced, live with their section, and gone. No network."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from attrs import evolve
from livekit.protocol import models, rtc

from tests.engine.sfu.media import Sink
from utd_rx.engine.sfu import rtp, sdp
from utd_rx.engine.sfu.layers import Quality
from utd_rx.engine.sfu.publications import Publication, Publications, track_info
from utd_rx.engine.sfu.sdp import Section

Recorded = Callable[[str], str]


@pytest.fixture
def publications() -> Publications:
    return Publications("PA_x", Sink(), lambda **_: None)


def microphone(recorded: Recorded, name: str = "sdk_microphone") -> Section:
    return sdp.parse_offer(recorded(name)).sections[-1]


def add_microphone(publications: Publications, section: Section) -> Publication:
    assert section.track_id is not None
    return publications.add(
        rtc.AddTrackRequest(cid=section.track_id, type=models.TrackType.AUDIO, name="mic")
    )


def test_a_track_goes_live_when_its_cid_is_offered(
    publications: Publications, recorded: Recorded
) -> None:
    section = microphone(recorded)
    publication = add_microphone(publications, section)
    assert not publication.is_live
    answer, went_live = publications.answer(section, 0.0)
    assert went_live is publication
    assert publication.is_live
    assert (answer.direction, publication.info.mid) == ("recvonly", section.mid)
    assert "usedtx=1" in answer.codecs[0].parameters
    again, went_live = publications.answer(section, 0.0)
    assert went_live is None
    assert again == answer


def test_a_section_nobody_announced_is_refused(
    publications: Publications, recorded: Recorded
) -> None:
    answer, went_live = publications.answer(microphone(recorded), 0.0)
    assert (answer.direction, went_live) == ("inactive", None)


def test_a_section_that_no_offer_has_any_more_is_forgotten_with_its_track(
    publications: Publications, recorded: Recorded
) -> None:
    section = microphone(recorded)
    publication = add_microphone(publications, section)
    publications.answer(section, 0.0)
    assert publications.keep({section.mid, "other"}) == []
    assert publications.keep({"other"}) == [publication]
    publications.remove(publication)
    assert not publications.owns(section.mid)
    assert publications.keep(set()) == []


def test_a_section_that_was_forgotten_and_comes_anew_goes_on_with_nothing(
    publications: Publications, recorded: Recorded
) -> None:
    section = microphone(recorded)
    publication = add_microphone(publications, section)
    publications.answer(section, 0.0)
    publications.keep(set())
    publications.remove(publication)
    # Firefox: the section names another track than what was announced.
    announced = publications.add(rtc.AddTrackRequest(cid="c", type=models.TrackType.AUDIO))
    assert publications.answer(section, 0.0)[1] is announced


def test_a_section_that_stops_ends_its_track_and_is_no_free_slot(
    publications: Publications, recorded: Recorded
) -> None:
    section = microphone(recorded)
    publication = add_microphone(publications, section)
    publications.answer(section, 0.0)
    assert publications.stopped([section]) == []
    silent = evolve(section, direction="recvonly")
    assert publications.stopped([silent]) == [publication]
    publications.remove(publication)
    assert publications.stopped([silent]) == []
    assert publications.owns(section.mid)
    assert publications.answer(silent, 0.0)[0].direction == "inactive"


def test_the_same_cid_is_the_same_track(publications: Publications) -> None:
    request = rtc.AddTrackRequest(cid="c", type=models.TrackType.AUDIO)
    assert publications.add(request) is publications.add(request)
    assert len(publications) == 1


def test_packets_find_their_track_by_ssrc(publications: Publications, recorded: Recorded) -> None:
    section = microphone(recorded)
    publication = add_microphone(publications, section)
    publications.answer(section, 0.0)
    packet = _packet(111, section.ssrcs[0])
    publications.on_rtp(packet, 0.0)
    assert publication.track is not None
    assert publication.track.streams[0].ssrc == section.ssrcs[0]
    publications.remove(publication)
    publications.on_rtp(packet, 0.0)  # nobody's any more


def test_packets_of_each_layer_find_their_stream_by_mid_and_rid(
    publications: Publications, recorded: Recorded
) -> None:
    section = microphone(recorded, "sdk_simulcast")
    publication = publications.add(
        rtc.AddTrackRequest(cid=section.track_id, type=models.TrackType.VIDEO)
    )
    answer, _ = publications.answer(section, 0.0)
    assert answer.receive_rids == ("f", "h", "q")
    track = publication.track
    assert track is not None
    assert [one.rid for one in track.streams] == ["q", "h", "f"]
    mid, rid = section.extensions[sdp.MID_EXTENSION], section.extensions[sdp.RID_EXTENSION]
    name = (mid, section.mid.encode())
    publications.on_rtp(_packet(96, 1, (name, (rid, b"x"))), 0.0)
    publications.on_rtp(_packet(96, 2), 0.0)
    publications.on_rtp(_packet(97, 2, (name, (rid, b"f"))), 0.0)
    assert {one.ssrc for one in track.streams} == {None}
    publications.on_rtp(_packet(96, 3, (name, (rid, b"f"))), 0.0)
    publications.on_rtp(_packet(96, 4, (name, (rid, b"q"))), 0.0)
    publications.on_rtp(_packet(96, 3), 0.0)
    assert [one.ssrc for one in track.streams] == [4, None, 3]
    publications.on_rtp(_packet(96, 5, (name, (rid, b"q"))), 0.0)
    assert track.streams[0].ssrc == 5


def test_a_client_hears_what_is_received_of_its_video_and_again_after_a_resume(
    recorded: Recorded,
) -> None:
    heard: list[int] = []

    def listen(*, subscribed_quality_update: rtc.SubscribedQualityUpdate) -> None:
        qualities = subscribed_quality_update.subscribed_qualities
        heard.append(sum(one.enabled for one in qualities))

    publications = Publications("PA_x", Sink(), listen, pause_delay=2.0)
    section = sdp.parse_offer(recorded("sdk_camera")).sections[-1]
    publication = publications.add(
        rtc.AddTrackRequest(cid=section.track_id, type=models.TrackType.VIDEO)
    )
    publications.answer(section, 0.0)
    publications.tick(10.0)
    assert heard == [0]
    for ssrc, quality in ((1, Quality.LOW), (2, Quality.HIGH), (2, Quality.OFF)):
        publication.receive(ssrc, quality, 11.0)
    assert heard == [0, 1, 3]
    publications.tick(13.0)
    assert heard == [0, 1, 3, 1]
    publications.repeat_demands()
    assert heard == [0, 1, 3, 1, 1]
    publications.close()


def _packet(payload_type: int, ssrc: int, extensions: Iterable[tuple[int, bytes]] = ()) -> bytes:
    return rtp.write_rtp(
        payload_type=payload_type,
        sequence=1,
        timestamp=0,
        ssrc=ssrc,
        is_last=False,
        extensions=rtp.extension_block(*extensions),
        payload=b"media",
    )


def test_a_track_info_says_what_the_request_said() -> None:
    info = track_info(
        rtc.AddTrackRequest(
            cid="c",
            type=models.TrackType.VIDEO,
            source=models.TrackSource.CAMERA,
            width=640,
            height=360,
            muted=True,
            layers=[models.VideoLayer(width=1), models.VideoLayer(width=2)],
            simulcast_codecs=[rtc.SimulcastCodec(codec="vp8", cid="c")],
        )
    )
    assert info.sid.startswith("TR_")
    assert (info.width, info.height, info.muted, info.simulcast) == (640, 360, True, True)
    assert info.mime_type == "video/vp8"
