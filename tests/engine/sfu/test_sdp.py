"""Offers recorded from the native SDK are understood, and answers say what they must."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import rtc

from tests.engine.sfu.conftest import FIXTURES
from utd_rx.engine.sfu import answers, sdp
from utd_rx.engine.sfu.answers import AnswerSection, LocalTransport, SendStream
from utd_rx.engine.sfu.limits import MAX_SECTIONS, MAX_SIGNAL_BYTES
from utd_rx.engine.sfu.sdp import (
    LEVEL_EXTENSION,
    MID_EXTENSION,
    RID_EXTENSION,
    Codec,
    Section,
)

Recorded = Callable[[str], str]

LOCAL = LocalTransport("ufrag", "password", "AB:CD", ("127.0.0.1", "192.0.2.7"), 4000)
FINGERPRINT = "a=fingerprint:sha-256 AB\r\n"
OPUS = Codec(111, "opus", 48000, 2, "minptime=10;stereo=1;useinbandfec=1")


def section(kind: sdp.Kind = "audio", **fields: object) -> Section:
    known: dict[str, object] = {
        "kind": kind,
        "mid": "0",
        "protocol": "UDP/TLS/RTP/SAVPF",
        "direction": "recvonly",
        "codecs": (OPUS,),
    }
    return Section(**{**known, **fields})  # type: ignore[arg-type]


def answer(*sections: AnswerSection) -> list[str]:
    text = answers.write_answer(sections, LOCAL, 1, is_mixed=False)
    assert text.endswith("\r\n")
    return text.splitlines()


def test_the_join_offer_has_six_receiving_sections_and_data(recorded: Recorded) -> None:
    offer = sdp.parse_offer(recorded("sdk_join"))
    kinds = [(one.mid, one.kind, one.direction) for one in offer.sections[:6]]
    assert kinds == [(str(n), "audio" if n < 3 else "video", "recvonly") for n in range(6)]
    assert (offer.sections[6].mid, offer.sections[6].kind) == ("6", "application")
    assert offer.ice_ufrag
    assert offer.ice_password not in repr(offer)
    assert offer.fingerprints[0][0] == "sha-256"
    assert offer.sections[0].extensions[LEVEL_EXTENSION] == 1
    assert offer.sections[0].extensions[MID_EXTENSION] == 4
    opus = offer.sections[0].codecs[0]
    assert (opus.payload_type, opus.name, opus.clock_rate, opus.channels) == (111, "opus", 48000, 2)
    assert opus.parameter("minptime") == "10"


def test_a_microphone_is_one_more_section_with_its_cid(recorded: Recorded) -> None:
    published = sdp.parse_offer(recorded("sdk_microphone")).sections[-1]
    assert published.is_sending
    assert published.kind == "audio"
    assert published.track_id is not None
    assert len(published.ssrcs) == 1


def test_an_unpublished_section_looks_like_a_free_one(recorded: Recorded) -> None:
    last = sdp.parse_offer(recorded("sdk_unpublished")).sections[-1]
    assert not last.is_sending
    assert (last.direction, last.mid) == ("recvonly", "7")
    assert last.track_id is not None  # the old msid is still there


def test_a_camera_offers_one_codec(recorded: Recorded) -> None:
    published = sdp.parse_offer(recorded("sdk_camera")).sections[-1]
    assert [one.name for one in published.codecs] == ["vp8"]
    assert published.rids == ()


def test_simulcast_layers_are_named_and_have_no_ssrc(recorded: Recorded) -> None:
    published = sdp.parse_offer(recorded("sdk_simulcast")).sections[-1]
    assert published.rids == ("f", "h", "q")
    assert published.ssrcs == ()


def test_nobody_offers_more_layers_than_there_are_names_for(recorded: Recorded) -> None:
    text = recorded("sdk_simulcast").replace("send f;h;q", "send " + ";".join("abcdefghi"))
    with pytest.raises(sdp.SdpError, match="9 simulcast layers"):
        sdp.parse_offer(text)


def test_repair_streams_are_not_the_media(recorded: Recorded) -> None:
    text = (
        recorded("sdk_camera") + "a=ssrc-group:FID 11 22\r\na=ssrc:11 cname:x\r\na=ssrc:22 c:x\r\n"
    )
    ssrcs = sdp.parse_offer(text).sections[-1].ssrcs
    assert 11 in ssrcs
    assert 22 not in ssrcs


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v=0\r\n",
        "m=audio\r\n",
        "m=text 9 UDP/TLS/RTP/SAVPF 0\r\n",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=ice-ufrag:a\r\na=ice-pwd:b\r\n",
        "m=audio 99999 UDP/TLS/RTP/SAVPF 111\r\n",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:300 opus/48000\r\n",
        "m=audio 9 U 1\r\n" * (MAX_SECTIONS + 1),
        "x" * (MAX_SIGNAL_BYTES + 1),
        f"m=audio 9 U 1\r\na=ice-ufrag:a\r\na=ice-pwd:b\r\n{FINGERPRINT}a=fmtp:1 {'x' * 4096}\r\n",
        f"m=audio 9 U 1\r\na=ice-ufrag:a\r\na=ice-pwd:b\r\n{FINGERPRINT}a=mid:{'x' * 257}\r\n",
        f"m=audio 9 U 1\r\na=ice-ufrag:a\r\na=ice-pwd:b\r\n{FINGERPRINT}a=msid:- {'x' * 257}\r\n",
    ],
)
def test_useless_offers_are_refused(text: str) -> None:
    with pytest.raises(sdp.SdpError):
        sdp.parse_offer(text)


def test_two_sections_may_not_share_a_mid(recorded: Recorded) -> None:
    with pytest.raises(sdp.SdpError, match="duplicate"):
        sdp.parse_offer(recorded("sdk_join").replace("a=mid:1\r\n", "a=mid:0\r\n"))


LINES = st.sampled_from(
    """m=audio 9 UDP/TLS/RTP/SAVPF 111 0|m=video 0 X 96|m=application 9 Y w|a=mid:0|a=sendonly|
a=rtpmap:111 opus/48000/2|a=fmtp:111 a=b|a=extmap:1 urn|a=ssrc:1 cname:x|a=msid:- cid|a=bundle-only|
a=ice-ufrag:u|a=ice-pwd:p|a=fingerprint:sha-256 AA|a=simulcast:send f;h|
a=ssrc-group:FID 1 2""".replace("\n", "").split("|")
)


@given(st.lists(LINES | st.text(max_size=40), max_size=40).map("\r\n".join))
def test_any_text_is_an_offer_or_an_sdp_error(text: str) -> None:
    with contextlib.suppress(sdp.SdpError):
        offer = sdp.parse_offer(text)
        answer = answers.write_answer(
            [AnswerSection(one) for one in offer.sections], LOCAL, 1, is_mixed=offer.is_mixed
        )
        assert answer.startswith("v=0")


@given(st.data())
def test_a_damaged_recording_is_an_offer_or_an_sdp_error(data: st.DataObject) -> None:
    text = (FIXTURES / "sdk_simulcast.sdp").read_bytes().decode()
    at = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(at, len(text)))
    with contextlib.suppress(sdp.SdpError):
        offer = sdp.parse_offer(text[:at] + data.draw(st.text(max_size=10)) + text[end:])
        assert len(offer.sections) <= text.count("m=") + 5


def test_an_answer_names_us_and_bundles_everything() -> None:
    lines = answer(AnswerSection(section(mid="0")), AnswerSection(section("application", mid="6")))
    assert "a=group:BUNDLE 0 6" in lines
    for line in (
        "a=ice-lite",
        "a=setup:active",
        "a=ice-ufrag:ufrag",
        "a=fingerprint:sha-256 AB:CD",
        "a=candidate:1 1 udp 2130706431 127.0.0.1 4000 typ host",
        "a=candidate:2 1 udp 2130706175 192.0.2.7 4000 typ host",
        "a=sctp-port:5000",
        "a=rtcp-mux",
    ):
        assert line in lines
    assert "a=inactive" in lines


def test_a_rejected_section_is_answered_rejected_and_not_bundled() -> None:
    lines = answer(
        AnswerSection(section(mid="0", is_rejected=True)), AnswerSection(section(mid="1"))
    )
    assert "a=group:BUNDLE 1" in lines
    assert "m=audio 0 UDP/TLS/RTP/SAVPF 111" in lines


def test_what_we_send_is_announced_with_stream_and_ssrc() -> None:
    stream = SendStream("PA_x", "TR_y", 7)
    lines = answer(AnswerSection(section(), "sendonly", (OPUS,), stream))
    assert "a=sendonly" in lines
    assert "a=msid:PA_x|TR_y TR_y" in lines
    assert "a=ssrc:7 cname:PA_x" in lines


def test_only_answered_feedback_and_known_extensions_are_accepted() -> None:
    vp8 = Codec(96, "vp8", 90000)
    extensions = {MID_EXTENSION: 4, RID_EXTENSION: 10, "urn:transport-cc": 3}
    offered = section("video", codecs=(vp8,), extensions=extensions)
    lines = answer(AnswerSection(offered, "recvonly", (vp8,), receive_rids=("f", "q")))
    assert "a=rtcp-fb:96 nack pli" in lines
    assert not [line for line in lines if "transport-cc" in line]
    assert f"a=extmap:4 {MID_EXTENSION}" in lines
    assert {"a=rid:f recv", "a=rid:q recv", "a=simulcast:recv f;q"} <= set(lines)


@pytest.mark.parametrize(
    ("direction", "name", "is_accepted"),
    [("sendonly", "av1", True), ("sendonly", "vp9", False), ("recvonly", "vp9", True)],
)
def test_a_publisher_describes_the_layers_of_av1_alone(
    direction: sdp.Direction, name: str, is_accepted: bool
) -> None:
    """And who receives shall be able to get that, whatever is sent to it first."""
    codec, extensions = Codec(45, name, 90000), {sdp.DEPENDENCY_EXTENSION: 12}
    offered = section("video", direction=direction, codecs=(codec,), extensions=extensions)
    lines = answer(AnswerSection(offered, "inactive", (codec,)))
    assert (f"a=extmap:12 {sdp.DEPENDENCY_EXTENSION}" in lines) == is_accepted


def test_long_extensions_are_answered_where_they_are_offered(recorded: Recorded) -> None:
    offer = sdp.parse_offer(recorded("sdk_join"))
    assert offer.is_mixed
    one = AnswerSection(offer.sections[0])
    for is_mixed in (True, False):
        text = answers.write_answer([one], LOCAL, 1, is_mixed=is_mixed)
        assert ("a=extmap-allow-mixed" in text) == is_mixed


@pytest.mark.parametrize(
    ("has_dtx", "is_stereo", "expected"),
    [
        (True, False, "minptime=10;useinbandfec=1;usedtx=1"),
        (False, False, "minptime=10;useinbandfec=1"),
        (True, True, "minptime=10;stereo=1;useinbandfec=1;usedtx=1"),
    ],
)
def test_an_audio_publisher_is_told_to_use_dtx_and_stereo_only_on_request(
    has_dtx: bool, is_stereo: bool, expected: str
) -> None:
    request = rtc.AddTrackRequest(disable_dtx=not has_dtx, stereo=is_stereo)
    assert answers.published_codec(OPUS, request).parameters == expected


def test_codecs_are_matched_by_name_and_profile_not_by_number() -> None:
    baseline = Codec(103, "h264", 90000, 1, "packetization-mode=1;profile-level-id=42e01f")
    other = Codec(50, "h264", 90000, 1, "profile-level-id=640c1f;packetization-mode=1")
    same = Codec(51, "h264", 90000, 1, "profile-level-id=42e01f;packetization-mode=1")
    mode0 = Codec(52, "h264", 90000, 1, "profile-level-id=42e01f;packetization-mode=0")
    assert answers.match_codec(baseline, section("video", codecs=(mode0, other, same))) == same
    assert answers.match_codec(baseline, section("video", codecs=(mode0, other))) == other
    assert answers.match_codec(baseline, section("video", codecs=(mode0,))) is None
    firefox = Codec(109, "opus", 48000, 2, "maxplaybackrate=48000")
    assert answers.match_codec(OPUS, section(codecs=(firefox,))) == firefox


def test_the_preferred_codec_is_chosen_when_it_is_offered() -> None:
    red, vp8, vp9 = Codec(63, "red", 48000, 2), Codec(96, "vp8", 90000), Codec(98, "vp9", 90000)
    video = section("video", codecs=(vp8, vp9))
    assert answers.choose_published_codec(video, "VP9") == vp9
    assert answers.choose_published_codec(video, "av1") == vp8
    assert answers.choose_published_codec(section(codecs=(red, OPUS))) == OPUS
    assert answers.choose_published_codec(section(codecs=(red,))) is None
