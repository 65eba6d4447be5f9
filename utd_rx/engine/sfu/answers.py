"""Write our answer to an offer, and choose the codecs in it. Pure; no I/O and no state.

The answer is made by hand: every section of the offer gets one `AnswerSection` that says what it
is to be used for (docs/livekit.md, "Sections").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from attrs import astuple, field, frozen
from livekit.protocol import models

from utd_rx.engine.sfu import sdp
from utd_rx.engine.sfu.sdp import Codec, Direction, Section

_ACCEPTED_EXTENSIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "audio": (sdp.MID_EXTENSION, sdp.LEVEL_EXTENSION),
    "video": (sdp.MID_EXTENSION, sdp.RID_EXTENSION, sdp.ORIENTATION_EXTENSION),
}

# What can be forwarded, best known first. RED and RTX are left out: RED repeats the publisher's
# Opus payload number inside its payload, and losses are repaired on the stream itself.
FORWARDABLE_CODECS: Final[Mapping[str, tuple[str, ...]]] = {
    "audio": ("opus",),
    "video": ("vp8", "h264", "vp9", "av1"),
}
# As MIME types and SDP spell them; names in `Codec` are lower case.
CODEC_NAMES: Final = {"vp8": "VP8", "vp9": "VP9", "h264": "H264", "av1": "AV1", "opus": "opus"}
# Only feedback somebody answers may be in an answer (docs/livekit.md, "Feedback").
_VIDEO_FEEDBACK: Final = ("goog-remb", "ccm fir", "nack", "nack pli")

MAX_MESSAGE_SIZE: Final = 65535


@frozen
class LocalTransport:
    """Our half of the transport."""

    ice_ufrag: str
    ice_password: str = field(repr=False)
    fingerprint: str
    host: str
    port: int


@frozen
class SendStream:
    """What we send on a section the client receives on."""

    publisher_sid: str
    track_sid: str
    ssrc: int


@frozen
class AnswerSection:
    """Our answer to one section; codecs and extensions use the offer's numbers."""

    offered: Section
    direction: Direction = "inactive"
    codecs: tuple[Codec, ...] = ()
    stream: SendStream | None = None
    receive_rid: str | None = None


def enabled_codecs() -> list[models.Codec]:
    return [
        models.Codec(mime=f"{kind}/{name}")
        for kind, names in FORWARDABLE_CODECS.items()
        for name in names
    ]


def choose_published_codec(section: Section, preferred: str = "") -> Codec | None:
    """The one codec a publisher shall send: the `preferred` name if offered, else one we know."""
    known = [codec for codec in section.codecs if codec.name in FORWARDABLE_CODECS[section.kind]]
    named = [codec for codec in known if codec.name == preferred.lower()]
    return next(iter(named or known), None)


def match_codec(published: Codec, section: Section) -> Codec | None:
    """The payload type under which a subscriber's section accepts what is published."""
    candidates = [
        codec
        for codec in section.codecs
        if codec.name == published.name and codec.clock_rate == published.clock_rate
    ]
    wanted = [published.parameter(name) for name in _IDENTIFYING_PARAMETERS]
    for codec in candidates:
        if [codec.parameter(name) for name in _IDENTIFYING_PARAMETERS] == wanted:
            return codec
    if published.name == "h264":
        # Another profile may decode it, another packetization cannot.
        mode = published.parameter("packetization-mode")
        candidates = [one for one in candidates if one.parameter("packetization-mode") == mode]
    return candidates[0] if candidates else None


_IDENTIFYING_PARAMETERS: Final = ("profile-level-id", "packetization-mode", "profile-id", "profile")


def publisher_audio_parameters(codec: Codec, *, has_dtx: bool, is_stereo: bool) -> str:
    """The fmtp that tells a publisher how to encode Opus.

    `usedtx=1` is not cosmetic: without it onset after silence is 15 ms later and a muted
    microphone sends 50 packets a second (docs/livekit.md, "Forwarding").
    """
    dropped = {"usedtx"} if is_stereo else {"usedtx", "stereo", "sprop-stereo"}
    parts = [
        part.strip()
        for part in codec.parameters.split(";")
        if part.strip() and part.partition("=")[0].strip().lower() not in dropped
    ]
    return ";".join([*parts, "usedtx=1"] if has_dtx else parts)


def accepted_extensions(section: Section) -> Mapping[str, int]:
    """The header extensions we negotiate on a section, by URI, with the client's numbers."""
    return {
        uri: section.extensions[uri]
        for uri in _ACCEPTED_EXTENSIONS.get(section.kind, ())
        if uri in section.extensions
    }


def write_answer(sections: Sequence[AnswerSection], local: LocalTransport, version: int) -> str:
    """Write the answer; `version` must grow with every answer of a session."""
    bundle = " ".join(one.offered.mid for one in sections if not one.offered.is_rejected)
    lines = [
        "v=0",
        f"o=- 1 {version} IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        f"a=group:BUNDLE {bundle}",
        "a=msid-semantic:WMS *",
        "a=ice-lite",
        f"a=fingerprint:sha-256 {local.fingerprint}",
    ]
    for section in sections:
        lines += _answer_lines(section, local)
    return "\r\n".join(lines) + "\r\n"


def _answer_lines(section: AnswerSection, local: LocalTransport) -> Iterator[str]:
    offered = section.offered
    is_data = offered.kind == "application"
    codecs = section.codecs or offered.codecs[:1]
    formats = "webrtc-datachannel" if is_data else " ".join(str(c.payload_type) for c in codecs)
    yield f"m={offered.kind} {0 if offered.is_rejected else 9} {offered.protocol} {formats or '0'}"
    yield "c=IN IP4 0.0.0.0"
    yield f"a=mid:{offered.mid}"
    if offered.is_rejected:
        yield "a=inactive"
        return
    yield "a=setup:active"
    yield f"a=ice-ufrag:{local.ice_ufrag}"
    yield f"a=ice-pwd:{local.ice_password}"
    yield f"a=candidate:1 1 udp 2130706431 {local.host} {local.port} typ host"
    yield "a=end-of-candidates"
    if is_data:
        yield "a=sctp-port:5000"
        yield f"a=max-message-size:{MAX_MESSAGE_SIZE}"
        return
    yield "a=rtcp-mux"
    yield "a=rtcp-rsize"
    for codec in codecs:
        channels = f"/{codec.channels}" if codec.channels > 1 else ""
        name = CODEC_NAMES.get(codec.name, codec.name)
        yield f"a=rtpmap:{codec.payload_type} {name}/{codec.clock_rate}{channels}"
        if codec.parameters:
            yield f"a=fmtp:{codec.payload_type} {codec.parameters}"
        if offered.kind == "video":
            for feedback in _VIDEO_FEEDBACK:
                yield f"a=rtcp-fb:{codec.payload_type} {feedback}"
    for uri, number in accepted_extensions(offered).items():
        yield f"a=extmap:{number} {uri}"
    yield f"a={section.direction}"
    if section.receive_rid is not None:
        yield f"a=rid:{section.receive_rid} recv"
        yield f"a=simulcast:recv {section.receive_rid}"
    if section.stream is not None:
        publisher, track, ssrc = astuple(section.stream)
        msid = f"msid:{publisher}|{track} {track}"
        yield f"a={msid}"
        yield f"a=ssrc:{ssrc} cname:{publisher}"
        yield f"a=ssrc:{ssrc} {msid}"
