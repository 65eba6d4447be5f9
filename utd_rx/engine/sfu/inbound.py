"""The publisher's half of forwarding: what arrives of a track, is counted, repaired and passed on.

A video track may be several streams, one for each simulcast layer; or one stream with layers in it
(docs/livekit.md, "Layers"). Nothing is decoded.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from typing import Final, Protocol

from aiortc.rtp import RtcpRrPacket, RtcpSrPacket
from attrs import define, field

from utd_rx.engine.sfu import rtp, sdp
from utd_rx.engine.sfu.dependencies import DependencyReader
from utd_rx.engine.sfu.layers import FrameRates, sorted_rids
from utd_rx.engine.sfu.numbering import Clock
from utd_rx.engine.sfu.pictures import READERS, Picture
from utd_rx.engine.sfu.repair import MissingPackets, ReceiveStatistics
from utd_rx.engine.sfu.rtp import RtpHeader
from utd_rx.engine.sfu.speakers import SpeechMeter, is_loud

# One key frame serves everybody who asked meanwhile; more often would only cost bitrate.
_KEYFRAME_INTERVAL: Final = 0.25
# A clock pair that comes sooner says nothing new, and goes to everybody who receives the stream.
_CLOCK_INTERVAL: Final = 0.1
# Of all layers together: no bound on loopback, and no congestion control is there to find one.
_VIDEO_BITRATE: Final = 20_000_000
# A layer of which nothing came for that long, while others did, is not sent any more.
_LAYER_TIMEOUT: Final = 1.0
# A packet stands for the time since the one before it; after a DTX pause that time was silent,
# so a loud packet counts for no more than Opus' longest frame.
_MAX_LOUD_MS: Final = 60.0


class PacketSink(Protocol):
    """Where plain RTP and RTCP goes; the transport encrypts and sends it."""

    def send_rtp(self, packet: bytes) -> None: ...
    def send_rtcp(self, packet: bytes) -> None: ...
    def forget(self, ssrc: int) -> None: ...


class TrackReceiver(Protocol):
    """A subscriber's copy, as its track sees it."""

    @property
    def ssrc(self) -> int: ...
    def on_packet(self, arrival: Arrival, now: float) -> None: ...
    def on_restart(self, stream: InboundStream) -> None: ...
    def start(self, now: float) -> None: ...
    def on_layers(self) -> None: ...
    def relay_sender_report(self, stream: InboundStream, report: RtcpSrPacket) -> None: ...
    def tick(self, now: float) -> None: ...


@define
class Arrival:
    """One packet, and what is known about it."""

    stream: InboundStream
    header: RtpHeader
    is_last: bool  # of its picture
    payload: bytes
    picture: Picture | None  # None of sound, and of padding
    is_late: bool  # newer ones came before


@define(eq=False)
class InboundStream:
    """What a publisher sends under one SSRC: a whole track, or one simulcast layer of it."""

    _publisher: PacketSink
    codec: sdp.Codec
    index: int = 0  # of the layer, 0 the lowest
    rid: str | None = None
    ssrc: int | None = None
    statistics: ReceiveStatistics = field(factory=ReceiveStatistics)
    clock: Clock | None = None  # of the last sender report
    _missing: MissingPackets = field(factory=MissingPackets)
    _feedback_ssrc: int = field(factory=lambda: secrets.randbits(32))
    _dependencies: DependencyReader = field(factory=DependencyReader)
    _keyframe_at: float | None = None
    _last_keyframe_request: float = -math.inf
    _clock_at: float = -math.inf

    def restart(self, ssrc: int) -> None:
        self.ssrc, self.clock, self._clock_at = ssrc, None, -math.inf
        self.statistics, self._missing = ReceiveStatistics(), MissingPackets()

    def on_sequence(self, sequence: int, now: float, *, is_video: bool) -> int:
        """Count a packet and ask for what is missing before it; 0 when it is late."""
        step = self.statistics.on_packet(sequence)
        if is_video:
            missing = self._missing.on_packet(sequence, step, now)
            if missing is None:
                self.request_keyframe(now)
            elif missing:
                self._ask_for(missing)
        return step

    def _ask_for(self, missing: list[int]) -> None:
        if self.ssrc is not None:
            self._publisher.send_rtcp(rtp.nack(self._feedback_ssrc, self.ssrc, missing))

    def read(self, payload: bytes, header: RtpHeader, descriptor_id: int) -> Picture | None:
        """What a packet says about its picture; None of padding."""
        if not payload:
            return None
        descriptor = header.extensions.get(descriptor_id)
        if descriptor is not None:
            picture = self._dependencies.read(descriptor, header.timestamp)
        else:
            picture = READERS[self.codec.name](payload)
        if picture.is_key:  # it serves whoever asked for one before it came
            self._keyframe_at = None
        return picture

    def on_sender_report(self, report: RtcpSrPacket, now: float) -> bool:
        """Take a report; False when it comes too soon after the one before."""
        if now - self._clock_at < _CLOCK_INTERVAL:
            return False
        self._clock_at = now
        self.statistics.on_sender_report(report, now)
        info = report.sender_info
        self.clock = info.ntp_timestamp / 2**32, info.rtp_timestamp
        return True

    def request_keyframe(self, now: float) -> None:
        """Ask for a key frame, now or as soon as that is allowed."""
        if self.ssrc is None:
            return
        if now - self._last_keyframe_request < _KEYFRAME_INTERVAL:
            self._keyframe_at = self._last_keyframe_request + _KEYFRAME_INTERVAL
            return
        self._last_keyframe_request = now
        self._keyframe_at = None
        self._publisher.send_rtcp(rtp.pli(self._feedback_ssrc, self.ssrc))

    def tick(self, now: float) -> None:
        """Carry out what had to wait."""
        if self._keyframe_at is not None and now >= self._keyframe_at:
            self.request_keyframe(now)
        missing = self._missing.due(now)
        if missing:
            self._ask_for(missing)

    def report(self, now: float, bitrate: int | None) -> None:
        """Send the publisher a receiver report, and how much bandwidth it may use."""
        block = self.statistics.block(self.ssrc, now) if self.ssrc is not None else None
        if block is None:
            return
        packet = bytes(RtcpRrPacket(self._feedback_ssrc, [block]))
        if bitrate is not None:
            packet += rtp.remb(self._feedback_ssrc, bitrate, [block.ssrc])
        self._publisher.send_rtcp(packet)


@define(eq=False)
class InboundTrack:
    """One published track, of one payload type, and who receives it."""

    _publisher: PacketSink
    codec: sdp.Codec
    extensions: Mapping[str, int]
    is_video: bool
    rids: tuple[str, ...] = field(default=(), converter=sorted_rids)
    is_muted: bool = False
    """Nothing of it is passed on, whatever the publisher goes on sending."""
    streams: tuple[InboundStream, ...] = field(init=False)
    meter: SpeechMeter = field(factory=SpeechMeter)
    subscriptions: dict[int, TrackReceiver] = field(factory=dict)
    layers: frozenset[int] = frozenset()  # those that arrive
    rates: FrameRates = field(factory=FrameRates)
    _seen: dict[int, float] = field(factory=dict)  # when a layer last arrived
    _last_timestamp: int | None = None
    _descriptor_id: int = field(init=False)
    is_simulcast: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._descriptor_id = self.extensions.get(sdp.DEPENDENCY_EXTENSION, -1)
        self.is_simulcast = len(self.rids) > 1
        names: tuple[str | None, ...] = self.rids or (None,)
        self.streams = tuple(
            InboundStream(self._publisher, self.codec, index, rid)
            for index, rid in enumerate(names)
        )

    def stream_of(self, header: RtpHeader) -> InboundStream | None:
        """The stream that a packet with an unknown SSRC, but this track's MID, begins."""
        if header.payload_type != self.codec.payload_type:
            return None
        if not self.rids:
            return self.streams[0]
        value = header.extensions.get(self.extensions.get(sdp.RID_EXTENSION, 0), b"")
        rid = value.decode("ascii", "replace")
        return next((one for one in self.streams if one.rid == rid), None)

    def on_rtp(self, stream: InboundStream, packet: bytes, header: RtpHeader, now: float) -> None:
        if header.payload_type != self.codec.payload_type:
            return
        if header.ssrc != stream.ssrc:
            stream.restart(header.ssrc)
            for subscription in self.subscriptions.values():
                subscription.on_restart(stream)
        step = stream.on_sequence(header.sequence, now, is_video=self.is_video)
        payload, picture = rtp.payload(packet, header), None
        if self.is_video:
            picture = stream.read(payload, header, self._descriptor_id)
            if picture is not None:
                self._see(stream.index if self.is_simulcast else picture.spatial, now)
                if picture.begins and stream.index == picture.spatial == 0:
                    self.rates.on_picture(picture.temporal, now)
        else:
            self._meter(header, now)
        if self.is_muted:
            return
        arrival = Arrival(stream, header, rtp.is_marked(packet), payload, picture, step == 0)
        for subscription in self.subscriptions.values():
            subscription.on_packet(arrival, now)

    def _see(self, layer: int, now: float) -> None:
        self._seen[layer] = now
        if layer not in self.layers:
            self._update_layers(now)

    def _update_layers(self, now: float) -> None:
        newest = max(self._seen.values(), default=now)
        layers = frozenset(one for one, at in self._seen.items() if newest - at < _LAYER_TIMEOUT)
        if layers != self.layers:
            self.layers = layers
            for subscription in self.subscriptions.values():
                subscription.on_layers()

    def _meter(self, header: RtpHeader, now: float) -> None:
        value = header.extensions.get(self.extensions.get(sdp.LEVEL_EXTENSION, -1))
        if not value:
            return
        last, self._last_timestamp = self._last_timestamp, header.timestamp
        elapsed = (header.timestamp - last) & 0xFFFFFFFF if last is not None else 0x80000000
        if elapsed >= 0x80000000:  # the first packet, or an older one
            return
        # RFC 6464: the lower seven bits are -dBov, 0 is loudest, 127 is silence.
        level, duration = value[0] & 0x7F, elapsed * 1000 / self.codec.clock_rate
        if is_loud(level):
            duration = min(duration, _MAX_LOUD_MS)
        self.meter.observe(level, duration, now)

    def on_sender_report(self, stream: InboundStream, report: RtcpSrPacket, now: float) -> None:
        if not stream.on_sender_report(report, now):
            return
        for subscription in self.subscriptions.values():
            subscription.relay_sender_report(stream, report)

    def mute(self, is_muted: bool, now: float) -> None:
        """Stop to pass it on, or go on; subscribers' numbers go on without a gap."""
        if is_muted != self.is_muted:
            self.is_muted = is_muted
            for subscription in () if is_muted else self.subscriptions.values():
                subscription.start(now)

    def add(self, subscription: TrackReceiver, now: float) -> None:
        self.subscriptions[subscription.ssrc] = subscription
        subscription.start(now)

    def discard(self, subscription: TrackReceiver) -> None:
        self.subscriptions.pop(subscription.ssrc, None)

    def request_keyframe(self, layer: int, now: float) -> None:
        """Ask the publisher for a key frame of that layer."""
        if self.is_video:
            self.streams[min(layer, len(self.streams) - 1)].request_keyframe(now)

    def tick(self, now: float) -> None:
        if not self.is_video:
            return
        self._update_layers(now)
        for stream in self.streams:
            stream.tick(now)
        for subscription in self.subscriptions.values():
            subscription.tick(now)

    def report(self, now: float) -> None:
        for stream in self.streams:
            stream.report(now, _VIDEO_BITRATE if self.is_video else None)

    def loss(self) -> float:
        """Share of packets missing lately, of the worst stream."""
        return max(one.statistics.loss for one in self.streams)
