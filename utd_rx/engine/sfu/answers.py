"""Write our answer to an offer, or an offer of ours, and choose the codecs. Pure; no state.

Every section of the offer gets one `AnswerSection` (docs/livekit.md, "Sections"). An offer of ours
is the answer to one that the client has not made (`subscriber_offers`), and written alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from attrs import astuple, evolve, field, frozen
from livekit.protocol import models, rtc

from utd_rx.engine.sfu import sdp
from utd_rx.engine.sfu.sdp import Codec, Direction, Section

_ACCEPTED_EXTENSIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "audio": (sdp.MID_EXTENSION, sdp.LEVEL_EXTENSION),
    "video": (sdp.MID_EXTENSION, sdp.RID_EXTENSION, sdp.ORIENTATION_EXTENSION),
}

# What can be forwarded, best known first: names as in `Codec`, and as MIME types and SDP spell
# them. RED and RTX are left out: RED repeats the publisher's Opus payload number inside its
# payload, and losses are repaired on the stream itself.
CODECS: Final[Mapping[str, Mapping[str, str]]] = {
    "audio": {"opus": "opus"},
    "video": {"vp8": "VP8", "h264": "H264", "vp9": "VP9", "av1": "AV1"},
}
# Only feedback somebody answers may be in an answer (docs/livekit.md, "Feedback").
_VIDEO_FEEDBACK: Final = ("goog-remb", "ccm fir", "nack", "nack pli")

_IDENTIFYING_PARAMETERS: Final = ("profile-level-id", "packetization-mode", "profile-id", "profile")

MAX_MESSAGE_SIZE: Final = 65535


@frozen
class LocalTransport:
    ice_ufrag: str
    ice_password: str = field(repr=False)
    fingerprint: str
    hosts: tuple[str, ...]  # best first
    port: int


@frozen
class SendStream:
    publisher_sid: str
    track_sid: str
    ssrc: int


@frozen
class AnswerSection:
    """Our answer to one section; codecs and extensions use the offer's numbers, and `is_stereo`
    says so of what is sent there."""

    offered: Section
    direction: Direction = "inactive"
    codecs: tuple[Codec, ...] = ()
    stream: SendStream | None = None
    receive_rids: tuple[str, ...] = ()
    is_stereo: bool = False


def enabled_codecs() -> list[models.Codec]:
    return [models.Codec(mime=f"{kind}/{name}") for kind, names in CODECS.items() for name in names]


def choose_published_codec(section: Section, preferred: str = "") -> Codec | None:
    """The one codec a publisher shall send: the `preferred` name if offered, else one we know."""
    known = [codec for codec in section.codecs if codec.name in CODECS[section.kind]]
    named = [codec for codec in known if codec.name == preferred.lower()]
    return next(iter(named or known), None)


def match_codec(published: Codec, section: Section) -> Codec | None:
    """The payload type under which a subscriber's section accepts what is published."""

    def is_like(codec: Codec, *parameters: str) -> bool:
        is_named_so = (codec.name, codec.clock_rate) == (published.name, published.clock_rate)
        said = ((_said(codec, one), _said(published, one)) for one in parameters)
        return is_named_so and all(theirs == ours for theirs, ours in said)

    same = [one for one in section.codecs if is_like(one, *_IDENTIFYING_PARAMETERS)]
    # Another profile may decode it, another packetization of H.264 cannot.
    similar = [one for one in section.codecs if is_like(one, "packetization-mode")]
    return next(iter(same or similar), None)


def _said(codec: Codec, parameter: str) -> str | None:
    """A parameter of a codec; where it may be left out, what it means then (RFC 6184 §8.1)."""
    value = codec.parameter(parameter)
    return "0" if value is None and parameter == "packetization-mode" else value


def published_codec(codec: Codec, request: rtc.AddTrackRequest) -> Codec:
    """The codec as its publisher shall send it: the fmtp of Opus tells how to encode."""
    if codec.name != "opus":
        return codec
    is_stereo = request.stereo or models.AudioTrackFeature.TF_STEREO in request.audio_features
    dropped = {"usedtx"} if is_stereo else {"usedtx", "stereo", "sprop-stereo"}
    parts = [
        part.strip()
        for part in codec.parameters.split(";")
        if part.strip() and part.partition("=")[0].strip().lower() not in dropped
    ]
    # Without it onset after silence is 15 ms later, and a muted microphone sends 50 packets a
    # second (docs/livekit.md, "Forwarding").
    if not request.disable_dtx:
        parts.append("usedtx=1")
    return evolve(codec, parameters=";".join(parts))


def accepted_extensions(section: Section, codec: Codec | None) -> Mapping[str, int]:
    """The header extensions we negotiate for a codec, by URI, with the client's numbers."""
    accepted = _ACCEPTED_EXTENSIONS.get(section.kind, ())
    # Of a publisher only AV1's layers are read from it. Where we send it is taken always: Chromium
    # does not offer again what was once left out, whatever the section carries by then.
    if not section.is_sending or (codec is not None and codec.name == "av1"):
        accepted += (sdp.DEPENDENCY_EXTENSION,)
    return {uri: section.extensions[uri] for uri in accepted if uri in section.extensions}


def write_answer(
    sections: Sequence[AnswerSection],
    local: LocalTransport,
    version: int,
    *,
    is_mixed: bool,
    is_offer: bool = False,
) -> str:
    """Write the answer; `version` must grow with every answer, or offer, of a session."""
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
    if is_mixed:
        lines.append("a=extmap-allow-mixed")
    for section in sections:
        lines += _answer_lines(section, local, "actpass" if is_offer else "active")
    return "\r\n".join(lines) + "\r\n"


def _answer_lines(section: AnswerSection, local: LocalTransport, setup: str) -> Iterator[str]:
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
    yield f"a=setup:{setup}"
    yield f"a=ice-ufrag:{local.ice_ufrag}"
    yield f"a=ice-pwd:{local.ice_password}"
    for index, host in enumerate(local.hosts):
        # RFC 8445 §5.1.2.1: of candidates of a kind, the address decides.
        priority = 2130706431 - (index << 8)
        yield f"a=candidate:{index + 1} 1 udp {priority} {host} {local.port} typ host"
    yield "a=end-of-candidates"
    if is_data:
        yield "a=sctp-port:5000"
        yield f"a=max-message-size:{MAX_MESSAGE_SIZE}"
        return
    yield "a=rtcp-mux"
    yield "a=rtcp-rsize"
    for codec in codecs:
        channels = f"/{codec.channels}" if codec.channels > 1 else ""
        name = CODECS[offered.kind].get(codec.name, codec.name)
        yield f"a=rtpmap:{codec.payload_type} {name}/{codec.clock_rate}{channels}"
        if codec.parameters:
            yield f"a=fmtp:{codec.payload_type} {codec.parameters}"
        if offered.kind == "video":
            for feedback in _VIDEO_FEEDBACK:
                yield f"a=rtcp-fb:{codec.payload_type} {feedback}"
    for uri, number in accepted_extensions(offered, next(iter(codecs), None)).items():
        yield f"a=extmap:{number} {uri}"
    yield f"a={section.direction}"
    for rid in section.receive_rids:
        yield f"a=rid:{rid} recv"
    if section.receive_rids:
        yield f"a=simulcast:recv {';'.join(section.receive_rids)}"
    if section.stream is not None:
        publisher, track, ssrc = astuple(section.stream)
        msid = f"msid:{publisher}|{track} {track}"
        yield f"a={msid}"
        yield f"a=ssrc:{ssrc} cname:{publisher}"
        yield f"a=ssrc:{ssrc} {msid}"
