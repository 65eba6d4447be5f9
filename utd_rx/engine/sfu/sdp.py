"""Read a client's offer. Pure; no I/O and no state.

Only what LiveKit clients send is understood (facts/sfu.md §2): one BUNDLE transport, rtcp-mux,
trickle ICE, DTLS. `answers` writes what we reply.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

from attrs import field, frozen

from utd_rx.engine.sfu.limits import MAX_SECTIONS, MAX_SIGNAL_BYTES

Kind = Literal["audio", "video", "application"]
Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

MID_EXTENSION: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID_EXTENSION: Final = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
LEVEL_EXTENSION: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
ORIENTATION_EXTENSION: Final = "urn:3gpp:video-orientation"
_LAYERS: Final = ("f", "h", "q")  # LiveKit's names: full, half, quarter

# Of a line: an ssrc-group of simulcast, or the fmtp of a codec, has a few hundred characters.
MAX_LINE_CHARS: Final = 4096
# Of a mid and of the cid of a track: browsers use digits and UUIDs.
MAX_ID_CHARS: Final = 256
_DIRECTIONS: Final[tuple[Direction, ...]] = ("sendrecv", "sendonly", "recvonly", "inactive")
_KINDS: Final[tuple[Kind, ...]] = ("audio", "video", "application")


class SdpError(ValueError):
    """The offer cannot be used."""


@frozen
class Codec:
    """One payload type of a section."""

    payload_type: int
    name: str  # lower case
    clock_rate: int
    channels: int = 1
    parameters: str = ""  # the fmtp line's value

    def parameter(self, name: str) -> str | None:
        """Value of one fmtp parameter."""
        for part in self.parameters.split(";"):
            key, _, value = part.strip().partition("=")
            if key.lower() == name:
                return value
        return None


@frozen
class Section:
    """One m-section of an offer."""

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
        """Whether the client offers to send on this section."""
        return self.direction in ("sendonly", "sendrecv") and not self.is_rejected

    @property
    def best_rid(self) -> str | None:
        """The largest simulcast layer; browsers list it last, the native SDK first."""
        for name in _LAYERS:
            if name in self.rids:
                return name
        return self.rids[-1] if self.rids else None


@frozen
class SdpOffer:
    """A client's offer, BUNDLE transport attributes merged."""

    ice_ufrag: str
    ice_password: str = field(repr=False)
    fingerprints: tuple[tuple[str, str], ...]  # (hash name, upper-case hex with colons)
    sections: tuple[Section, ...]


def parse_offer(text: str) -> SdpOffer:
    """Parse an offer.

    Raises:
        SdpError: when it is too large, has no usable section or lacks transport attributes.
    """
    if len(text) > MAX_SIGNAL_BYTES:
        raise SdpError("offer too large")
    session, *media = _split(text)
    if not media:
        raise SdpError("offer has no section")
    if len(media) > MAX_SECTIONS:
        raise SdpError("too many sections")
    sections = tuple(_parse_section(lines, index) for index, lines in enumerate(media))
    if len({section.mid for section in sections}) != len(sections):
        raise SdpError("duplicate mid")
    everywhere = [line for lines in (session, *media) for line in lines]
    return SdpOffer(
        ice_ufrag=_required(everywhere, "a=ice-ufrag:"),
        ice_password=_required(everywhere, "a=ice-pwd:"),
        fingerprints=_fingerprints(everywhere),
        sections=sections,
    )


def _split(text: str) -> list[list[str]]:
    blocks: list[list[str]] = [[]]
    for line in text.replace("\r\n", "\n").split("\n"):
        if line.startswith("m="):
            blocks.append([])
        if len(line) > MAX_LINE_CHARS:
            raise SdpError("line too long")
        if line:
            blocks[-1].append(line)
    return blocks


def _values(lines: Iterable[str], prefix: str) -> Iterator[str]:
    return (line[len(prefix) :].strip() for line in lines if line.startswith(prefix))


def _required(lines: Iterable[str], prefix: str) -> str:
    for value in _values(lines, prefix):
        if value:
            return value
    raise SdpError(f"offer lacks {prefix}")


def _fingerprints(lines: Iterable[str]) -> tuple[tuple[str, str], ...]:
    found = dict.fromkeys(
        (name.lower(), digest.strip().upper())
        for name, _, digest in (value.partition(" ") for value in _values(lines, "a=fingerprint:"))
    )
    if not found:
        raise SdpError("offer lacks a=fingerprint:")
    return tuple(found)


def _number(text: str, highest: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) > highest:
        raise SdpError(f"bad number {text[:16]!r}")
    return int(text)


def _parse_section(lines: Sequence[str], index: int) -> Section:
    media = lines[0][2:].split()
    if len(media) < 4:
        raise SdpError("bad m= line")
    kind = next((one for one in _KINDS if one == media[0]), None)
    if kind is None:
        raise SdpError(f"unknown media {media[0][:16]!r}")
    mid = next(_values(lines, "a=mid:"), str(index))
    track_id = _parse_track_id(lines)
    if max(len(mid), len(track_id or "")) > MAX_ID_CHARS:
        raise SdpError("id too long")
    port = _number(media[1], 65535)
    direction: Direction = next((one for one in _DIRECTIONS if f"a={one}" in lines), "sendrecv")
    if kind == "application":
        return Section(kind, mid, media[2], direction, is_rejected=port == 0)
    return Section(
        kind=kind,
        mid=mid,
        protocol=media[2],
        direction=direction,
        # With BUNDLE, port 0 means rejected unless the section is bundle-only.
        is_rejected=port == 0 and "a=bundle-only" not in lines,
        codecs=_parse_codecs(lines, media[3:]),
        extensions=_parse_extensions(lines),
        track_id=track_id,
        ssrcs=_parse_ssrcs(lines),
        rids=_parse_rids(lines),
    )


def _parse_codecs(lines: Sequence[str], order: Iterable[str]) -> tuple[Codec, ...]:
    parameters = {
        number: value.strip()
        for number, _, value in (line.partition(" ") for line in _values(lines, "a=fmtp:"))
    }
    by_number: dict[str, Codec] = {}
    for value in _values(lines, "a=rtpmap:"):
        number, _, encoding = value.partition(" ")
        name, _, rest = encoding.strip().partition("/")
        rate, _, channels = rest.partition("/")
        by_number[number] = Codec(
            _number(number, 127),
            name.lower(),
            _number(rate, 10_000_000),
            _number(channels, 255) if channels else 1,
            parameters.get(number, ""),
        )
    return tuple(by_number[number] for number in order if number in by_number)


def _parse_extensions(lines: Iterable[str]) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for value in _values(lines, "a=extmap:"):
        number, _, rest = value.partition(" ")
        uri = rest.split(" ")[0]
        found.setdefault(uri, _number(number.partition("/")[0], 255))
    return found


def _parse_track_id(lines: Iterable[str]) -> str | None:
    for value in _values(lines, "a=msid:"):
        tokens = value.split()
        if len(tokens) > 1:
            return tokens[1]
    return None


def _parse_ssrcs(lines: Sequence[str]) -> tuple[int, ...]:
    repair = {
        tokens[-1]
        for tokens in (value.split() for value in _values(lines, "a=ssrc-group:FID"))
        if len(tokens) > 1
    }
    numbers = dict.fromkeys(value.partition(" ")[0] for value in _values(lines, "a=ssrc:"))
    return tuple(_number(number, 0xFFFFFFFF) for number in numbers if number not in repair)


def _parse_rids(lines: Sequence[str]) -> tuple[str, ...]:
    for value in _values(lines, "a=simulcast:"):
        tokens = value.split()
        if "send" in tokens[:-1]:
            layers = tokens[tokens.index("send") + 1].split(";")
            # "~" marks a paused layer, "," separates alternatives of one layer.
            return tuple(layer.split(",")[0].lstrip("~") for layer in layers)
    return ()
