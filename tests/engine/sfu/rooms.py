"""Rooms without a network, and who is in them: signal connections that remember."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from aiortc import RTCCertificate
from livekit import api
from livekit.protocol import models, rtc

from tests.support.sfu import fresh_options
from utd_rx.engine.sfu.participant_ports import SfuContext
from utd_rx.engine.sfu.sfu_participant import SfuParticipant
from utd_rx.engine.sfu.sfu_room import SfuRoom
from utd_rx.engine.sfu.tokens import AccessClaims
from utd_rx.engine.sfu.udp_mux import UdpMux
from utd_rx.engine.sfu.webhook_sender import SfuWebhookSender

CERTIFICATE: Final = RTCCertificate.generateCertificate()


def done(parts: Iterable[None]) -> None:
    """Do at once what a signal connection does in parts."""
    for _ in parts:
        pass


class Signal:
    def __init__(self) -> None:
        self.sent: list[rtc.SignalResponse] = []
        self.is_closed = False

    def send(self, message: bytes, _about: str = "") -> None:
        self.sent.append(rtc.SignalResponse.FromString(message))

    def close(self) -> None:
        self.is_closed = True

    def news(self) -> list[tuple[str, models.ParticipantInfo.State]]:
        """Take identity and state of every update so far."""
        updates = [one.update for one in self.sent if one.HasField("update")]
        self.sent.clear()
        return [(info.identity, info.state) for one in updates for info in one.participants]


def claims(identity: str, **grants: Any) -> AccessClaims:
    video = api.VideoGrants(room="r", room_join=True, **grants)
    return AccessClaims(identity, "", "", {}, video, 0.0)


def make_room() -> SfuRoom:
    options = fresh_options(silent_update_interval=3.0)
    return SfuRoom("r", SfuContext(options, UdpMux(), CERTIFICATE, SfuWebhookSender(options)), 0.0)


def join(
    room: SfuRoom, identity: str, now: float = 0.0, *, has_two: bool = False, **grants: Any
) -> tuple[SfuParticipant, Signal]:
    """A participant of that identity, on one peer connection or on two."""
    settings = rtc.ConnectionSettings(auto_subscribe=True)
    request = rtc.JoinRequest(connection_settings=settings)
    hosts = ("127.0.0.1",)
    participant = room.add(claims(identity, **grants), request, hosts, now, has_two=has_two)
    signal = Signal()
    participant.attach(signal)
    room.on_joined(participant)
    return participant, signal
