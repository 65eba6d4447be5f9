"""What one participant receives: the tracks it shall get and the sections they travel on.

The client always offers. We ask for an offer with `media_sections_requirement`, naming how many
receiving sections are missing, and fill free sections in the answer. Three rules keep that sound:
requests are collected for 10 ms and the next one waits for the offer, or missing sections are
counted twice; a section is answered inactive once between two tracks, or the client's diff does
not see the change; a mid that once published is no free slot (docs/livekit.md, "Sections").
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any, Final

from attrs import define
from livekit.protocol import models, rtc

from utd_rx.engine.sfu import rtp
from utd_rx.engine.sfu.answers import AnswerSection, SendStream, accepted_extensions, match_codec
from utd_rx.engine.sfu.forwarding import OutboundTrack, PacketSink
from utd_rx.engine.sfu.publications import Publication
from utd_rx.engine.sfu.sdp import Section

_COLLECT_SECONDS: Final = 0.01


@define(eq=False)
class _Slot:
    kind: str
    stream: SendStream | None = None
    payload_type: int = 0
    is_released: bool = False  # must be answered inactive before it is free again


@define(eq=False)
class _Wanted:
    publication: Publication
    subscription: OutboundTrack | None = None
    mid: str | None = None
    is_refused: bool = False  # no common codec; not tried again


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
        if wanted is None or wanted.subscription is None or wanted.mid is None:
            return
        subscription = wanted.subscription
        subscription.track.discard(subscription)
        self._by_ssrc.pop(subscription.ssrc, None)
        self._sink.forget(subscription.ssrc)
        slot = self._slots[wanted.mid]
        slot.stream, slot.is_released = None, True
        self._schedule()

    def request_keyframes(self, now: float) -> None:
        """Ask for a picture of everything: what was asked before the transport was up is lost."""
        for wanted in self._wanted.values():
            if wanted.subscription is not None and wanted.publication.kind == "video":
                wanted.subscription.track.request_keyframe(now)

    def close(self) -> None:
        """Stop everything. Idempotent."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for sid in tuple(self._wanted):
            self.remove(sid)
        self._slots.clear()
        self._send = _to_nobody

    def _unbound(self) -> list[_Wanted]:
        return [one for one in self._wanted.values() if one.mid is None and not one.is_refused]

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
        missing = {"audio": 0, "video": 0}
        for wanted in unbound:
            missing[wanted.publication.kind] += 1
        for slot in self._slots.values():
            if slot.stream is None:
                missing[slot.kind] -= 1
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
        """Answer a section the client offers to receive on."""
        if section.is_rejected or section.direction == "inactive":
            return AnswerSection(section)
        slot = self._slots.setdefault(section.mid, _Slot(section.kind))
        if slot.is_released:
            slot.is_released = False
            return AnswerSection(section)
        if slot.stream is None:
            self._fill(slot, section, now)
        if slot.stream is None:
            return AnswerSection(section)
        codecs = tuple(one for one in section.codecs if one.payload_type == slot.payload_type)
        return AnswerSection(section, "sendonly", codecs, slot.stream)

    def _fill(self, slot: _Slot, section: Section, now: float) -> None:
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
            wanted.subscription, wanted.mid = subscription, section.mid
            self._by_ssrc[subscription.ssrc] = subscription
            slot.payload_type = codec.payload_type
            slot.stream = SendStream(publication.publisher_sid, publication.sid, subscription.ssrc)
            track.add(subscription, now)
            publication.on_bound()
            return

    def mid_to_track_id(self) -> dict[str, str]:
        return {wanted.mid: sid for sid, wanted in self._wanted.items() if wanted.mid is not None}

    def on_feedback(self, packet: rtp.Feedback, now: float) -> None:
        """Route a NACK, PLI or FIR to the subscriptions it is about."""
        for ssrc in rtp.media_ssrcs(packet):
            subscription = self._by_ssrc.get(ssrc)
            if subscription is not None:
                subscription.on_feedback(packet, now)


def _to_nobody(**_message: Any) -> None:
    """Where messages go after `close`, so that nothing holds on to who sent them."""
