"""What one participant publishes: tracks asked for, sections they arrive on, packets they carry.

`add_track` announces a `cid`; a section of a later offer ends its msid in it, and only then the
track is live. Firefox names another track there, and Safari may name none: such a section carries
the first track of its kind that is announced and in no other section. A client unpublishes without
a message: the section stops sending (docs/livekit.md, "Signalling").
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from copy import deepcopy
from typing import Final

from aiortc.rtp import RtcpSrPacket
from attrs import define, field
from livekit.protocol import models, rtc

from utd_rx.engine.sfu import answers, rtp
from utd_rx.engine.sfu.answers import AnswerSection
from utd_rx.engine.sfu.demand import Demand
from utd_rx.engine.sfu.inbound import InboundStream, InboundTrack, PacketSink
from utd_rx.engine.sfu.layers import OFF, Quality
from utd_rx.engine.sfu.sdp import MID_EXTENSION, Codec, Kind, Section

_REPORT_INTERVAL: Final = 0.8
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
    return f"{prefix}_{secrets.token_hex(8)}"


@define(eq=False)
class Publication:
    """One published track: pending until `track` is set, gone once it left `Publications`."""

    request: rtc.AddTrackRequest
    info: models.TrackInfo
    publisher_sid: str
    _send: Callable[..., None] | None = None
    track: InboundTrack | None = None
    demand: Demand | None = None  # of video that is live
    cids: frozenset[str] = field(init=False)
    _received: dict[int, Quality] = field(factory=dict)  # by the SSRC of who receives

    @cids.default
    def _all_cids(self) -> frozenset[str]:
        return frozenset({self.request.cid, *(c.cid for c in self.request.simulcast_codecs)})

    def receive(self, ssrc: int, quality: Quality, now: float) -> None:
        """Who gets it under `ssrc` receives that quality of it, or `OFF`."""
        self._received.pop(ssrc, None)
        if quality != OFF:
            self._received[ssrc] = quality
        if self.demand is not None:
            self.demand.set(max(self._received.values(), default=OFF), now)

    def on_bound(self) -> None:
        """Somebody receives it; its publisher hears of the first one."""
        send, self._send = self._send, None
        if send is not None:
            send(track_subscribed=rtc.TrackSubscribed(track_sid=self.sid))

    def describe(self, request: rtc.UpdateLocalAudioTrack | rtc.UpdateLocalVideoTrack) -> None:
        if isinstance(request, rtc.UpdateLocalAudioTrack):
            self.info.audio_features[:] = request.features
        else:
            self.info.width, self.info.height = request.width, request.height

    @property
    def sid(self) -> str:
        return self.info.sid

    @property
    def kind(self) -> Kind:
        return "audio" if self.info.type == models.TrackType.AUDIO else "video"

    @property
    def is_live(self) -> bool:
        return self.track is not None

    @property
    def preferred_codec(self) -> str:
        codecs = self.request.simulcast_codecs
        return codecs[0].codec.rpartition("/")[2] if codecs else ""


def track_info(request: rtc.AddTrackRequest) -> models.TrackInfo:
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


@define(eq=False)
class Publications:
    """All tracks of one participant; `send` sends it one field of a SignalResponse."""

    _publisher_sid: str
    _sink: PacketSink
    _send: Callable[..., None] | None
    _pause_delay: float = 5.0  # until a layer that nobody receives is called so
    _by_sid: dict[str, Publication] = field(factory=dict)
    _sections: dict[str, Publication | None] = field(factory=dict)  # every mid that ever sent
    _carried: dict[str, str | None] = field(factory=dict)  # the track id a mid went live under
    _offered: frozenset[str | None] = frozenset()  # track ids of the offer that is answered
    _by_ssrc: dict[int, tuple[InboundTrack, InboundStream]] = field(factory=dict)
    _mid_extension: int = 0
    _report_at: float = 0.0

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
        info = track_info(request)
        publication = Publication(deepcopy(request), info, self._publisher_sid, self._send)
        self._by_sid[publication.sid] = publication
        return publication

    def remove(self, publication: Publication) -> None:
        """Forget a track; its packets are dropped from now on."""
        self._by_sid.pop(publication.sid, None)
        if publication.track is not None:
            self._forget_ssrcs(publication.track.streams)
            if publication.info.mid in self._sections:
                self._sections[publication.info.mid] = None

    def _forget_ssrcs(self, streams: tuple[InboundStream, ...]) -> None:
        for ssrc in [one for one, (_, stream) in self._by_ssrc.items() if stream in streams]:
            del self._by_ssrc[ssrc]

    def close(self) -> None:
        for publication in self:
            self.remove(publication)
        self._sections.clear()
        self._send = None

    def owns(self, mid: str) -> bool:
        """Whether that section has ever sent, so that it is no free slot when it stops."""
        return mid in self._sections

    def stopped(self, sections: Sequence[Section]) -> list[Publication]:
        """Look at a new offer: the publications whose sections no longer send them."""
        self._offered = frozenset(one.track_id for one in sections if one.is_sending)
        carried = ((self._sections.get(one.mid), one) for one in sections)
        return [known for known, one in carried if known is not None and self._has_stopped(one)]

    def _has_stopped(self, section: Section) -> bool:
        return not section.is_sending or self._announced(section) is not None

    def _announced(self, section: Section) -> Publication | None:
        """What is announced and not live, and what a section that sends must be."""
        for publication in self:
            if section.track_id in publication.cids:
                return None if publication.is_live else publication
        if section.mid in self._carried and self._carried[section.mid] == section.track_id:
            return None  # it goes on with what was there before
        pending = (one for one in self if one.kind == section.kind and not one.is_live)
        return next((one for one in pending if not self._offered & one.cids), None)

    def keep(self, mids: Set[str]) -> list[Publication]:
        """Forget sections of other mids, which no offer has any more; what was on them."""
        for mid in self._carried.keys() - mids:
            del self._carried[mid]
        vanished = [self._sections.pop(mid) for mid in self._sections.keys() - mids]
        return [one for one in vanished if one is not None]

    def answer(self, section: Section, now: float) -> tuple[AnswerSection, Publication | None]:
        """Answer a section that sends, or sent once; also say which publication went live."""
        publication = self._sections.setdefault(section.mid, None)
        if not section.is_sending:
            self._carried.pop(section.mid, None)
            return AnswerSection(section), None
        publication = publication or self._announced(section)
        if publication is None:
            return AnswerSection(section), None
        codec = answers.choose_published_codec(section, publication.preferred_codec)
        is_new = publication.track is None
        if codec is None:
            if is_new:
                self._refuse(publication)
            return AnswerSection(section), None
        if is_new:
            self._go_live(publication, section, codec, now)
        accepted = answers.published_codec(codec, publication.request)
        answer = AnswerSection(section, "recvonly", (accepted,), receive_rids=section.rids)
        return answer, publication if is_new else None

    def _refuse(self, publication: Publication) -> None:
        """No codec of it can be forwarded: who publishes it is told so, and that it is gone."""
        self.remove(publication)
        if self._send is not None:
            known = ", ".join(name for kind in answers.CODECS.values() for name in kind.values())
            about = rtc.AddTrackRequest(cid=publication.request.cid)
            response = rtc.RequestResponse(
                reason=rtc.RequestResponse.UNSUPPORTED_TYPE,
                message=f"only {known} are forwarded: publish one of these",
                add_track=about,
            )
            self._send(request_response=response)
            gone = rtc.TrackUnpublishedResponse(track_sid=publication.sid)
            self._send(track_unpublished=gone)

    def _go_live(
        self, publication: Publication, section: Section, codec: Codec, now: float
    ) -> None:
        extensions = answers.accepted_extensions(section, codec)
        is_video = section.kind == "video"
        track = InboundTrack(self._sink, codec, extensions, is_video=is_video, rids=section.rids)
        track.is_muted = publication.info.muted
        publication.track = track
        publication.info.mid = section.mid
        publication.info.mime_type = f"{section.kind}/{answers.CODECS[section.kind][codec.name]}"
        self._sections[section.mid] = publication
        self._carried[section.mid] = section.track_id
        self._mid_extension = extensions.get(MID_EXTENSION, self._mid_extension)
        if not section.rids:
            self._by_ssrc |= dict.fromkeys(section.ssrcs[:1], (track, track.streams[0]))
        if is_video and self._send is not None:
            publication.demand = Demand(publication.sid, codec.name, self._send, self._pause_delay)
            publication.demand.start(now)

    def on_rtp(self, packet: bytes, now: float) -> None:
        """Hand a packet to its track: by SSRC, or by MID and RID the first times."""
        header = rtp.parse_rtp(packet)
        if header is None:
            return
        known = self._by_ssrc.get(header.ssrc) or self._learn(header)
        if known is not None:
            track, stream = known
            track.on_rtp(stream, packet, header, now)

    def _learn(self, header: rtp.RtpHeader) -> tuple[InboundTrack, InboundStream] | None:
        value = header.extensions.get(self._mid_extension)
        if value is None:
            track = self._silent_track(header.payload_type)
        else:
            publication = self._sections.get(value.decode("ascii", "replace"))
            track = publication.track if publication is not None else None
        stream = track.stream_of(header) if track is not None else None
        if track is None or stream is None:
            return None
        self._forget_ssrcs((stream,))
        self._by_ssrc[header.ssrc] = track, stream
        return track, stream

    def _silent_track(self, payload_type: int) -> InboundTrack | None:
        """The one track that a packet without a MID must be the first of (RFC 8843 §9.2)."""
        tracks = [one for one in self._tracks() if one.codec.payload_type == payload_type]
        silent = [one for one in tracks if not one.rids and one.streams[0].ssrc is None]
        known = {id(track) for track, _ in self._by_ssrc.values()}
        silent = [one for one in silent if id(one) not in known]
        return silent[0] if len(silent) == 1 else None

    def on_sender_report(self, report: RtcpSrPacket, now: float) -> None:
        known = self._by_ssrc.get(report.ssrc)
        if known is not None:
            track, stream = known
            track.on_sender_report(stream, report, now)

    def tick(self, now: float) -> None:
        """Carry out what had to wait, and report to the client what arrived of it."""
        is_report_due = now >= self._report_at
        if is_report_due:
            self._report_at = now + _REPORT_INTERVAL
        for track in self._tracks():
            track.tick(now)
            if is_report_due:
                track.report(now)
        for publication in self:
            if publication.demand is not None:
                publication.demand.tick(now)

    def repeat_demands(self) -> None:
        """Tell the client again what is received of its video."""
        for publication in self:
            if publication.demand is not None:
                publication.demand.repeat()

    def _tracks(self) -> Iterator[InboundTrack]:
        return (one.track for one in self if one.track is not None)

    def loss(self) -> float:
        """Share of packets missing lately, of the worst track."""
        return max((track.loss() for track in self._tracks()), default=0.0)

    def level(self, now: float) -> float:
        """The loudest of the unmuted tracks, 0 to 1."""
        unmuted = (one.track for one in self if not one.info.muted)
        return max((one.meter.level(now) for one in unmuted if one is not None), default=0.0)
