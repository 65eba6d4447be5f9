"""One client in a room: who it is, what it may do, its transport and its signal connection.

A participant outlives its signal connection: a resume brings a new one, while media and data go
on. It ends by `close`, once, whoever asks for it.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from livekit.protocol import models, rtc

from utd_rx.engine.sfu import rtp, tokens
from utd_rx.engine.sfu.answers import (
    AnswerSection,
    write_answer,
)
from utd_rx.engine.sfu.messages import deliver_from_client
from utd_rx.engine.sfu.options import MAX_ATTRIBUTES_BYTES, MAX_METADATA_BYTES, MAX_NAME_BYTES
from utd_rx.engine.sfu.publications import Publication, Publications, new_sid
from utd_rx.engine.sfu.sdp import (
    Offer,
    SdpError,
    parse_offer,
)
from utd_rx.engine.sfu.subscriptions import Subscriptions
from utd_rx.engine.sfu.transport import Transport

if TYPE_CHECKING:
    from utd_rx.engine.sfu.room import Room

_logger = logging.getLogger(__name__)

State = models.ParticipantInfo.State
Reason = models.DisconnectReason

_CONNECT_TIMEOUT: Final = 60.0
_TOKEN_INTERVAL: Final = 300.0
_REPORT_INTERVAL: Final = 0.8


class LimitError(ValueError):
    """A name, metadata or attributes are larger than the server takes."""


class SignalConnection(Protocol):
    """The way back to the client; both are immediate and never raise."""

    def send(self, message: bytes) -> None: ...

    def close(self) -> None: ...


class Participant:
    """See the module. Implements `transport.TransportOwner`."""

    def __init__(
        self,
        room: Room,
        claims: tokens.Claims,
        request: rtc.JoinRequest,
        host: str,
        now: float,
    ) -> None:
        self.room = room
        self.claims = claims
        self.grants = claims.grants
        self.sid = new_sid("PA")
        self.identity = claims.identity
        self.name = claims.name
        self.metadata = claims.metadata
        self.attributes = dict(claims.attributes)
        self.state: models.ParticipantInfo.State = State.JOINING
        self.settings = request.connection_settings
        self.last_sequence = 0  # of reliable data from this client
        self.has_offered = False
        self.wishes: dict[str, bool] = {}  # explicit subscribe or unsubscribe, by track sid
        self.subscription_permission = rtc.SubscriptionPermission(all_participants=True)
        self.blocked: set[str] = set()  # wanted tracks their publisher does not let it have
        self.is_signal_cut_on_resume = False
        self._client = request.client_info
        self._signal: SignalConnection | None = None
        self._is_publisher = False
        self._version = 0
        self._disconnect_reason: models.DisconnectReason = Reason.UNKNOWN_REASON
        self._joined_at_ms = int(time.time() * 1000)
        self._connect_by = now + _CONNECT_TIMEOUT
        self._token_at = now + _TOKEN_INTERVAL
        self._report_at = now
        self._answers = 0
        context = room.context
        self.transport = Transport(context.mux, context.certificate, host, self)
        self.publications = Publications(self.sid, self.transport)
        self.subscriptions = Subscriptions(self.transport, self.send, self._on_first_bound)

    @property
    def is_active(self) -> bool:
        """Whether media and data can flow."""
        return self.state == State.ACTIVE

    @property
    def is_closed(self) -> bool:
        """Whether `close` ran."""
        return self.state == State.DISCONNECTED

    @property
    def is_publisher(self) -> bool:
        """Whether it ever published and still may; its news is not held back."""
        return self._is_publisher

    def info(self) -> models.ParticipantInfo:
        """What everybody sees of it."""
        return models.ParticipantInfo(
            sid=self.sid,
            identity=self.identity,
            state=self.state,
            tracks=[one.info for one in self.publications if one.is_live],
            metadata=self.metadata,
            joined_at=self._joined_at_ms // 1000,
            joined_at_ms=self._joined_at_ms,
            name=self.name,
            version=self._version,
            permission=self.grants.to_permission(),
            is_publisher=self._is_publisher,
            kind=self.claims.kind,
            attributes=self.attributes,
            disconnect_reason=self._disconnect_reason,
            client_protocol=self._client.client_protocol,
            capabilities=self._client.capabilities,
        )

    def touch(self) -> None:
        """Something in `info` changed; clients ignore an update with an older version."""
        self._version += 1

    # -- signal -------------------------------------------------------------------------------

    def send(self, **message: Any) -> None:
        """Send one field of a SignalResponse; dropped while no signal connection is there.

        After a resume the client gets a full snapshot, so what is dropped meanwhile is not lost.
        """
        if self._signal is not None:
            self._signal.send(rtc.SignalResponse(**message).SerializeToString())

    def send_encoded(self, message: bytes) -> None:
        """Send a SignalResponse that is serialised already, for broadcasts."""
        if self._signal is not None:
            self._signal.send(message)

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
        if not self.transport.is_connected:
            self.close(Reason.SIGNAL_CLOSE)

    def push_token(self, now: float) -> None:
        """Send a fresh token for the client's next reconnect."""
        self._token_at = now + _TOKEN_INTERVAL
        options = self.room.context.options
        token = tokens.refresh(
            self.claims,
            self.info(),
            self.grants,
            api_key=options.api_key,
            api_secret=options.api_secret,
            now=time.time(),
        )
        self.send(refresh_token=token)

    # -- negotiation --------------------------------------------------------------------------

    def on_offer(self, description: rtc.SessionDescription, now: float) -> None:
        """Answer an offer; a client that sends a useless one is told to start over."""
        try:
            offer = parse_offer(description.sdp)
        except SdpError as error:
            _logger.info("offer refused: %s", error)
            self.close(Reason.STATE_MISMATCH, action=rtc.LeaveRequest.RECONNECT)
            return
        local = self.transport.on_offer(offer)
        if not self.has_offered:
            # The join's own offer has sections to receive on: what is there already is bound in
            # its answer, or a listener waits for another round of offer and answer.
            self.has_offered = True
            self.room.reconcile(self)
        stopped = [self.publications.stopped(section) for section in offer.sections]
        gone = [publication for publication in stopped if publication is not None]
        for publication in gone:
            self.publications.remove(publication)
        sections, live = self._answer_sections(offer, now)
        self._answers += 1
        self.send(
            answer=rtc.SessionDescription(
                type="answer",
                sdp=write_answer(sections, local, self._answers),
                id=description.id,
                mid_to_track_id=self.subscriptions.mid_to_track_id(),
            )
        )
        self.subscriptions.after_answer()
        for publication in gone:
            self._announce_unpublished(publication)
        for publication in live:
            self.room.on_published(self, publication)

    def _answer_sections(
        self, offer: Offer, now: float
    ) -> tuple[list[AnswerSection], list[Publication]]:
        sections: list[AnswerSection] = []
        live: list[Publication] = []
        for section in offer.sections:
            if section.kind == "application":
                sections.append(AnswerSection(section))
            elif section.is_sending or self.publications.owns(section.mid):
                answer, publication = self.publications.answer(section)
                sections.append(answer)
                if publication is not None:
                    live.append(publication)
            else:
                sections.append(self.subscriptions.answer(section, now))
        return sections, live

    def _on_first_bound(self, publication: Publication) -> None:
        if publication.has_been_subscribed:
            return
        publication.has_been_subscribed = True
        publisher = self.room.by_sid(publication.publisher_sid)
        if publisher is not None:
            publisher.send(track_subscribed=rtc.TrackSubscribed(track_sid=publication.sid))

    # -- publishing ---------------------------------------------------------------------------

    def publish(self, request: rtc.AddTrackRequest) -> None:
        """Accept a track the client may publish; it goes live with the offer that follows."""
        publication = self.publications.add(request)
        self._is_publisher = True
        self.send(
            track_published=rtc.TrackPublishedResponse(cid=request.cid, track=publication.info)
        )

    def unpublish(self, publication: Publication) -> None:
        """Take a track away from the client and from everybody who receives it."""
        self.publications.remove(publication)
        self._announce_unpublished(publication)

    def _announce_unpublished(self, publication: Publication) -> None:
        self.send(track_unpublished=rtc.TrackUnpublishedResponse(track_sid=publication.sid))
        if publication.is_live:
            self.room.on_unpublished(self, publication)

    def set_muted(self, publication: Publication, is_muted: bool) -> None:
        """Change the muted flag and tell everybody."""
        if publication.info.muted != is_muted:
            publication.info.muted = is_muted
            self.touch()
            self.room.publish_info(self)

    def mute_remotely(self, publication: Publication, is_muted: bool) -> None:
        """Change the muted flag at an admin's wish: the client has to follow."""
        self.send(mute=rtc.MuteTrackRequest(sid=publication.sid, muted=is_muted))
        self.set_muted(publication, is_muted)

    # -- what an admin or the client itself may change ------------------------------------------

    def set_permission(self, permission: models.ParticipantPermission, now: float) -> None:
        """Apply a permission: tracks no longer allowed are unpublished. No-op when equal."""
        grants = self.grants.with_permission(permission)
        if grants == self.grants:
            return
        self.grants = grants
        self._is_publisher = self._is_publisher and grants.can_publish
        for publication in self.publications:
            if not grants.may_publish(publication.info.source):
                self.unpublish(publication)
        self.touch()
        self.room.reconcile(self)
        self.room.publish_info(self, is_urgent=True)
        self.push_token(now)

    def update(
        self, *, name: str = "", metadata: str = "", attributes: dict[str, str] | None = None
    ) -> None:
        """Change what is given; an empty attribute value deletes the attribute.

        Raises:
            LimitError: nothing was changed.
        """
        merged = {**self.attributes, **(attributes or {})}
        merged = {key: value for key, value in merged.items() if value}
        check_limits(name=name, metadata=metadata, attributes=merged)
        before = (self.name, self.metadata, self.attributes)
        self.name = name or self.name
        self.metadata = metadata or self.metadata
        self.attributes = merged
        if before != (self.name, self.metadata, self.attributes):
            self.touch()
            self.room.publish_info(self, is_urgent=True)

    # -- transport owner ----------------------------------------------------------------------

    def on_connected(self) -> None:
        """DTLS is up: the participant becomes active."""
        if self.state == State.JOINED:
            self.state = State.ACTIVE
            self.touch()
            self.room.on_active(self)

    def on_failed(self, reason: str) -> None:
        """DTLS failed."""
        _logger.info("transport of %s failed: %s", self.sid, reason)
        self.close(Reason.MEDIA_FAILURE, action=rtc.LeaveRequest.RECONNECT)

    def on_rtp(self, packet: bytes, now: float) -> None:
        """Media of this client."""
        self.publications.on_rtp(packet, now)

    def on_rtcp(self, packet: bytes, now: float) -> None:
        """Sender reports go to subscribers, feedback to publishers."""
        for one in rtp.walk_rtcp(packet):
            if one.kind == rtp.SENDER_REPORT:
                self.publications.on_sender_report(one.body, now)
            elif one.kind in (rtp.RTP_FEEDBACK, rtp.PAYLOAD_FEEDBACK):
                self.subscriptions.on_feedback(one, now)

    def on_data(self, label: str, message: bytes) -> None:
        """A message on one of the data channels."""
        deliver_from_client(self, label, message)

    # -- time ---------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Carry out what is due."""
        if self.state != State.ACTIVE and now >= self._connect_by:
            self.close(Reason.JOIN_FAILURE)
        elif self.transport.is_silent(now):
            self.close(Reason.CONNECTION_TIMEOUT, action=rtc.LeaveRequest.RECONNECT)
        if self.is_closed:
            return
        self.transport.tick()
        self.publications.tick(now)
        self.subscriptions.tick(now)
        if now >= self._report_at:
            self._report_at = now + _REPORT_INTERVAL
            self.publications.report(now)
        if now >= self._token_at:
            self.push_token(now)

    def close(
        self,
        reason: models.DisconnectReason,
        *,
        action: rtc.LeaveRequest.Action = rtc.LeaveRequest.DISCONNECT,
    ) -> None:
        """End the session: tell the client why, close its transport, leave the room. Idempotent."""
        if self.is_closed:
            return
        was_active = self.is_active
        self.state = State.DISCONNECTED
        self._disconnect_reason = reason
        self.touch()
        self.send(leave=rtc.LeaveRequest(reason=reason, action=action))
        signal, self._signal = self._signal, None
        if signal is not None:
            signal.close()
        self.subscriptions.close()
        self.room.on_closed(self, was_active=was_active)
        for publication in self.publications:
            self.publications.remove(publication)
        self.transport.close()


def check_limits(
    *, name: str = "", metadata: str = "", attributes: dict[str, str] | None = None
) -> None:
    """Refuse what is larger than livekit-server takes.

    Raises:
        LimitError: with the server's wording.
    """
    if len(name.encode()) > MAX_NAME_BYTES:
        raise LimitError("name length exceeds limits")
    if len(metadata.encode()) > MAX_METADATA_BYTES:
        raise LimitError("metadata size exceeds limits")
    items = (attributes or {}).items()
    if sum(len(key.encode()) + len(value.encode()) for key, value in items) > MAX_ATTRIBUTES_BYTES:
        raise LimitError("attribute size exceeds limits")
