"""What one participant publishes: tracks asked for, sections they arrive on, packets they carry.

`add_track` announces a track by `cid`; a later offer has a section whose msid ends in that cid,
and only then the track is live and others hear of it. A client unpublishes without a message: the
section just stops sending (docs/livekit.md, "Signalling").
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Final

from aiortc.rtp import RtcpSrPacket
from attrs import define, evolve, field
from livekit.protocol import models, rtc

from utd_rx.engine.sfu import answers, rtp
from utd_rx.engine.sfu.answers import AnswerSection
from utd_rx.engine.sfu.forwarding import InboundTrack, PacketSink
from utd_rx.engine.sfu.sdp import LEVEL_EXTENSION, MID_EXTENSION, Codec, Kind, Section

# A client keeps the sound and the picture of one stream together.
_STREAMS: Final[Mapping[models.TrackSource, str]] = {
    models.TrackSource.CAMERA: "camera",
    models.TrackSource.MICROPHONE: "camera",
    models.TrackSource.SCREEN_SHARE: "screen",
    models.TrackSource.SCREEN_SHARE_AUDIO: "screen",
}
# What a TrackInfo calls the same as the request for it.
_ALIKE: Final = (
    *("type", "source", "name", "muted", "width", "height", "layers", "encryption", "stereo"),
    *("disable_dtx", "disable_red", "audio_features", "packet_trailer_features"),
)


def new_sid(prefix: str) -> str:
    """A random id such as `PA_3f…`."""
    return f"{prefix}_{secrets.token_hex(8)}"


@define(eq=False)
class Publication:
    """One published track: pending until `track` is set, gone once it left `Publications`."""

    request: rtc.AddTrackRequest
    info: models.TrackInfo
    publisher_sid: str
    mid: str | None = None
    track: InboundTrack | None = None
    _on_subscribed: Callable[[Publication], None] | None = None
    cids: frozenset[str] = field(init=False)

    @cids.default
    def _all_cids(self) -> frozenset[str]:
        return frozenset({self.request.cid, *(c.cid for c in self.request.simulcast_codecs)})

    def on_bound(self) -> None:
        """Somebody receives it; its publisher hears of the first one."""
        tell, self._on_subscribed = self._on_subscribed, None
        if tell is not None:
            tell(self)

    @property
    def sid(self) -> str:
        return self.info.sid

    @property
    def kind(self) -> Kind:
        is_audio: bool = self.info.type == models.TrackType.AUDIO
        return "audio" if is_audio else "video"

    @property
    def is_live(self) -> bool:
        return self.track is not None

    @property
    def preferred_codec(self) -> str:
        """Codec the client wants to send, empty when it did not say."""
        codecs = self.request.simulcast_codecs
        return codecs[0].codec.rpartition("/")[2] if codecs else ""


def track_info(request: rtc.AddTrackRequest) -> models.TrackInfo:
    """The TrackInfo the server makes of a request."""
    info = models.TrackInfo(
        sid=new_sid("TR"),
        simulcast=len(request.layers) > 1,
        stream=request.stream or _STREAMS.get(request.source, "unknown"),
        **{name: getattr(request, name) for name in _ALIKE},
    )
    if request.type == models.TrackType.AUDIO:
        info.mime_type = "audio/opus"
        for is_so, feature in (
            (request.stereo, models.AudioTrackFeature.TF_STEREO),
            (request.disable_dtx, models.AudioTrackFeature.TF_NO_DTX),
        ):
            if is_so and feature not in info.audio_features:
                info.audio_features.append(feature)
    for codec in request.simulcast_codecs[:1]:
        info.mime_type = codec.codec if "/" in codec.codec else f"video/{codec.codec}"
        info.codecs.add(mime_type=info.mime_type, cid=codec.cid, layers=codec.layers)
    return info


class Publications:
    """All tracks of one participant; `on_subscribed` is told once of each that is received."""

    def __init__(
        self, publisher_sid: str, sink: PacketSink, on_subscribed: Callable[[Publication], None]
    ) -> None:
        self._publisher_sid = publisher_sid
        self._sink = sink
        self._on_subscribed: Callable[[Publication], None] | None = on_subscribed
        self._by_sid: dict[str, Publication] = {}
        self._sections: dict[str, Publication | None] = {}  # every mid that ever sent
        self._by_ssrc: dict[int, InboundTrack] = {}
        self._mid_extension = 0

    def __iter__(self) -> Iterator[Publication]:
        return iter(tuple(self._by_sid.values()))

    def __len__(self) -> int:
        return len(self._by_sid)

    def get(self, sid: str) -> Publication | None:
        return self._by_sid.get(sid)

    def add(self, request: rtc.AddTrackRequest) -> Publication:
        """Remember a track to come; the same cid again gets the same answer."""
        for publication in self._by_sid.values():
            if request.cid in publication.cids:
                return publication
        publication = Publication(
            deepcopy(request),
            track_info(request),
            self._publisher_sid,
            on_subscribed=self._on_subscribed,
        )
        self._by_sid[publication.sid] = publication
        return publication

    def remove(self, publication: Publication) -> None:
        """Forget a track; its packets are dropped from now on."""
        self._by_sid.pop(publication.sid, None)
        self._forget_ssrcs(publication.track)
        if publication.mid is not None:
            self._sections[publication.mid] = None

    def _forget_ssrcs(self, track: InboundTrack | None) -> None:
        for ssrc in [one for one, other in self._by_ssrc.items() if other is track]:
            del self._by_ssrc[ssrc]

    def close(self) -> None:
        for publication in self:
            self.remove(publication)
        self._sections.clear()
        self._on_subscribed = None

    def owns(self, mid: str) -> bool:
        """Whether that section has ever sent, so that it is no free slot when it stops."""
        return mid in self._sections

    def stopped(self, section: Section) -> Publication | None:
        """The publication that was on `section`, when the offer no longer sends it."""
        current = self._sections.get(section.mid)
        if current is None or (section.is_sending and section.track_id in current.cids):
            return None
        return current

    def answer(self, section: Section) -> tuple[AnswerSection, Publication | None]:
        """Answer a section that sends, or sent once; also say which publication went live."""
        self._sections.setdefault(section.mid, None)
        publication = self._find(section)
        if publication is None or not section.is_sending:
            return AnswerSection(section), None
        codec = answers.choose_published_codec(section, publication.preferred_codec)
        if codec is None:
            return AnswerSection(section), None
        rid = section.best_rid
        is_new = publication.track is None
        if is_new:
            self._go_live(publication, section, codec, rid)
        accepted = self._published_codec(publication, codec)
        answer = AnswerSection(section, "recvonly", (accepted,), receive_rid=rid)
        return answer, publication if is_new else None

    def _find(self, section: Section) -> Publication | None:
        current = self._sections.get(section.mid)
        if current is not None:
            return current
        for publication in self._by_sid.values():
            if section.track_id in publication.cids and publication.mid is None:
                return publication
        return None

    def _go_live(
        self, publication: Publication, section: Section, codec: Codec, rid: str | None
    ) -> None:
        extensions = answers.accepted_extensions(section)
        track = InboundTrack(
            self._sink, codec, extensions, is_video=section.kind == "video", rid=rid
        )
        publication.track = track
        publication.mid = section.mid
        publication.info.mid = section.mid
        publication.info.mime_type = f"{section.kind}/{answers.CODEC_NAMES[codec.name]}"
        self._sections[section.mid] = publication
        self._mid_extension = extensions.get(MID_EXTENSION, self._mid_extension)
        if rid is None:
            for ssrc in section.ssrcs[:1]:
                self._by_ssrc[ssrc] = track

    @staticmethod
    def _published_codec(publication: Publication, codec: Codec) -> Codec:
        if codec.name != "opus":
            return codec
        request = publication.request
        is_stereo = request.stereo or (models.AudioTrackFeature.TF_STEREO in request.audio_features)
        parameters = answers.publisher_audio_parameters(
            codec, has_dtx=not request.disable_dtx, is_stereo=is_stereo
        )
        return evolve(codec, parameters=parameters)

    def on_rtp(self, packet: bytes, now: float) -> None:
        """Hand a packet to its track: by SSRC, or by MID and RID the first times."""
        header = rtp.parse_rtp(packet)
        if header is None:
            return
        track = self._by_ssrc.get(header.ssrc)
        if track is None:
            track = self._learn(header)
            if track is None:
                return
        track.on_rtp(packet, header, now)

    def _learn(self, header: rtp.RtpHeader) -> InboundTrack | None:
        value = header.extensions.get(self._mid_extension)
        if value is None:
            return None
        publication = self._sections.get(value.decode("ascii", "replace"))
        track = publication.track if publication is not None else None
        if track is None or not track.matches(header):
            return None
        self._forget_ssrcs(track)
        self._by_ssrc[header.ssrc] = track
        return track

    def on_sender_report(self, report: RtcpSrPacket, now: float) -> None:
        track = self._by_ssrc.get(report.ssrc)
        if track is not None:
            track.on_sender_report(report, now)

    def _tracks(self) -> Iterator[InboundTrack]:
        return (one.track for one in self._by_sid.values() if one.track is not None)

    def tick(self, now: float) -> None:
        for track in self._tracks():
            track.tick(now)

    def report(self, now: float) -> None:
        for track in self._tracks():
            track.report(now)

    def loss(self) -> float:
        """Share of packets missing lately, of the worst track."""
        return max((track.statistics.loss for track in self._tracks()), default=0.0)

    def level(self, now: float) -> float:
        """The loudest of the unmuted audio tracks, 0 to 1."""
        return max(
            (
                publication.track.meter.level(now)
                for publication in self._by_sid.values()
                if publication.track is not None
                and not publication.info.muted
                and LEVEL_EXTENSION in publication.track.extensions
            ),
            default=0.0,
        )
