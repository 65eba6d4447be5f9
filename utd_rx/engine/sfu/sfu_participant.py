"""One client in a room: who it is, what it may do, its transport and its signal connection.

A participant outlives its signal connection: a resume brings a new one, while media and data go
on. It ends by `close`, whoever asks for it, and holds on to nothing then.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import partial
from typing import Any, Final, Protocol

from aiortc.rtp import RtcpSrPacket
from livekit.protocol import models, rtc

from utd_rx.engine.sfu import rtp, tokens
from utd_rx.engine.sfu.audience import EVERYBODY
from utd_rx.engine.sfu.budget import Budget
from utd_rx.engine.sfu.client_offers import answer_offer
from utd_rx.engine.sfu.data_channels import DATA_TRACK
from utd_rx.engine.sfu.data_tracks import DataReceptions, DataTrack, DataTracks
from utd_rx.engine.sfu.layers import HIGH, LOW
from utd_rx.engine.sfu.limits import check_limits, share
from utd_rx.engine.sfu.participant_ports import SfuContext, SignalConnection
from utd_rx.engine.sfu.peer_connections import PeerConnections
from utd_rx.engine.sfu.publications import Publication, Publications, new_sid
from utd_rx.engine.sfu.sdp import Kind, SdpError, SdpOffer, read_offer
from utd_rx.engine.sfu.subscriptions import Subscriptions

_logger = logging.getLogger(__name__)

State = models.ParticipantInfo.State
Reason = models.DisconnectReason
Action = rtc.LeaveRequest.Action

_CONNECT_TIMEOUT: Final = 60.0
_TOKEN_INTERVAL: Final = 300.0
# Bytes of news about one participant that everybody hears at once; beyond them, what is newest
# when there is room again. Somebody who publishes all sources at once is within it.
_NEWS_RATE: Final = 64 * 1024
_NEWS_BURST: Final = 64 * 1024
_REFUSAL_INTERVAL: Final = 1.0


class ParticipantOwner(Protocol):
    def reconcile(self, participant: SfuParticipant) -> None: ...
    def publish_info(
        self, participant: SfuParticipant, *, is_urgent: bool = False, skip_self: bool = False
    ) -> None: ...
    def on_active(self, participant: SfuParticipant) -> None: ...
    def on_published(self, participant: SfuParticipant, live: Sequence[Publication]) -> None: ...
    def on_unpublished(self, participant: SfuParticipant, gone: Sequence[Publication]) -> None: ...
    def on_data_unpublished(self, track: DataTrack) -> None: ...
    def on_data(self, sender: SfuParticipant, label: str, message: bytes) -> Iterator[None]: ...
    def on_closed(self, participant: SfuParticipant, *, was_active: bool) -> None: ...


class SfuParticipant:
    """Implements `transport.TransportOwner`.

    `has_two`: it publishes on one connection, which it offers, and receives on another, which we
    do (docs/livekit.md, "Two connections").
    """

    def __init__(
        self,
        owner: ParticipantOwner,
        context: SfuContext,
        claims: tokens.AccessClaims,
        request: rtc.JoinRequest,
        hosts: tuple[str, ...],
        now: float,
        *,
        has_two: bool = False,
    ) -> None:
        self.owner = owner
        self.permission = tokens.permission_of(claims.video)
        self.sid = new_sid("PA")
        self.identity = claims.identity
        self.name = claims.name
        self.metadata = claims.metadata
        self.attributes = claims.attributes
        self.state: models.ParticipantInfo.State = State.JOINING
        self.auto_subscribe = request.connection_settings.auto_subscribe
        self.version = 0  # of `info`
        self.last_sequence = 0  # of reliable data from this client
        self.has_offered = False
        self.wishes: dict[str, bool] = {}  # explicit subscribe or unsubscribe, by track sid
        self.audience = EVERYBODY  # who may receive what it publishes
        self.blocked: set[str] = set()  # wanted tracks their publisher does not let it have
        self.is_publisher = False  # ever published and still may; its news is not held back
        self._claims = claims
        self._context = context
        # Copied, here and wherever a part is kept: a part keeps the memory of its whole message.
        self._client = deepcopy(request.client_info)
        self._signal: SignalConnection | None = None
        self._disconnect_reason: models.DisconnectReason = Reason.UNKNOWN_REASON
        self._joined_at_ms = int(time.time() * 1000)
        self._connect_by = now + _CONNECT_TIMEOUT
        self._token_at = now + _TOKEN_INTERVAL
        self._answers = 0
        self._refusal_at = now
        self.share = share()
        self.news = Budget(_NEWS_RATE, _NEWS_BURST)  # bytes of `info` that are told at once
        self.connections = PeerConnections(
            context, hosts, self, self.send, self.share, has_two=has_two
        )
        pause_delay = context.options.dynacast_pause_delay
        self.publications = Publications(
            self.sid, self.connections.publisher, self.send, pause_delay
        )
        quality = LOW if request.connection_settings.adaptive_stream else HIGH
        self.subscriptions = Subscriptions(
            self.connections.subscriber, self.send, quality, self._request if has_two else None
        )
        self.data_tracks = DataTracks(self.sid, self.identity)
        deliver = partial(self.connections.send_data, DATA_TRACK)
        self.data_receptions = DataReceptions(self.send, deliver)

    @property
    def is_active(self) -> bool:
        return self.state == State.ACTIVE

    @property
    def is_agent(self) -> bool:
        return self._claims.is_agent

    @property
    def is_closed(self) -> bool:
        return self.state == State.DISCONNECTED

    def info(self) -> models.ParticipantInfo:
        return models.ParticipantInfo(
            sid=self.sid,
            identity=self.identity,
            state=self.state,
            tracks=[one.info for one in self.publications if one.is_live],
            metadata=self.metadata,
            data_tracks=[] if self.is_closed else [one.info for one in self.data_tracks],
            joined_at=self._joined_at_ms // 1000,
            joined_at_ms=self._joined_at_ms,
            name=self.name,
            version=self.version,
            permission=self.permission,
            kind=tokens.kind_of(self._claims),
            is_publisher=self.is_publisher,
            attributes=self.attributes,
            disconnect_reason=self._disconnect_reason,
            client_protocol=self._client.client_protocol,
            capabilities=self._client.capabilities,
        )

    def send(self, **message: Any) -> None:
        """Send one field of a SignalResponse; dropped between connections: a resume tells all."""
        if self._signal is not None:
            self.send_encoded(rtc.SignalResponse(**message).SerializeToString())

    def send_encoded(self, message: bytes, about: str = "") -> None:
        if self._signal is not None:
            self._signal.send(message, about)

    def attach(self, signal: SignalConnection) -> None:
        """Use this signal connection from now on; an older one is closed."""
        old, self._signal = self._signal, signal
        if old is not None:
            old.close()

    def on_signal_closed(self, signal: SignalConnection) -> None:
        """The client's connection ended; wait for a resume if media is up."""
        if self._signal is not signal:
            return
        self._signal = None
        if not self.connections.is_connected:
            self.close(Reason.SIGNAL_CLOSE)

    def push_token(self, now: float) -> None:
        self._token_at = now + _TOKEN_INTERVAL
        token = tokens.refresh(self._claims, self.info(), self._context.options, time.time())
        self.send(refresh_token=token)

    def on_offer(self, description: rtc.SessionDescription) -> Iterator[None]:
        """Answer an offer; a client that sends a useless one is told to start over.

        In parts: others have a turn whenever it yields.
        """
        try:
            offer = yield from read_offer(description.sdp)
        except SdpError as error:
            self._start_over("offer", error)
        else:
            if not self.is_closed:
                self._answer(offer, description.id)

    def _answer(self, offer: SdpOffer, number: int) -> None:
        local = self.connections.publisher.on_offer(offer)
        if not self.has_offered:
            # The join's own offer has sections to receive on: what is there already is bound in
            # its answer, or a listener waits for another round of offer and answer.
            self.has_offered = True
            self.owner.reconcile(self)
        self._answers += 1
        now, has_two = self._context.now(), self.connections.has_two
        received = None if has_two else self.subscriptions
        done = answer_offer(offer, local, self._answers, self.publications, received, now)
        self.send(
            answer=rtc.SessionDescription(
                type="answer",
                sdp=done.sdp,
                id=number,
                mid_to_track_id=received.mid_to_track_id() if received is not None else {},
            )
        )
        if received is not None:
            received.end_request()
        self._announce_unpublished(done.gone)
        if done.live:
            self.owner.on_published(self, done.live)

    def offer(self) -> None:
        """Offer what it receives, if it is not the client who offers."""
        if self.connections.has_two and not self.has_offered:
            self.has_offered = True
            self.owner.reconcile(self)
        self.subscriptions.end_request()
        self.connections.start(self.subscriptions)

    def _request(self, missing: Mapping[Kind, int]) -> None:
        self.connections.request(self.subscriptions, missing)

    def on_answer(self, description: rtc.SessionDescription) -> Iterator[None]:
        """Take the answer to an offer of ours, in parts; a client that sends a useless one starts
        over."""
        try:
            yield from self.connections.on_answer(self.subscriptions, description)
        except SdpError as error:
            self._start_over("answer", error)

    def _start_over(self, what: str, error: SdpError) -> None:
        _logger.info("%s refused: %s", what, error)
        self.close(Reason.STATE_MISMATCH, Action.RECONNECT)

    def publish(self, request: rtc.AddTrackRequest) -> None:
        """Accept a track the client may publish; it goes live with the offer that follows."""
        publication = self.publications.add(request)
        self.is_publisher = True
        answer = rtc.TrackPublishedResponse(cid=request.cid, track=publication.info)
        self.send(track_published=answer)

    def unpublish(self, publication: Publication) -> None:
        self.publications.remove(publication)
        self._announce_unpublished([publication])

    def _announce_unpublished(self, gone: Sequence[Publication]) -> None:
        for publication in gone:
            self.send(track_unpublished=rtc.TrackUnpublishedResponse(track_sid=publication.sid))
        if live := [one for one in gone if one.is_live]:
            self.owner.on_unpublished(self, live)

    def describe(self, request: rtc.UpdateLocalAudioTrack | rtc.UpdateLocalVideoTrack) -> bool:
        """Take what the client says its track has become; False when it has none such."""
        publication = self.publications.get(request.track_sid)
        if publication is not None:
            publication.describe(request)
            self.owner.publish_info(self)
        return publication is not None

    def publish_data(self, request: rtc.PublishDataTrackRequest) -> None:
        """Publish a data track the client may publish; refused when it makes no sense."""
        answer = self.data_tracks.add(request)
        if isinstance(answer, rtc.RequestResponse):
            self.send(request_response=answer)
            return
        self.is_publisher = True
        self.send(publish_data_track_response=rtc.PublishDataTrackResponse(info=answer.info))
        self.owner.publish_info(self, is_urgent=True, skip_self=True)

    def unpublish_data(self, handle: int) -> bool:
        """End a data track; False when there is none of that handle."""
        track = self.data_tracks.remove(handle)
        if track is not None:
            answer = rtc.UnpublishDataTrackResponse(info=track.info)
            self.send(unpublish_data_track_response=answer)
            self.owner.on_data_unpublished(track)
            self.owner.publish_info(self, is_urgent=True, skip_self=True)
        return track is not None

    def set_muted(self, publication: Publication, is_muted: bool) -> None:
        if publication.info.muted != is_muted:
            publication.info.muted = is_muted
            if publication.track is not None:
                publication.track.mute(is_muted, self._context.now())
            self.owner.publish_info(self)

    def set_permission(self, permission: models.ParticipantPermission) -> None:
        """Apply a permission: tracks no longer allowed are unpublished. No-op when equal."""
        if permission == self.permission:
            return
        self.permission = permission = deepcopy(permission)
        self.is_publisher = self.is_publisher and permission.can_publish
        for publication in self.publications:
            if not tokens.may_publish(permission, publication.info.source):
                self.unpublish(publication)
        if not permission.can_publish_data:
            for track in self.data_tracks:
                self.unpublish_data(track.info.pub_handle)
        self.owner.reconcile(self)
        self.owner.publish_info(self, is_urgent=True)
        self.push_token(self._context.now())

    def update(
        self, name: str = "", metadata: str = "", attributes: Mapping[str, str] | None = None
    ) -> None:
        """Change what is given, or nothing (`LimitError`); an empty value deletes an attribute."""
        merged = {**self.attributes, **(attributes or {})}
        merged = {key: value for key, value in merged.items() if value}
        check_limits(name, metadata, merged)
        before = self.name, self.metadata, self.attributes
        after = name or self.name, metadata or self.metadata, merged
        if before != after:
            self.name, self.metadata, self.attributes = after
            self.owner.publish_info(self, is_urgent=True)

    def on_connected(self) -> None:
        if self.state == State.JOINED and self.connections.is_connected:
            self.state = State.ACTIVE
            self.owner.on_active(self)

    def on_failed(self, reason: str) -> None:
        _logger.info("transport of %s failed: %s", self.sid, reason)
        self.close(Reason.MEDIA_FAILURE, Action.RECONNECT)

    def on_rtp(self, packet: bytes, now: float) -> None:
        self.publications.on_rtp(packet, now)

    def on_rtcp(self, packet: bytes, now: float) -> None:
        for one in rtp.parse_rtcp(packet):
            if isinstance(one, RtcpSrPacket):
                self.publications.on_sender_report(one, now)
            elif isinstance(one, rtp.Feedback):
                self.subscriptions.on_feedback(one, now)

    def on_data(self, label: str, message: bytes) -> Iterator[None]:
        """Hand on a message, in parts: others have a turn whenever it yields."""
        if label != DATA_TRACK:
            yield from self.owner.on_data(self, label, message)
        elif self.permission.can_publish_data:
            yield from self.data_tracks.on_packet(message)

    def tick(self, now: float) -> None:
        if self.state != State.ACTIVE and now >= self._connect_by:
            self.close(Reason.JOIN_FAILURE)
        elif self.connections.is_silent(now):
            self.close(Reason.CONNECTION_TIMEOUT, Action.RECONNECT)
        if self.is_closed:
            return
        self.connections.tick(now)
        self._tell_refused(now)
        self.publications.tick(now)
        if now >= self._token_at:
            self.push_token(now)

    def _tell_refused(self, now: float) -> None:
        refused = self.connections.take_refused()
        if refused and now >= self._refusal_at:
            self._refusal_at = now + _REFUSAL_INTERVAL
            reason = rtc.RequestResponse.LIMIT_EXCEEDED
            message = "too much data at a time; what is lossy is lost, what is reliable comes late"
            self.send(request_response=rtc.RequestResponse(reason=reason, message=message))

    def close(self, reason: models.DisconnectReason, action: Action = Action.DISCONNECT) -> None:
        """End the session: tell the client why, close its transport, leave the room. Idempotent."""
        if self.is_closed:
            return
        was_active = self.is_active
        self.state = State.DISCONNECTED
        self._disconnect_reason = reason
        # Clients of protocol 12 and older know the flag alone.
        can_reconnect = action is not Action.DISCONNECT
        leave = rtc.LeaveRequest(reason=reason, action=action, can_reconnect=can_reconnect)
        self.send(leave=leave)
        signal, self._signal = self._signal, None
        if signal is not None:
            signal.close()
        self.subscriptions.close()
        self.data_receptions.close()
        self.owner.on_closed(self, was_active=was_active)
        self.publications.close()
        self.data_tracks.close()
        self.connections.close()
