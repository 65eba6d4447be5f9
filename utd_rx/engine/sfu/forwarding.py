"""Encoded RTP from one publisher to its subscribers: rewriting, repair, feedback. No decoding.

An `InboundTrack` is the publisher's half, an `OutboundTrack` one subscriber's copy
(docs/livekit.md, "Forwarding").
"""

from __future__ import annotations

import math
import secrets
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket, RtcpSrPacket, clamp_packets_lost
from attrs import define, field

from utd_rx.engine.sfu import rtp, sdp
from utd_rx.engine.sfu.rtp import RtpHeader
from utd_rx.engine.sfu.speakers import SpeechMeter, is_loud

# A start near 65535 could put the two SRTP rollover counters out of step.
_FIRST_SEQUENCE: Final = 1000
_CACHED_PACKETS: Final = 600
# One key frame serves everybody who asked meanwhile; more often would only cost bitrate.
_KEYFRAME_INTERVAL: Final = 0.25
# The first request of a new subscription may reach the encoder before it runs.
_KEYFRAME_REPEAT: Final = 0.1
_VIDEO_BITRATE: Final = 4_000_000
_FORWARDED_EXTENSIONS: Final = (sdp.LEVEL_EXTENSION, sdp.ORIENTATION_EXTENSION)
# A packet stands for the time since the one before it; after a DTX pause that time was silent,
# so a loud packet counts for no more than Opus' longest frame.
_MAX_LOUD_MS: Final = 60.0


class PacketSink(Protocol):
    """Where plain RTP and RTCP goes; the transport encrypts and sends it."""

    def send_rtp(self, packet: bytes) -> None: ...
    def send_rtcp(self, packet: bytes) -> None: ...
    def forget(self, ssrc: int) -> None: ...


@define
class ReceiveStatistics:
    """What a receiver report says about one stream (RFC 3550 appendix A)."""

    loss: float = 0.0  # share of packets missing in the last report interval
    _base: int | None = None
    _highest: int = 0
    _received: int = 0
    _reported_expected: int = 0
    _reported_received: int = 0
    _last_report: int = 0
    _last_report_at: float = 0.0

    def on_packet(self, sequence: int) -> None:
        self._received += 1
        if self._base is None:
            self._base = self._highest = sequence
            return
        step = (sequence - self._highest) & 0xFFFF
        if step < 0x8000:
            self._highest += step

    def on_sender_report(self, report: RtcpSrPacket, now: float) -> None:
        self._last_report = report.sender_info.ntp_timestamp >> 16 & 0xFFFFFFFF
        self._last_report_at = now

    def block(self, ssrc: int, now: float) -> RtcpReceiverInfo | None:
        """The report block since the last call, None before the first packet."""
        if self._base is None:
            return None
        expected = self._highest - self._base + 1
        interval = expected - self._reported_expected
        missing = interval - (self._received - self._reported_received)
        self._reported_expected, self._reported_received = expected, self._received
        self.loss = min(1.0, max(missing, 0) / interval) if interval > 0 else 0.0
        delay = int((now - self._last_report_at) * 65536) if self._last_report else 0
        return RtcpReceiverInfo(
            ssrc=ssrc,
            fraction_lost=min(255, int(self.loss * 256)),
            packets_lost=clamp_packets_lost(expected - self._received),
            highest_sequence=self._highest & 0xFFFFFFFF,
            jitter=0,
            lsr=self._last_report,
            dlsr=delay & 0xFFFFFFFF,
        )


@define(eq=False)
class InboundTrack:
    """One published stream, of one payload type and, with simulcast, one layer (`rid`)."""

    _publisher: PacketSink
    codec: sdp.Codec
    extensions: Mapping[str, int]
    is_video: bool
    rid: str | None = None
    ssrc: int | None = None
    meter: SpeechMeter = field(factory=SpeechMeter)
    statistics: ReceiveStatistics = field(factory=ReceiveStatistics)
    subscriptions: dict[int, OutboundTrack] = field(factory=dict)
    _feedback_ssrc: int = field(factory=lambda: secrets.randbits(32))
    _last_timestamp: int | None = None
    _cache: OrderedDict[int, tuple[bytes, RtpHeader]] = field(factory=OrderedDict)
    _keyframe_at: float | None = None
    _last_keyframe_request: float = -math.inf

    def on_rtp(self, packet: bytes, header: RtpHeader, now: float) -> None:
        if header.payload_type != self.codec.payload_type:
            return
        if header.ssrc != self.ssrc:
            for subscription in self.subscriptions.values():
                subscription.rebase()
            self.ssrc = header.ssrc
            self.statistics = ReceiveStatistics()
            self._cache.clear()
        self.statistics.on_packet(header.sequence)
        if self.is_video:
            self._cache[header.sequence] = (packet, header)
            if len(self._cache) > _CACHED_PACKETS:
                self._cache.popitem(last=False)
        else:
            self._meter(header, now)
        for subscription in self.subscriptions.values():
            subscription.forward(packet, header)

    def _meter(self, header: RtpHeader, now: float) -> None:
        value = header.extensions.get(self.extensions.get(sdp.LEVEL_EXTENSION, -1))
        if value is None:
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

    def on_sender_report(self, report: RtcpSrPacket, now: float) -> None:
        self.statistics.on_sender_report(report, now)
        for subscription in self.subscriptions.values():
            subscription.relay_sender_report(report)

    def add(self, subscription: OutboundTrack, now: float) -> None:
        self.subscriptions[subscription.ssrc] = subscription
        self.request_keyframe(now)
        self._keyframe_at = now + _KEYFRAME_REPEAT

    def discard(self, subscription: OutboundTrack) -> None:
        self.subscriptions.pop(subscription.ssrc, None)

    def request_keyframe(self, now: float) -> None:
        """Ask the publisher for a key frame, now or as soon as that is allowed again."""
        if not self.is_video or self.ssrc is None:
            return
        if now - self._last_keyframe_request < _KEYFRAME_INTERVAL:
            self._keyframe_at = self._last_keyframe_request + _KEYFRAME_INTERVAL
            return
        self._last_keyframe_request = now
        self._keyframe_at = None
        self._publisher.send_rtcp(rtp.pli(self._feedback_ssrc, self.ssrc))

    def resend(self, subscription: OutboundTrack, sequences: Iterable[int]) -> None:
        """Answer a subscriber's NACK from the cache; ask the publisher for the rest."""
        missing: list[int] = []
        for sequence in sequences:
            cached = self._cache.get(sequence)
            if cached is None:
                missing.append(sequence)
            else:
                subscription.forward(*cached)
        if missing and self.is_video and self.ssrc is not None:
            self._publisher.send_rtcp(rtp.nack(self._feedback_ssrc, self.ssrc, missing[:100]))

    def tick(self, now: float) -> None:
        """Carry out a key frame request that had to wait."""
        if self._keyframe_at is not None and now >= self._keyframe_at:
            self._keyframe_at = None
            self.request_keyframe(now)

    def report(self, now: float) -> None:
        """Send the publisher a receiver report, and how much bandwidth it may use."""
        block = self.statistics.block(self.ssrc, now) if self.ssrc is not None else None
        if block is None:
            return
        packet = bytes(RtcpRrPacket(self._feedback_ssrc, [block]))
        if self.is_video:
            packet += rtp.remb(self._feedback_ssrc, _VIDEO_BITRATE, [block.ssrc])
        self._publisher.send_rtcp(packet)

    def matches(self, header: RtpHeader) -> bool:
        """Whether a packet with an unknown SSRC but this track's MID is the chosen layer."""
        rid = header.extensions.get(self.extensions.get(sdp.RID_EXTENSION, 0), b"")
        is_layer = self.rid is None or rid.decode("ascii", "replace") == self.rid
        return is_layer and header.payload_type == self.codec.payload_type


@define(eq=False)
class OutboundTrack:
    """One subscriber's copy of a track; payload type, extensions and mid are its section's."""

    track: InboundTrack
    _sink: PacketSink
    ssrc: int
    payload_type: int
    extensions: Mapping[str, int]
    mid: str
    _cname: str
    _mid_element: bytes = field(init=False)
    _renumbered: tuple[tuple[int, int], ...] = field(init=False)
    _base: int | None = None
    _next: int = _FIRST_SEQUENCE
    _packets: int = 0
    _octets: int = 0

    def __attrs_post_init__(self) -> None:
        ours, theirs = self.extensions, self.track.extensions
        self._mid_element = rtp.extension_element(ours.get(sdp.MID_EXTENSION, 0), self.mid.encode())
        self._renumbered = tuple(
            (theirs[uri], ours[uri])
            for uri in _FORWARDED_EXTENSIONS
            if uri in theirs and uri in ours
        )

    def forward(self, packet: bytes, header: RtpHeader) -> None:
        if self._base is None:
            self._base = (header.sequence - self._next) & 0xFFFF
        sequence = (header.sequence - self._base) & 0xFFFF
        following = (sequence + 1) & 0xFFFF
        if (following - self._next) & 0xFFFF < 0x8000:
            self._next = following
        extensions = self._mid_element
        for source, target in self._renumbered:
            value = header.extensions.get(source)
            if value is not None:
                extensions += rtp.extension_element(target, value)
        self._packets += 1
        self._octets += len(packet) - header.body_offset
        self._sink.send_rtp(
            rtp.rewrite(
                packet,
                header,
                ssrc=self.ssrc,
                payload_type=self.payload_type,
                sequence=sequence,
                extensions=extensions,
            )
        )

    def rebase(self) -> None:
        """Go on with the next sequence number whatever the publisher's next one is."""
        self._base = None

    def relay_sender_report(self, report: RtcpSrPacket) -> None:
        """Send the publisher's clock pair under this subscription's SSRC."""
        counts = self._packets, self._octets
        self._sink.send_rtcp(rtp.relayed_sender_report(self.ssrc, report, *counts, self._cname))

    def on_feedback(self, packet: rtp.Feedback, now: float) -> None:
        base, lost = self._base, rtp.nacked_sequences(packet)
        if lost and base is not None:
            self.track.resend(self, [(one + base) & 0xFFFF for one in lost])
        elif rtp.is_keyframe_request(packet):
            self.track.request_keyframe(now)
