"""What every room and participant of one SFU shares."""

from __future__ import annotations

import asyncio

from attrs import frozen

from utd_rx.engine.sfu.dtls import Certificate
from utd_rx.engine.sfu.options import SfuOptions
from utd_rx.engine.sfu.udp_mux import UdpMux
from utd_rx.engine.sfu.webhook_sender import WebhookSender


@frozen
class SfuContext:
    """See the module."""

    options: SfuOptions
    mux: UdpMux
    certificate: Certificate
    webhooks: WebhookSender

    @staticmethod
    def now() -> float:
        """The running loop's clock, which every deadline is on."""
        return asyncio.get_running_loop().time()
