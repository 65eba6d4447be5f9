"""What a client of two peer connections receives on: sections of ours, in offers of ours.

Clients of `/rtc` publish on one connection, which they offer, and receive on another, which we do
(docs/livekit.md, "Two connections"). An offer of ours is written as the answer to an offer in which
the client had as many receiving sections as are needed, with every codec that is forwarded; what it
cannot receive of it, it says in its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from attrs import define, evolve, field
from livekit.protocol import rtc

from utd_rx.engine.sfu import sdp
from utd_rx.engine.sfu.answers import AnswerSection, write_answer
from utd_rx.engine.sfu.limits import MAX_SECTIONS
from utd_rx.engine.sfu.sdp import Codec, Kind, Section
from utd_rx.engine.sfu.subscriptions import Subscriptions
from utd_rx.engine.sfu.transport import Transport

# One number is one codec in all sections of a connection. H.264 has one for each pair of profile
# and packetization that browsers encode.
_CODECS: Final[Mapping[Kind, tuple[Codec, ...]]] = {
    "audio": (Codec(111, "opus", 48000, 2, "minptime=10;useinbandfec=1"),),
    "video": (
        Codec(96, "vp8", 90000),
        Codec(98, "vp9", 90000, 1, "profile-id=0"),
        Codec(100, "vp9", 90000, 1, "profile-id=2"),
        Codec(45, "av1", 90000),
        *(
            Codec(
                number,
                "h264",
                90000,
                1,
                f"level-asymmetry-allowed=1;packetization-mode={mode};profile-level-id={profile}",
            )
            for number, mode, profile in (
                *((102, 1, "42e01f"), (103, 0, "42e01f"), (104, 1, "42001f"), (105, 0, "42001f")),
                *((106, 1, "4d001f"), (107, 0, "4d001f"), (108, 1, "64001f"), (109, 1, "640c1f")),
            )
        ),
    ),
}
_EXTENSIONS: Final[Mapping[Kind, Mapping[str, int]]] = {
    "audio": {sdp.LEVEL_EXTENSION: 1, sdp.MID_EXTENSION: 4},
    "video": {
        sdp.MID_EXTENSION: 4,
        sdp.DEPENDENCY_EXTENSION: 12,
        sdp.ORIENTATION_EXTENSION: 13,
    },
}
_DATA: Final = Section("application", "0", "UDP/DTLS/SCTP", "sendrecv")


@define(eq=False)
class SubscriberOffers:
    """Our offers to one client, one at a time; `send` sends one field of a SignalResponse."""

    _transport: Transport
    _send: Callable[..., None]
    _now: Callable[[], float]
    _sections: list[Section] = field(factory=lambda: [_DATA])
    _id: int = 0  # of the last offer
    _is_answered: bool = True

    def start(self, subscriptions: Subscriptions) -> None:
        """Make an offer on new ICE credentials: the first one, or the one of a resume."""
        self._transport.restart()
        subscriptions.request()

    def request(self, subscriptions: Subscriptions, missing: Mapping[Kind, int]) -> None:
        """Offer what is to be received by now, on so many sections more of each kind."""
        for kind, count in missing.items():
            for _ in range(min(count, MAX_SECTIONS - len(self._sections))):
                self._sections.append(_receiving(kind, str(len(self._sections))))
        self._offer(subscriptions)

    def _offer(self, subscriptions: Subscriptions) -> None:
        data, *media = self._sections
        now = self._now()
        filled = (subscriptions.answer(one, now) for one in media)
        answers = [AnswerSection(data), *(map(_announced, filled))]
        self._id += 1
        self._is_answered = False
        local = self._transport.local()
        offer: dict[str, Any] = {
            "sdp": write_answer(answers, local, self._id, is_mixed=True, is_offer=True),
            "mid_to_track_id": subscriptions.mid_to_track_id(),
        }
        self._send(offer=rtc.SessionDescription(type="offer", id=self._id, **offer))

    def on_answer(
        self, subscriptions: Subscriptions, description: rtc.SessionDescription
    ) -> Iterator[None]:
        """Take the answer to the last offer, in parts; `sdp.SdpError` when it is useless.

        Older clients name no offer in their answers.
        """
        if self._is_answered or description.id not in (0, self._id):
            return
        number = self._id
        answer = yield from sdp.read_offer(description.sdp)
        if self._is_answered or number != self._id:  # meanwhile there was another offer
            return
        self._is_answered = True
        now = self._now()
        self._transport.on_answer(answer, now)
        for index, section in enumerate(answer.sections[: len(self._sections)]):
            if section.is_rejected:  # and stays so: another track gets another section
                self._sections[index] = evolve(self._sections[index], is_rejected=True)
        subscriptions.confirm(answer.sections, now)
        subscriptions.end_request()


def _announced(section: AnswerSection) -> AnswerSection:
    """Say of a stereo track that it is one: a client decodes mono otherwise."""
    if not section.is_stereo:
        return section
    codecs = [evolve(one, parameters=f"{one.parameters};sprop-stereo=1") for one in section.codecs]
    return evolve(section, codecs=tuple(codecs))


def _receiving(kind: Kind, mid: str) -> Section:
    return Section(
        kind,
        mid,
        "UDP/TLS/RTP/SAVPF",
        "recvonly",
        codecs=_CODECS[kind],
        extensions=_EXTENSIONS[kind],
    )
