"""A subscriber's half of forwarding: its copy of a track, with numbers of its own.

What is sent keeps its payload, but for the counters in a VP8 descriptor (docs/livekit.md,
"Forwarding").
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, NamedTuple

from aiortc.rtp import RtcpSrPacket
from attrs import define, field

from utd_rx.engine.sfu import rtp, sdp
from utd_rx.engine.sfu.inbound import Arrival, InboundStream, InboundTrack, PacketSink
from utd_rx.engine.sfu.layers import best_layer
from utd_rx.engine.sfu.numbering import SequenceNumbers, Timestamps, Vp8Counters
from utd_rx.engine.sfu.pictures import renumber_vp8
from utd_rx.engine.sfu.repair import Resends
from utd_rx.engine.sfu.rtp import RtpHeader
from utd_rx.engine.sfu.selection import LayerSelector, Passage

# Of video, for who asks for a packet again.
_KEPT_PACKETS: Final = 600
# While a layer that was asked for does not start. The first request may reach the encoder before
# it runs; later ones would only delay a slow one.
_FIRST_RETRY: Final = 0.25
_KEYFRAME_RETRY: Final = 0.5
_FORWARDED_EXTENSIONS: Final = (
    sdp.LEVEL_EXTENSION,
    sdp.ORIENTATION_EXTENSION,
    sdp.DEPENDENCY_EXTENSION,
)


class _Sent(NamedTuple):
    """How a packet went out, and goes when it is asked for again. One is made for every packet."""

    timestamp: int
    is_last: bool
    extensions: bytes
    payload: bytes


@define(eq=False)
class OutboundTrack:
    """One subscriber's copy; payload type, extensions and mid are its section's."""

    track: InboundTrack
    _sink: PacketSink
    ssrc: int
    payload_type: int
    extensions: Mapping[str, int]
    mid: str
    _cname: str
    _resends: Resends = field(factory=Resends)  # all of one subscriber's share it
    _wanted: int | None = 2  # the best layer it shall get; None for nothing
    _best: int = 0  # the one to get, of those that arrive
    _fps: int = 0  # 0 for all there are
    _selector: LayerSelector = field(init=False)
    _stream: InboundStream | None = None  # the one that is forwarded
    _clocked: InboundStream | None = None  # whose time stamps go on
    _clocked_ssrc: int | None = None
    _sequences: SequenceNumbers = field(factory=SequenceNumbers)
    _timestamps: Timestamps = field(init=False)
    _counters: Vp8Counters = field(factory=Vp8Counters)
    _sent: OrderedDict[int, _Sent] = field(factory=OrderedDict)
    _renumbered: tuple[tuple[int, int], ...] = field(init=False)
    _name: tuple[int, bytes] = field(init=False)  # the extension that says the mid
    _keyframe_at: float = 0.0
    _packets: int = 0
    _octets: int = 0

    def __attrs_post_init__(self) -> None:
        ours, theirs = self.extensions, self.track.extensions
        self._name = ours.get(sdp.MID_EXTENSION, 0), self.mid.encode()
        self._selector = LayerSelector(self.track.is_simulcast)
        self._timestamps = Timestamps(self.track.codec.clock_rate)
        self._renumbered = tuple(
            (theirs[uri], ours[uri])
            for uri in _FORWARDED_EXTENSIONS
            if uri in theirs and uri in ours
        )

    def want(self, layer: int | None, fps: int, now: float) -> None:
        """Forward layers up to that one, or nothing, with at least that many pictures a second."""
        self._fps = fps
        if layer != self._wanted:
            self._wanted = layer
            self._ask(now, _FIRST_RETRY)

    def on_layers(self) -> None:
        """Other layers arrive: the best of them that is wanted is the one to get."""
        if self._wanted is None:
            self._selector.pause()
            self._stream = None
            return
        self._best = best_layer(self._wanted, self.track.layers)
        # A stream with layers in it is cut at the wanted one, however many there are by now.
        self._selector.target = self._best if self.track.is_simulcast else self._wanted

    def _ask(self, now: float, retry: float) -> None:
        """Ask for the start of the layer to get, unless it is there."""
        self.on_layers()
        if self._selector.needs_key(self._best):
            self._keyframe_at = now + retry
            self.track.request_keyframe(self._best, now)

    def on_restart(self, stream: InboundStream) -> None:
        """That stream is another one now: it is forwarded from its next key frame on."""
        if stream is self._stream:
            self._stream = self._selector.current = None

    def start(self, now: float) -> None:
        """Begin, or begin anew where nothing of it arrived, with a key frame."""
        self._stream = self._selector.current = None
        self._ask(now, _FIRST_RETRY)

    def on_packet(self, arrival: Arrival, now: float) -> None:
        passage = Passage.PASS if self._wanted is not None else Passage.DROP
        if self.track.is_video:
            passage = self._judge(arrival)
        if passage is Passage.DROP:
            self._leave_out(arrival)
            return
        stream, header = arrival.stream, arrival.header
        if stream is not self._stream:
            self._switch(stream, header, now)
        number = self._sequences.give(header.sequence)
        if number is not None:
            sent = _Sent(
                self._timestamps.give(header.timestamp, now),
                arrival.is_last or passage is Passage.PASS_LAST,
                self._extensions(header),
                self._payload(arrival),
            )
            if self.track.is_video:
                self._keep(number, sent)
            self._send(number, sent)

    def _judge(self, arrival: Arrival) -> Passage:
        picture = arrival.picture
        if picture is None:
            return Passage.DROP
        layer = arrival.stream.index if self.track.is_simulcast else picture.spatial
        stamp = arrival.header.timestamp
        return self._selector.take(layer, picture, stamp, is_late=arrival.is_late)

    def _leave_out(self, arrival: Arrival) -> None:
        if arrival.stream is not self._stream:
            return
        number = self._sequences.leave_out(arrival.header.sequence)
        if arrival.picture is not None and arrival.picture.vp8 is not None and not arrival.is_late:
            self._counters.leave_out(arrival.picture.vp8)
        if number is not None:  # empty, so that nobody waits for it
            blank = _Sent(self._timestamps.last, False, self._extensions(arrival.header), b"")
            self._keep(number, blank)
            self._send(number, blank)

    def _switch(self, stream: InboundStream, header: RtpHeader, now: float) -> None:
        """Begin to forward another stream, or the same one after a pause."""
        self._stream = stream
        self._sequences.restart()
        self._counters.restart()
        clocked, self._clocked = self._clocked, stream
        if stream is not clocked or self._clocked_ssrc != stream.ssrc:
            self._clocked_ssrc = stream.ssrc
            clock = clocked.clock if clocked is not None and clocked is not stream else None
            self._timestamps.restart(header.timestamp, now, clock, stream.clock)

    def _payload(self, arrival: Arrival) -> bytes:
        payload, picture = arrival.payload, arrival.picture
        if picture is None or picture.vp8 is None:
            return payload
        ours = self._counters.give(picture.vp8, is_late=arrival.is_late)
        return renumber_vp8(payload, picture.vp8, ours) if ours is not picture.vp8 else payload

    def _extensions(self, header: RtpHeader) -> bytes:
        known = header.extensions
        renumbered = [(ours, known[one]) for one, ours in self._renumbered if one in known]
        return rtp.extension_block(self._name, *renumbered)

    def _keep(self, number: int, sent: _Sent) -> None:
        self._sent[number] = sent
        if len(self._sent) > _KEPT_PACKETS:
            self._sent.popitem(last=False)

    def _send(self, number: int, sent: _Sent) -> None:
        self._packets += 1
        self._octets += len(sent.payload)
        packet = rtp.write_rtp(
            payload_type=self.payload_type,
            sequence=number,
            timestamp=sent.timestamp,
            ssrc=self.ssrc,
            is_last=sent.is_last,
            extensions=sent.extensions,
            payload=sent.payload,
        )
        self._sink.send_rtp(packet)

    def relay_sender_report(self, stream: InboundStream, report: RtcpSrPacket) -> None:
        """Send the publisher's clock pair under this subscription's SSRC."""
        if stream is self._stream:
            timestamp = self._timestamps.shift(report.sender_info.rtp_timestamp)
            counts = self._packets, self._octets
            names = self._cname
            self._sink.send_rtcp(
                rtp.relayed_sender_report(self.ssrc, report, timestamp, *counts, names)
            )

    def on_feedback(self, packet: rtp.Feedback, now: float) -> None:
        for one in dict.fromkeys(number & 0xFFFF for number in rtp.nacked_sequences(packet)):
            sent = self._sent.get(one)
            # What never came is asked of the publisher by its stream.
            if sent and self._resends.allow(self.ssrc, one, len(sent.payload), now):
                self._send(one, sent)
        if rtp.is_keyframe_request(packet) and self._wanted is not None:
            self.track.request_keyframe(self._selector.current or 0, now)

    def tick(self, now: float) -> None:
        """Ask again for the start of a layer that does not come."""
        self._selector.temporal_target = self.track.rates.layer_for(self._fps)
        if now >= self._keyframe_at:
            self._ask(now, _KEYFRAME_RETRY)
