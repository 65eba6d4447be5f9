"""What a client receives: sections that are asked for, filled and emptied. No network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from livekit.protocol import models, rtc

from tests.engine.sfu.media import OPUS, VP8, Sink
from tests.state.virtual import run
from utd_rx.engine.sfu import sdp
from utd_rx.engine.sfu.answers import AnswerSection
from utd_rx.engine.sfu.demand import Demand
from utd_rx.engine.sfu.inbound import InboundTrack
from utd_rx.engine.sfu.layers import Quality
from utd_rx.engine.sfu.limits import MAX_WISHES
from utd_rx.engine.sfu.publications import Publication
from utd_rx.engine.sfu.sdp import Codec, Section
from utd_rx.engine.sfu.subscriptions import Subscriptions

Recorded = Callable[[str], str]


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

    def __init__(self, quality: Quality = Quality.HIGH) -> None:
        self.requests: list[tuple[int, int]] = []
        self.refused: list[str] = []
        self.bound: list[str] = []
        self.sections: list[Section] = []
        self._asked = asyncio.Event()
        self.subscriptions = Subscriptions(Sink(), self._send, quality)

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


async def test_a_section_that_no_offer_has_any_more_is_forgotten() -> None:
    client = Subscriber()
    client.subscriptions.add(live("TR_1"))
    assert await client.asked() == (1, 0)
    for mid in range(3):  # each offer has another section than the one before
        client.sections = [receiving(str(mid))]
        client.subscriptions.keep({str(mid)})
        assert client.tracks(client.offer()) == ["TR_1"]
        assert client.subscriptions.mid_to_track_id() == {str(mid): "TR_1"}
    client.subscriptions.keep(set())
    assert client.subscriptions.mid_to_track_id() == {}
    client.subscriptions.end_request()
    assert await client.asked() == (1, 0)
    client.subscriptions.remove("TR_1")
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


class Watched:
    """A live video, and how many of its qualities somebody receives, as its publisher heard."""

    def __init__(self) -> None:
        self.heard: list[int] = []
        self.publication = live("TR_v", VP8)
        self.publication.info.layers.extend(
            models.VideoLayer(quality=one) for one in (Quality.LOW, Quality.MEDIUM, Quality.HIGH)
        )
        self.publication.demand = Demand("TR_v", "vp8", self._send, 0.0)

    def _send(self, *, subscribed_quality_update: rtc.SubscribedQualityUpdate) -> None:
        qualities = subscribed_quality_update.subscribed_qualities
        self.heard.append(sum(one.enabled for one in qualities))


def settled(client: Subscriber, **settings: Any) -> None:
    loop = asyncio.get_running_loop()
    request = rtc.UpdateTrackSettings(track_sids=["TR_v"], **settings)
    client.subscriptions.set_settings(request, loop.time())


async def bind(client: Subscriber, watched: Watched) -> None:
    client.subscriptions.add(watched.publication)
    await client.asked()
    client.offer(videos=0 if client.sections else 1)


async def test_a_publisher_hears_what_of_its_video_is_received() -> None:
    client, watched = Subscriber(), Watched()
    await bind(client, watched)
    assert watched.heard == [3]
    demand = watched.publication.demand
    assert demand is not None
    for settings, enabled in (
        ({"quality": Quality.LOW}, 1),
        ({"quality": Quality.MEDIUM}, 2),
        ({"disabled": True}, 0),
        ({"quality": Quality.HIGH}, 3),
    ):
        settled(client, **settings)
        demand.tick(asyncio.get_running_loop().time())
        assert watched.heard[-1] == enabled
    client.subscriptions.close()
    demand.tick(asyncio.get_running_loop().time())
    assert watched.heard[-1] == 0


async def test_what_is_said_of_a_track_before_it_is_received_counts_from_its_start() -> None:
    client, watched = Subscriber(), Watched()
    settled(client, quality=Quality.MEDIUM)
    await bind(client, watched)
    assert watched.heard == [2]
    client.subscriptions.forget("TR_v")
    again = Watched()
    await client.asked()
    client.offer()
    await bind(client, again)
    assert again.heard == [3]
    client.subscriptions.close()


async def test_who_adapts_to_what_it_shows_begins_with_the_lowest_layer() -> None:
    client, watched = Subscriber(Quality.LOW), Watched()
    await bind(client, watched)
    assert watched.heard == [1]
    client.subscriptions.close()


async def test_settings_kept_for_tracks_to_come_are_bounded() -> None:
    client, watched = Subscriber(), Watched()
    sids = [f"TR_{n}" for n in range(MAX_WISHES)]
    request = rtc.UpdateTrackSettings(track_sids=sids, quality=Quality.LOW)
    client.subscriptions.set_settings(request, 0.0)
    settled(client, quality=Quality.LOW)
    await bind(client, watched)
    assert watched.heard == [3]
    client.subscriptions.close()
