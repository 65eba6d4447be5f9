"""Packets made by hand for tests of forwarding, and a sink that reads what comes out of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from utd_rx.engine.sfu import rtp, sdp
from utd_rx.engine.sfu.inbound import InboundStream, InboundTrack
from utd_rx.engine.sfu.outbound import OutboundTrack
from utd_rx.engine.sfu.sdp import Codec

OPUS: Final = Codec(111, "opus", 48000, 2)
VP8: Final = Codec(96, "vp8", 90000)
VP9: Final = Codec(98, "vp9", 90000)
AV1: Final = Codec(45, "av1", 90000)
EXTENSIONS: Final[Mapping[str, int]] = {
    sdp.MID_EXTENSION: 4,
    sdp.LEVEL_EXTENSION: 1,
    sdp.RID_EXTENSION: 10,
    sdp.ORIENTATION_EXTENSION: 13,
    sdp.DEPENDENCY_EXTENSION: 12,
}


class Sink:
    """Where a publisher's or a subscriber's packets go."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.rtcp: list[bytes] = []

    def send_rtp(self, packet: bytes) -> None:
        self.packets.append(packet)

    def send_rtcp(self, packet: bytes) -> None:
        self.rtcp.append(packet)

    def forget(self, ssrc: int) -> None:
        """Nothing to forget."""

    @property
    def rtp(self) -> list[rtp.RtpHeader]:
        return [header for one in self.packets if (header := rtp.parse_rtp(one)) is not None]

    def payloads(self) -> list[bytes]:
        return [rtp.payload(*one) for one in zip(self.packets, self.rtp, strict=True)]

    def sequences(self) -> list[int]:
        return [one.sequence for one in self.rtp]

    def marks(self) -> list[bool]:
        return [rtp.is_marked(one) for one in self.packets]

    def asked(self) -> list[tuple[str, int]]:
        """Take what was asked of a publisher: key frames by SSRC, and lost packets by number."""
        found = []
        for data in self.rtcp:
            for one in rtp.parse_rtcp(data):
                if isinstance(one, rtp.Feedback):
                    if rtp.is_keyframe_request(one):
                        found.append(("key", one.media_ssrc))
                    found += [("lost", number) for number in rtp.nacked_sequences(one)]
        self.rtcp.clear()
        return found


def make_track(codec: Codec = OPUS, rids: Iterable[str] = ()) -> tuple[InboundTrack, Sink]:
    publisher = Sink()
    track = InboundTrack(publisher, codec, EXTENSIONS, is_video=codec is not OPUS, rids=tuple(rids))
    return track, publisher


def subscribe(
    track: InboundTrack,
    ssrc: int = 5,
    extensions: Mapping[str, int] | None = None,
    wanted: int | None = 2,
) -> tuple[OutboundTrack, Sink]:
    sink = Sink()
    subscription = OutboundTrack(
        track,
        sink,
        ssrc=ssrc,
        payload_type=109,
        extensions={} if extensions is None else extensions,
        mid="3",
        cname="PA_x",
        wanted=wanted,
    )
    track.add(subscription, 0.0)
    return subscription, sink


def send(
    track: InboundTrack,
    sequence: int,
    payload: bytes = b"media",
    *,
    now: float = 0.0,
    layer: int = 0,
    ssrc: int | None = None,
    timestamp: int | None = None,
    extensions: Iterable[tuple[int, bytes]] = (),
    payload_type: int | None = None,
    is_last: bool = False,
) -> None:
    stream: InboundStream = track.streams[layer]
    stamp = sequence * 960 if timestamp is None else timestamp
    data = rtp.write_rtp(
        payload_type=track.codec.payload_type if payload_type is None else payload_type,
        sequence=sequence,
        timestamp=stamp & 0xFFFFFFFF,
        ssrc=9 + layer if ssrc is None else ssrc,
        is_last=is_last,
        extensions=rtp.extension_block(*extensions),
        payload=payload,
    )
    header = rtp.parse_rtp(data)
    assert header is not None
    track.on_rtp(stream, data, header, now)


def feedback(data: bytes) -> rtp.Feedback:
    (one,) = rtp.parse_rtcp(data)
    assert isinstance(one, rtp.Feedback)
    return one


def nack(ssrc: int, lost: list[int]) -> rtp.Feedback:
    return feedback(rtp.nack(1, ssrc, lost))


def vp8(
    *,
    picture: int = 0,
    tl0: int = 0,
    key_index: int = 0,
    temporal: int = 0,
    is_sync: bool = False,
    is_key: bool = False,
    begins: bool = True,
) -> bytes:
    """A payload of VP8 with all there can be in its descriptor, a picture id of 15 bits."""
    layer = temporal << 6 | is_sync << 5 | key_index
    head = bytes([0x90 if begins else 0x80, 0xF0]) + (0x8000 | picture).to_bytes(2, "big")
    return head + bytes([tl0, layer, 0x00 if is_key else 0x01]) + b"picture"


def vp9(
    *,
    spatial: int = 0,
    temporal: int = 0,
    is_key: bool = False,
    begins: bool = True,
    ends: bool = True,
    is_switch: bool = False,
) -> bytes:
    """A payload of VP9 in non-flexible mode, with layer indices."""
    first = 0xA0 | (not is_key) << 6 | begins << 3 | ends << 2
    return bytes([first, 0x80, 0x01, temporal << 5 | is_switch << 4 | spatial << 1, 0]) + b"picture"
