"""What a receiver of one stream counts, and asks the sender for again. Time is an argument."""

from __future__ import annotations

from typing import Final

from aiortc.rtp import RtcpReceiverInfo, RtcpSrPacket, clamp_packets_lost
from attrs import define, field

from utd_rx.engine.sfu.budget import Budget

# More than that missing at once is an outage, not a loss: a key frame mends it sooner.
_MAX_GAP: Final = 100
_MAX_MISSING: Final = 300
_ASK_AGAIN: Final = 0.05
_MAX_ASKED: Final = 8
# A request is answered once per round trip; on loopback and in a LAN that is less than this.
_RESEND_INTERVAL: Final = 0.02
# Bytes per second that one subscriber may ask for again, with a burst of one: a tenth of what its
# videos may have (`inbound`), and a lost key frame of all of them.
_RESEND_RATE: Final = 250_000


@define
class ReceiveStatistics:
    """What a receiver report says about one stream (RFC 3550 appendix A)."""

    loss: float = 0.0  # share of packets missing in the last report interval
    _base: int | None = None
    _highest: int = 0
    _received: int = 0
    _reported_expected: int = 0
    _reported_received: int = 0
    _last_report: int = 0
    _last_report_at: float = 0.0

    def on_packet(self, sequence: int) -> int:
        """Count it; how far it is ahead of all before: 1 when none is missing, 0 when late."""
        self._received += 1
        if self._base is None:
            self._base = self._highest = sequence
            return 1
        step = (sequence - self._highest) & 0xFFFF
        if step >= 0x8000:
            return 0
        self._highest += step
        return step

    def on_sender_report(self, report: RtcpSrPacket, now: float) -> None:
        self._last_report = report.sender_info.ntp_timestamp >> 16 & 0xFFFFFFFF
        self._last_report_at = now

    def block(self, ssrc: int, now: float) -> RtcpReceiverInfo | None:
        """The report block since the last call, None before the first packet."""
        if self._base is None:
            return None
        expected = self._highest - self._base + 1
        interval = expected - self._reported_expected
        missing = interval - (self._received - self._reported_received)
        self._reported_expected, self._reported_received = expected, self._received
        self.loss = min(1.0, max(missing, 0) / interval) if interval > 0 else 0.0
        delay = int((now - self._last_report_at) * 65536) if self._last_report else 0
        return RtcpReceiverInfo(
            ssrc=ssrc,
            fraction_lost=min(255, int(self.loss * 256)),
            packets_lost=clamp_packets_lost(expected - self._received),
            highest_sequence=self._highest & 0xFFFFFFFF,
            jitter=0,
            lsr=self._last_report,
            dlsr=delay & 0xFFFFFFFF,
        )


@define
class MissingPackets:
    """The gaps of one stream; each packet is asked for at once, then again until it comes."""

    _asked: dict[int, int] = field(factory=dict)  # how often, by sequence number
    _ask_at: float = 0.0

    def on_packet(self, sequence: int, step: int, now: float) -> list[int] | None:
        """What to ask for because of this packet; None when only a key frame mends it."""
        if step == 0:
            self._asked.pop(sequence, None)
            return []
        if step > _MAX_GAP or len(self._asked) + step > _MAX_MISSING:
            self._asked.clear()
            return None
        missing = [(sequence - back) & 0xFFFF for back in range(step - 1, 0, -1)]
        self._asked |= dict.fromkeys(missing, 1)
        if missing:
            self._ask_at = now + _ASK_AGAIN
        return missing

    def due(self, now: float) -> list[int]:
        """What to ask for again; whatever was asked for often enough is given up."""
        if not self._asked or now < self._ask_at:
            return []
        self._ask_at = now + _ASK_AGAIN
        self._asked = {one: n + 1 for one, n in self._asked.items() if n < _MAX_ASKED}
        return list(self._asked)


@define
class Resends:
    """What one subscriber is sent again: each packet once per round trip, and bytes on a budget.

    Otherwise few small requests make many large packets, for whoever asks.
    """

    _sent_at: dict[tuple[int, int], float] = field(factory=dict)  # by SSRC and sequence number
    _budget: Budget = field(factory=lambda: Budget(_RESEND_RATE, _RESEND_RATE))
    _cleared_at: float = 0.0

    def allow(self, ssrc: int, number: int, size: int, now: float) -> bool:
        """Whether that packet goes out again now; counted when it does."""
        if now - self._cleared_at >= _RESEND_INTERVAL:
            self._cleared_at = now
            self._sent_at = {
                one: at for one, at in self._sent_at.items() if now - at < _RESEND_INTERVAL
            }
        if (ssrc, number) in self._sent_at or not self._budget.take(size, now):
            return False
        self._sent_at[ssrc, number] = now
        return True
