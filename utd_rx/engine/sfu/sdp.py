"""Read a client's offer, or its answer. Pure; no I/O and no state.

Only what LiveKit clients send is understood (docs/livekit.md, "Signalling"): one BUNDLE transport,
rtcp-mux, trickle ICE, DTLS.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Final, Literal, TypeAlias

from attrs import field, frozen

from utd_rx.engine.sfu.limits import MAX_LAYERS, MAX_SECTIONS, MAX_SIGNAL_BYTES

Kind = Literal["audio", "video", "application"]
Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

MID_EXTENSION: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID_EXTENSION: Final = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
LEVEL_EXTENSION: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
ORIENTATION_EXTENSION: Final = "urn:3gpp:video-orientation"
DEPENDENCY_EXTENSION: Final = (
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
)

# Of a line: an ssrc-group of simulcast, or the fmtp of a codec, has a few hundred characters.
MAX_LINE_CHARS: Final = 4096
# Of a mid and of the cid of a track: browsers use digits and UUIDs.
MAX_ID_CHARS: Final = 256
# LiveKit's clients send three.
# Sections that are read in a turn of the loop: a millisecond.
PART: Final = 32
_DIRECTIONS: Final[tuple[Direction, ...]] = ("sendrecv", "sendonly", "recvonly", "inactive")
_KINDS: Final[tuple[Kind, ...]] = ("audio", "video", "application")


class SdpError(ValueError):
    """The offer cannot be used."""


@frozen
class Codec:
    payload_type: int
    name: str  # lower case
    clock_rate: int
    channels: int = 1
    parameters: str = ""  # the fmtp line's value

    def parameter(self, name: str) -> str | None:
        parts = (part.strip().partition("=") for part in self.parameters.split(";"))
        return next((value for key, _, value in parts if key.lower() == name), None)


@frozen
class Section:
    kind: Kind
    mid: str
    protocol: str
    direction: Direction
    is_rejected: bool = False
    codecs: tuple[Codec, ...] = ()
    extensions: Mapping[str, int] = field(factory=dict)
    track_id: str | None = None  # second token of msid: the cid of the LiveKit track
    ssrcs: tuple[int, ...] = ()
    rids: tuple[str, ...] = ()  # simulcast layers offered for sending

    @property
    def is_sending(self) -> bool:
        return self.direction in ("sendonly", "sendrecv") and not self.is_rejected

    @property
    def is_receiving(self) -> bool:
        return self.direction in ("recvonly", "sendrecv") and not self.is_rejected


@frozen
class SdpOffer:
    """A client's offer, or its answer to ours, BUNDLE transport attributes merged."""

    ice_ufrag: str
    ice_password: str = field(repr=False)
    fingerprints: tuple[tuple[str, str], ...]  # (hash name, upper-case hex with colons)
    sections: tuple[Section, ...]
    is_mixed: bool = False  # one-byte and two-byte header extensions may follow each other
    is_active: bool = False  # the client begins DTLS


class _Lines:
    """The lines of the session or of one section: `a=key:value` as values by key."""

    def __init__(self, text: str) -> None:
        first, *rest = text.replace("\r\n", "\n").split("\n")
        if max(map(len, (first, *rest))) > MAX_LINE_CHARS:
            raise SdpError("line too long")
        self.media = first.split()
        self._values: dict[str, list[str]] = {}
        for line in rest:
            if line.startswith("a="):
                key, _, value = line[2:].partition(":")
                self._values.setdefault(key.strip(), []).append(value.strip())

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def all(self, key: str) -> list[str]:
        return self._values.get(key, [])

    def pairs(self, key: str) -> Iterator[tuple[str, str]]:
        """Every value of an attribute, split at its first space."""
        return ((head, rest) for head, _, rest in (one.partition(" ") for one in self.all(key)))


Reading: TypeAlias = Generator[None, None, SdpOffer]


def parse_offer(text: str) -> SdpOffer:
    """Parse an offer or an answer; `SdpError`: it is too large or lacks what a transport needs."""
    reading = read_offer(text)
    while True:
        try:
            next(reading)
        except StopIteration as end:
            offer: SdpOffer = end.value
            return offer


def read_offer(text: str) -> Reading:
    """Do what `parse_offer` does in parts: others may have a turn whenever it yields."""
    if len(text) > MAX_SIGNAL_BYTES:
        raise SdpError("offer too large")
    session, *media = f"\n{text}".split("\nm=")
    if not 0 < len(media) <= MAX_SECTIONS:
        raise SdpError(f"{len(media)} sections")
    blocks, sections = [_Lines(session)], []
    for index, block in enumerate(media):
        if index % PART == PART - 1:
            yield
        blocks.append(_Lines(block))
        sections.append(_parse_section(blocks[-1], index))
    if len({section.mid for section in sections}) != len(sections):
        raise SdpError("duplicate mid")
    fingerprints = dict.fromkeys(
        (name.lower(), digest.strip().upper())
        for block in blocks
        for name, digest in block.pairs("fingerprint")
    )
    if not fingerprints:
        raise SdpError("offer lacks a fingerprint")
    ice_ufrag, ice_password = _first(blocks, "ice-ufrag"), _first(blocks, "ice-pwd")
    is_mixed = any("extmap-allow-mixed" in block for block in blocks)
    is_active = any("active" in block.all("setup") for block in blocks)
    found = tuple(sections)
    return SdpOffer(ice_ufrag, ice_password, tuple(fingerprints), found, is_mixed, is_active)


def _first(blocks: Iterable[_Lines], key: str) -> str:
    values = [value for block in blocks for value in block.all(key) if value]
    if not values:
        raise SdpError(f"offer lacks {key}")
    return values[0]


def _number(text: str, highest: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) > highest:
        raise SdpError(f"bad number {text[:16]!r}")
    return int(text)


def _parse_section(lines: _Lines, index: int) -> Section:
    if len(lines.media) < 4:
        raise SdpError("bad m= line")
    kind = next((one for one in _KINDS if one == lines.media[0]), None)
    if kind is None:
        raise SdpError(f"unknown media {lines.media[0][:16]!r}")
    mid = next(iter(lines.all("mid")), str(index))
    tracks = [rest.split()[0] for _, rest in lines.pairs("msid") if rest.strip()]
    if max(len(one) for one in (mid, *tracks)) > MAX_ID_CHARS:
        raise SdpError("id too long")
    port = _number(lines.media[1], 65535)
    # With BUNDLE, port 0 means rejected unless the section is bundle-only.
    is_rejected = port == 0 and ("bundle-only" not in lines or kind == "application")
    return Section(
        kind=kind,
        mid=mid,
        protocol=lines.media[2],
        direction=next((one for one in _DIRECTIONS if one in lines), "sendrecv"),
        is_rejected=is_rejected,
        codecs=_parse_codecs(lines),
        extensions=_parse_extensions(lines),
        track_id=tracks[0] if tracks else None,
        ssrcs=_parse_ssrcs(lines),
        rids=_parse_rids(lines),
    )


def _parse_codecs(lines: _Lines) -> tuple[Codec, ...]:
    parameters = dict(lines.pairs("fmtp"))
    by_number: dict[str, Codec] = {}
    for number, encoding in lines.pairs("rtpmap"):
        name, _, rest = encoding.strip().partition("/")
        rate, _, channels = rest.partition("/")
        by_number[number] = Codec(
            _number(number, 127),
            name.lower(),
            _number(rate, 10_000_000),
            _number(channels, 255) if channels else 1,
            parameters.get(number, "").strip(),
        )
    return tuple(by_number[number] for number in lines.media[3:] if number in by_number)


def _parse_extensions(lines: _Lines) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for number, rest in lines.pairs("extmap"):
        found.setdefault(rest.split(" ")[0], _number(number.partition("/")[0], 255))
    return found


def _parse_ssrcs(lines: _Lines) -> tuple[int, ...]:
    groups = [rest.split() for name, rest in lines.pairs("ssrc-group") if name == "FID"]
    repair = {group[-1] for group in groups if group}
    numbers = dict.fromkeys(number for number, _ in lines.pairs("ssrc"))
    return tuple(_number(number, 0xFFFFFFFF) for number in numbers if number not in repair)


def _parse_rids(lines: _Lines) -> tuple[str, ...]:
    for value in lines.all("simulcast"):
        tokens = value.split()
        if "send" in tokens[:-1]:
            layers = tokens[tokens.index("send") + 1].split(";")
            if len(layers) > MAX_LAYERS:
                raise SdpError(f"{len(layers)} simulcast layers")
            # "~" marks a paused layer, "," separates alternatives of one layer; drafts of RFC 8853
            # began the list with "rid=".
            return tuple(one.split(",")[0].removeprefix("rid=").lstrip("~") for one in layers)
    return ()
