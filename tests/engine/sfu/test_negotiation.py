"""Sections of one client: what it publishes on them and what it receives on them. No network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve
from livekit.protocol import models, rtc

from tests.state.virtual import run
from utd_rx.engine.sfu import rtp, sdp
from utd_rx.engine.sfu.answers import AnswerSection
from utd_rx.engine.sfu.forwarding import InboundTrack
from utd_rx.engine.sfu.publications import Publication, Publications, track_info
from utd_rx.engine.sfu.sdp import Codec, Section
from utd_rx.engine.sfu.subscriptions import Subscriptions

Recorded = Callable[[str], str]

OPUS = Codec(111, "opus", 48000, 2)
VP8 = Codec(96, "vp8", 90000)


class Sink:
    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send_rtp(self, packet: bytes) -> None:
        self.sent.append(packet)

    def send_rtcp(self, packet: bytes) -> None:
        self.sent.append(packet)

    def forget(self, ssrc: int) -> None:
        """Nothing to forget."""


def live(sid: str, codec: Codec = OPUS, bound: list[str] | None = None) -> Publication:
    kind = models.TrackType.AUDIO if codec is OPUS else models.TrackType.VIDEO
    publication = Publication(
        rtc.AddTrackRequest(cid=sid),
        models.TrackInfo(sid=sid, type=kind),
        "PA_x",
        send=lambda track_subscribed: (
            None if bound is None else bound.append(track_subscribed.track_sid)
        ),
    )
    publication.track = InboundTrack(Sink(), codec, {}, is_video=codec is VP8)
    return publication


def receiving(mid: str, *codecs: Codec) -> Section:
    kind: sdp.Kind = "video" if VP8 in codecs else "audio"
    return Section(kind, mid, "UDP/TLS/RTP/SAVPF", "recvonly", codecs=codecs or (OPUS,))


class Subscriber:
    """A client that offers the sections it is asked for, when told to."""

    def __init__(self) -> None:
        self.requests: list[tuple[int, int]] = []
        self.refused: list[str] = []
        self.bound: list[str] = []
        self.sections: list[Section] = []
        self._asked = asyncio.Event()
        self.subscriptions = Subscriptions(Sink(), self._send)

    def _send(self, **message: Any) -> None:
        for name, value in message.items():
            if name == "subscription_response":
                self.refused.append(value.track_sid)
            else:
                assert name == "media_sections_requirement"
                self.requests.append((value.num_audios, value.num_videos))
                self._asked.set()

    async def asked(self) -> tuple[int, int]:
        await asyncio.wait_for(self._asked.wait(), 10)
        self._asked.clear()
        return self.requests[-1]

    def offer(self, audios: int = 0, videos: int = 0) -> list[AnswerSection]:
        for count, codec in ((audios, OPUS), (videos, VP8)):
            for _ in range(count):
                self.sections.append(receiving(str(len(self.sections)), codec))
        answers = [self.subscriptions.answer(one, 0.0) for one in self.sections]
        self.subscriptions.end_request()
        return answers

    def tracks(self, answers: list[AnswerSection]) -> list[str | None]:
        return [one.stream.track_sid if one.stream else None for one in answers]


async def test_free_sections_are_filled_and_missing_ones_asked_for() -> None:
    client = Subscriber()
    client.offer(audios=1)
    for sid in ("TR_1", "TR_2", "TR_3"):
        client.subscriptions.add(live(sid, bound=client.bound))
    client.subscriptions.add(live("TR_v", VP8, client.bound))
    assert await client.asked() == (2, 1)
    answers = client.offer(2, 1)
    assert client.tracks(answers) == ["TR_1", "TR_2", "TR_3", "TR_v"]
    assert [one.direction for one in answers] == ["sendonly"] * 4
    assert client.subscriptions.mid_to_track_id() == {
        "0": "TR_1",
        "1": "TR_2",
        "2": "TR_3",
        "3": "TR_v",
    }
    assert client.bound == ["TR_1", "TR_2", "TR_3", "TR_v"]
    client.subscriptions.close()


async def test_with_a_free_section_only_an_offer_is_asked_for() -> None:
    client = Subscriber()
    client.offer(audios=3)
    client.subscriptions.add(live("TR_1"))
    assert await client.asked() == (0, 0)
    assert client.tracks(client.offer()) == ["TR_1", None, None]
    client.subscriptions.close()


def test_the_next_request_waits_for_the_offer() -> None:
    async def main() -> None:
        client = Subscriber()
        client.subscriptions.add(live("TR_1"))
        await client.asked()
        client.subscriptions.add(live("TR_2"))
        await asyncio.sleep(60)  # longer than requests are collected
        assert client.requests == [(1, 0)]
        client.offer(audios=1)
        assert await client.asked() == (1, 0)
        assert client.tracks(client.offer(audios=1)) == ["TR_1", "TR_2"]
        client.subscriptions.close()

    run(main())


async def test_a_section_is_inactive_once_between_two_tracks() -> None:
    client = Subscriber()
    client.subscriptions.add(live("TR_1"))
    await client.asked()
    client.offer(audios=1)
    client.subscriptions.remove("TR_1")
    client.subscriptions.add(live("TR_2"))
    assert await client.asked() == (0, 0)
    (answer,) = client.offer()
    assert (answer.direction, answer.stream) == ("inactive", None)
    assert await client.asked() == (0, 0)
    assert client.tracks(client.offer()) == ["TR_2"]
    client.subscriptions.close()


async def test_a_track_nobody_can_decode_is_refused_and_blocks_nobody() -> None:
    client = Subscriber()
    client.offer(videos=1)
    client.subscriptions.add(live("TR_av1", Codec(45, "av1", 90000)))
    client.subscriptions.add(live("TR_v", VP8))
    await client.asked()
    assert client.tracks(client.offer()) == ["TR_v"]
    assert client.refused == ["TR_av1"]
    client.subscriptions.close()


async def test_packets_stop_at_once_when_unsubscribed() -> None:
    client = Subscriber()
    publication = live("TR_1")
    client.subscriptions.add(publication)
    await client.asked()
    client.offer(audios=1)
    assert publication.track is not None
    assert len(publication.track.subscriptions) == 1
    client.subscriptions.remove("TR_1")
    assert not publication.track.subscriptions
    assert client.subscriptions.mid_to_track_id() == {}
    client.subscriptions.close()


def test_closing_stops_the_timer_and_everything_that_flows() -> None:
    async def main() -> None:
        client = Subscriber()
        client.subscriptions.add(live("TR_1"))
        client.subscriptions.close()
        client.subscriptions.add(live("TR_2"))
        await asyncio.sleep(60)
        assert client.requests == []

    run(main())


# -- publications -----------------------------------------------------------------------------


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
    answer, went_live = publications.answer(section)
    assert went_live is publication
    assert publication.is_live
    assert (answer.direction, publication.info.mid) == ("recvonly", section.mid)
    assert "usedtx=1" in answer.codecs[0].parameters
    again, went_live = publications.answer(section)
    assert went_live is None
    assert again == answer


def test_a_section_nobody_announced_is_refused(
    publications: Publications, recorded: Recorded
) -> None:
    answer, went_live = publications.answer(microphone(recorded))
    assert (answer.direction, went_live) == ("inactive", None)


def test_a_section_that_stops_ends_its_track_and_is_no_free_slot(
    publications: Publications, recorded: Recorded
) -> None:
    section = microphone(recorded)
    publication = add_microphone(publications, section)
    publications.answer(section)
    assert publications.stopped(section) is None
    silent = evolve(section, direction="recvonly")
    assert publications.stopped(silent) is publication
    publications.remove(publication)
    assert publications.stopped(silent) is None
    assert publications.owns(section.mid)
    assert publications.answer(silent)[0].direction == "inactive"


def test_the_same_cid_is_the_same_track(publications: Publications) -> None:
    request = rtc.AddTrackRequest(cid="c", type=models.TrackType.AUDIO)
    assert publications.add(request) is publications.add(request)
    assert len(publications) == 1


def test_packets_find_their_track_by_ssrc(publications: Publications, recorded: Recorded) -> None:
    section = microphone(recorded)
    publication = add_microphone(publications, section)
    publications.answer(section)
    packet = _packet(111, section.ssrcs[0])
    publications.on_rtp(packet, 0.0)
    assert publication.track is not None
    assert publication.track.ssrc == section.ssrcs[0]
    publications.remove(publication)
    publications.on_rtp(packet, 0.0)  # nobody's any more


def test_packets_of_the_chosen_layer_find_their_track_by_mid_and_rid(
    publications: Publications, recorded: Recorded
) -> None:
    section = microphone(recorded, "sdk_simulcast")
    publication = publications.add(
        rtc.AddTrackRequest(cid=section.track_id, type=models.TrackType.VIDEO)
    )
    answer, _ = publications.answer(section)
    assert answer.receive_rid == "f"
    track = publication.track
    assert track is not None
    mid, rid = section.extensions[sdp.MID_EXTENSION], section.extensions[sdp.RID_EXTENSION]
    element = rtp.extension_element
    low = element(mid, section.mid.encode()) + element(rid, b"q")
    best = element(mid, section.mid.encode()) + element(rid, b"f")
    publications.on_rtp(_packet(96, 1, low), 0.0)
    publications.on_rtp(_packet(96, 2), 0.0)
    assert track.ssrc is None
    publications.on_rtp(_packet(96, 3, best), 0.0)
    publications.on_rtp(_packet(96, 3), 0.0)
    assert track.ssrc == 3


def _packet(payload_type: int, ssrc: int, extensions: bytes = b"") -> bytes:
    plain = bytes([0x80, payload_type, 0, 1]) + bytes(4) + ssrc.to_bytes(4, "big") + b"media"
    header = rtp.parse_rtp(plain)
    assert header is not None
    return rtp.rewrite(
        plain,
        header,
        ssrc=ssrc,
        payload_type=payload_type,
        sequence=1,
        extensions=extensions,
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
