"""The peer connections of one client: one for both ways, or one to publish and one to receive on.

Two are what clients of `/rtc` have (docs/livekit.md, "Two connections"); the session is up when the
one that it receives on is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from livekit.protocol import rtc

from utd_rx.engine.sfu.budget import Share
from utd_rx.engine.sfu.data_channels import DATA_TRACK, LOSSY, RELIABLE
from utd_rx.engine.sfu.participant_ports import SfuContext
from utd_rx.engine.sfu.sdp import Kind
from utd_rx.engine.sfu.subscriber_offers import SubscriberOffers
from utd_rx.engine.sfu.subscriptions import Subscriptions
from utd_rx.engine.sfu.transport import Transport, TransportOwner


class PeerConnections:
    """`publisher` and `subscriber` are one and the same unless `has_two`."""

    def __init__(
        self,
        context: SfuContext,
        hosts: tuple[str, ...],
        owner: TransportOwner,
        send: Callable[..., None],
        share: Share,
        *,
        has_two: bool,
    ) -> None:
        mux, certificate = context.mux, context.certificate
        self.publisher = self.subscriber = Transport(mux, certificate, hosts, owner, share)
        self._offers: SubscriberOffers | None = None
        if has_two:
            channels = RELIABLE, LOSSY, DATA_TRACK
            self.subscriber = Transport(mux, certificate, hosts, owner, share, channels)
            self._offers = SubscriberOffers(self.subscriber, send, context.now)
        self._all = tuple(dict.fromkeys((self.publisher, self.subscriber)))

    @property
    def has_two(self) -> bool:
        return self._offers is not None

    @property
    def is_connected(self) -> bool:
        return self.subscriber.is_connected

    def send_data(self, label: str, message: bytes) -> None:
        self.subscriber.data.send(label, message)

    def start(self, subscriptions: Subscriptions) -> None:
        """Offer what is received, on new ICE credentials; nothing where the client offers."""
        if self._offers is not None:
            self._offers.start(subscriptions)

    def request(self, subscriptions: Subscriptions, missing: Mapping[Kind, int]) -> None:
        if self._offers is not None:
            self._offers.request(subscriptions, missing)

    def on_answer(
        self, subscriptions: Subscriptions, answer: rtc.SessionDescription
    ) -> Iterator[None]:
        """Take an answer to an offer of ours, in parts; `sdp.SdpError` when it is useless."""
        if self._offers is not None:
            yield from self._offers.on_answer(subscriptions, answer)

    def silence(self, now: float) -> float:
        """Seconds since the client was last heard of, where it was heard of the longest ago."""
        return max(one.silence(now) for one in self._all)

    def is_silent(self, now: float) -> bool:
        return any(one.is_silent(now) for one in self._all)

    def take_refused(self) -> int:
        """Datagrams with data, since the last time, for which there was no share."""
        count = sum(one.refused for one in self._all)
        for one in self._all:
            one.refused = 0
        return count

    def tick(self, now: float) -> None:
        for one in self._all:
            one.tick(now)

    def close(self) -> None:
        self._offers = None
        for one in self._all:
            one.close()
