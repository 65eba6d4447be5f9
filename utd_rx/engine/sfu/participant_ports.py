"""What participants use: what they all share, and the signal connection of each."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from aiortc import RTCCertificate
from attrs import frozen

from utd_rx.engine.sfu.options import SfuOptions
from utd_rx.engine.sfu.udp_mux import UdpMux
from utd_rx.engine.sfu.webhook_sender import SfuWebhookSender


@frozen
class SfuContext:
    options: SfuOptions
    mux: UdpMux
    certificate: RTCCertificate
    webhooks: SfuWebhookSender

    @staticmethod
    def now() -> float:
        """The running loop's clock, which every deadline is on."""
        return asyncio.get_running_loop().time()


EVERYBODY_HERE: Final = "everybody here"
"""What a connection begins with is about: as large as the room, and not counted against the client,
who had no time to read it."""


class SignalConnection(Protocol):
    """The way back to the client; both are immediate and never raise."""

    def send(self, message: bytes, about: str = "") -> None:
        """Of what is `about` the same, only the newest need arrive; empty for what must."""

    def close(self) -> None: ...
