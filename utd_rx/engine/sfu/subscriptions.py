"""What one participant receives: the tracks it shall get and the sections they travel on.

We ask for an offer with `media_sections_requirement`, naming how many receiving sections are
missing, and fill free sections in the answer. The next request waits for the offer, or missing
sections are counted twice; a section is answered inactive once between two tracks, or the client's
diff does not see the change (docs/livekit.md, "Sections").
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable
from typing import Final

from attrs import define
from livekit.protocol import models, rtc

from utd_rx.engine.sfu import rtp
from utd_rx.engine.sfu.answers import AnswerSection, SendStream, accepted_extensions, match_codec
from utd_rx.engine.sfu.forwarding import OutboundTrack, PacketSink
from utd_rx.engine.sfu.publications import Publication
from utd_rx.engine.sfu.sdp import Section

_COLLECT_SECONDS: Final = 0.01


@define(eq=False)
class _Wanted:
    publication: Publication
    subscription: OutboundTrack | None = None
    is_refused: bool = False  # no common codec; not tried again


@define(eq=False)
class _Slot:
    kind: str
    wanted: _Wanted | None = None
    is_released: bool = False  # must be answered inactive before it is free again


class Subscriptions:
    """All subscriptions of one participant; `send` sends one field of a SignalResponse."""

    def __init__(self, sink: PacketSink, send: Callable[..., None]) -> None:
        self._sink = sink
        self._send = send
        self._wanted: dict[str, _Wanted] = {}
        self._slots: dict[str, _Slot] = {}
        self._by_ssrc: dict[int, OutboundTrack] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._is_offer_due = False
        self._is_closed = False

    def receives_from(self, publisher_sid: str) -> bool:
        return any(one.publication.publisher_sid == publisher_sid for one in self._wanted.values())

    def add(self, publication: Publication) -> None:
        if publication.sid not in self._wanted:
            self._wanted[publication.sid] = _Wanted(publication)
            self._schedule()

    def remove(self, track_sid: str) -> None:
        """Unsubscribe; packets stop at once, the section follows with the next answer."""
        wanted = self._wanted.pop(track_sid, None)
        subscription = wanted.subscription if wanted is not None else None
        if subscription is None:
            return
        subscription.track.discard(subscription)
        self._by_ssrc.pop(subscription.ssrc, None)
        self._sink.forget(subscription.ssrc)
        slot = self._slots[subscription.mid]
        slot.wanted, slot.is_released = None, True
        self._schedule()

    def request_keyframes(self, now: float) -> None:
        """Ask for a picture of everything: what was asked before the transport was up is lost."""
        for subscription in self._by_ssrc.values():
            subscription.track.request_keyframe(now)

    def close(self) -> None:
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for sid in tuple(self._wanted):
            self.remove(sid)
        self._slots.clear()
        self._send = lambda **_message: None  # so that nothing holds on to who sent them

    def _unbound(self) -> list[_Wanted]:
        waiting = (one for one in self._wanted.values() if one.subscription is None)
        return [one for one in waiting if not one.is_refused]

    def _schedule(self) -> None:
        if self._timer is None and not self._is_offer_due and not self._is_closed:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_COLLECT_SECONDS, self._request_offer)

    def _request_offer(self) -> None:
        self._timer = None
        unbound = self._unbound()
        is_release_due = any(one.is_released for one in self._slots.values())
        if self._is_closed or not (unbound or is_release_due):
            return
        self._is_offer_due = True
        missing: Counter[str] = Counter(one.publication.kind for one in unbound)
        missing.subtract(one.kind for one in self._slots.values() if one.wanted is None)
        self._send(
            media_sections_requirement=rtc.MediaSectionsRequirement(
                num_audios=max(0, missing["audio"]), num_videos=max(0, missing["video"])
            )
        )

    def end_request(self) -> None:
        """No offer is under way: it was answered, or lost with the old signal connection."""
        self._is_offer_due = False
        self._schedule()

    def answer(self, section: Section, now: float) -> AnswerSection:
        if section.is_rejected or section.direction == "inactive":
            return AnswerSection(section)
        slot = self._slots.setdefault(section.mid, _Slot(section.kind))
        if slot.is_released:
            slot.is_released = False
            return AnswerSection(section)
        if slot.wanted is None:
            slot.wanted = self._bind(section, now)
        if slot.wanted is None or slot.wanted.subscription is None:
            return AnswerSection(section)
        publication, subscription = slot.wanted.publication, slot.wanted.subscription
        codecs = [one for one in section.codecs if one.payload_type == subscription.payload_type]
        stream = SendStream(publication.publisher_sid, publication.sid, subscription.ssrc)
        return AnswerSection(section, "sendonly", tuple(codecs), stream)

    def _bind(self, section: Section, now: float) -> _Wanted | None:
        for wanted in self._unbound():
            publication, track = wanted.publication, wanted.publication.track
            if track is None or publication.kind != section.kind:
                continue
            codec = match_codec(track.codec, section)
            if codec is None:
                wanted.is_refused = True
                self._send(
                    subscription_response=rtc.SubscriptionResponse(
                        track_sid=publication.sid, err=models.SubscriptionError.SE_CODEC_UNSUPPORTED
                    )
                )
                continue
            subscription = OutboundTrack(
                track,
                self._sink,
                ssrc=1 + secrets.randbits(31),
                payload_type=codec.payload_type,
                extensions=accepted_extensions(section),
                mid=section.mid,
                cname=publication.publisher_sid,
            )
            wanted.subscription = self._by_ssrc[subscription.ssrc] = subscription
            track.add(subscription, now)
            publication.on_bound()
            return wanted
        return None

    def mid_to_track_id(self) -> dict[str, str]:
        bound = ((one.subscription, sid) for sid, one in self._wanted.items())
        return {subscription.mid: sid for subscription, sid in bound if subscription is not None}

    def on_feedback(self, packet: rtp.Feedback, now: float) -> None:
        for ssrc in rtp.media_ssrcs(packet):
            subscription = self._by_ssrc.get(ssrc)
            if subscription is not None:
                subscription.on_feedback(packet, now)
