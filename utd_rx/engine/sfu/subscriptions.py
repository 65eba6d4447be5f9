"""What one participant receives: the tracks it shall get and the sections they travel on.

We ask for an offer with `media_sections_requirement`, naming how many receiving sections are
missing, and fill free sections in the answer. The next request waits for the offer, or missing
sections are counted twice; a section is answered inactive once between two tracks, or the client's
diff does not see the change (docs/livekit.md, "Sections"). Where the offers are ours
(`subscriber_offers`), the same is asked of them.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Set
from copy import deepcopy
from typing import Final

from attrs import define
from livekit.protocol import models, rtc

from utd_rx.engine.sfu import rtp
from utd_rx.engine.sfu.answers import AnswerSection, SendStream, accepted_extensions, match_codec
from utd_rx.engine.sfu.inbound import PacketSink
from utd_rx.engine.sfu.layers import HIGH, OFF, Quality, layer_of, wanted_quality
from utd_rx.engine.sfu.limits import MAX_WISHES
from utd_rx.engine.sfu.outbound import OutboundTrack
from utd_rx.engine.sfu.publications import Publication
from utd_rx.engine.sfu.repair import Resends
from utd_rx.engine.sfu.sdp import Kind, Section

_COLLECT_SECONDS: Final = 0.01


@define(eq=False)
class _Wanted:
    publication: Publication
    subscription: OutboundTrack | None = None
    is_refused: bool = False  # no common codec; not tried again
    is_confirmed: bool = False  # by the client's answer, where the offer was ours


@define(eq=False)
class _Slot:
    kind: Kind
    wanted: _Wanted | None = None
    is_released: bool = False  # must be answered inactive before it is free again


class Subscriptions:
    """All subscriptions of one participant; `send` sends one field of a SignalResponse.

    `ask` is told how many sections of each kind are missing when an offer is due.
    """

    def __init__(
        self,
        sink: PacketSink,
        send: Callable[..., None],
        quality: Quality = HIGH,
        ask: Callable[[Mapping[Kind, int]], None] | None = None,
    ) -> None:
        self._sink = sink
        self._send = send
        self._ask = ask
        self._default = rtc.UpdateTrackSettings(quality=quality)  # where nothing was said
        self._settings: dict[str, rtc.UpdateTrackSettings] = {}  # by track sid
        self._wanted: dict[str, _Wanted] = {}
        self._slots: dict[str, _Slot] = {}
        self._by_ssrc: dict[int, OutboundTrack] = {}
        self._resends = Resends()
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
        if wanted is None or wanted.subscription is None:
            return
        self._release(self._slots[wanted.subscription.mid])
        self._schedule()

    def _release(self, slot: _Slot) -> None:
        """Stop to send on a section; what was sent there is unbound."""
        wanted, slot.wanted, slot.is_released = slot.wanted, None, True
        subscription = wanted.subscription if wanted is not None else None
        if wanted is None or subscription is None:
            return
        wanted.subscription, wanted.is_confirmed = None, False
        wanted.publication.receive(subscription.ssrc, OFF, asyncio.get_running_loop().time())
        subscription.track.discard(subscription)
        self._by_ssrc.pop(subscription.ssrc, None)
        self._sink.forget(subscription.ssrc)

    def keep(self, mids: Set[str]) -> None:
        """Forget sections of other mids, which no offer has any more."""
        for mid in self._slots.keys() - mids:
            self._release(self._slots.pop(mid))

    def forget(self, track_sid: str) -> None:
        """The track ended: unsubscribe, and keep no settings of it."""
        self.remove(track_sid)
        self._settings.pop(track_sid, None)

    def set_settings(self, request: rtc.UpdateTrackSettings, now: float) -> bool:
        """Take what the client says about tracks that it receives, or may come to receive; False
        when not all of it is kept for these."""
        asked = deepcopy(request)
        asked.ClearField("track_sids")
        are_kept = True
        for sid in request.track_sids:
            if len(self._settings) < MAX_WISHES or sid in self._settings:
                self._settings[sid] = asked
            else:
                are_kept = False
            wanted = self._wanted.get(sid)
            if wanted is not None and wanted.subscription is not None:
                quality = wanted_quality(asked, wanted.publication.info)
                layer = layer_of(quality, wanted.publication.info)
                wanted.subscription.want(layer, asked.fps, now)
                wanted.publication.receive(wanted.subscription.ssrc, quality, now)
        return are_kept

    def _asked(self, publication: Publication) -> rtc.UpdateTrackSettings:
        return self._settings.get(publication.sid, self._default)

    def start(self, now: float) -> None:
        """The transport is up: what was sent before is lost, and begins anew."""
        for subscription in self._by_ssrc.values():
            subscription.start(now)

    def close(self) -> None:
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for sid in tuple(self._wanted):
            self.remove(sid)
        self._slots.clear()
        self._send = lambda **_message: None  # so that nothing holds on to who sent them
        self._ask = None

    def _unbound(self) -> list[_Wanted]:
        waiting = (one for one in self._wanted.values() if one.subscription is None)
        return [one for one in waiting if not one.is_refused]

    def _schedule(self) -> None:
        if self._timer is None and not self._is_offer_due and not self._is_closed:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_COLLECT_SECONDS, self._request_offer)

    def _request_offer(self) -> None:
        self._timer = None
        if self._unbound() or any(one.is_released for one in self._slots.values()):
            self.request()

    def request(self) -> None:
        """Ask for an offer now."""
        if self._is_closed:
            return
        self._is_offer_due = True
        missing: Counter[Kind] = Counter(one.publication.kind for one in self._unbound())
        missing.subtract(one.kind for one in self._slots.values() if one.wanted is None)
        ask = self._ask or self._require_sections
        ask({kind: max(0, count) for kind, count in missing.items()})

    def _require_sections(self, missing: Mapping[Kind, int]) -> None:
        self._send(
            media_sections_requirement=rtc.MediaSectionsRequirement(
                num_audios=missing.get("audio", 0), num_videos=missing.get("video", 0)
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
        is_stereo = models.AudioTrackFeature.TF_STEREO in publication.info.audio_features
        return AnswerSection(section, "sendonly", tuple(codecs), stream, is_stereo=is_stereo)

    def _bind(self, section: Section, now: float) -> _Wanted | None:
        for wanted in self._unbound():
            publication, track = wanted.publication, wanted.publication.track
            if track is None or publication.kind != section.kind:
                continue
            codec = match_codec(track.codec, section)
            if codec is None:
                self._refuse(wanted)
                continue
            quality = wanted_quality(self._asked(publication), publication.info)
            subscription = OutboundTrack(
                track,
                self._sink,
                ssrc=1 + secrets.randbits(31),
                payload_type=codec.payload_type,
                extensions=accepted_extensions(section, codec),
                mid=section.mid,
                cname=publication.publisher_sid,
                resends=self._resends,
                wanted=layer_of(quality, publication.info),
                fps=self._asked(publication).fps,
            )
            wanted.subscription = self._by_ssrc[subscription.ssrc] = subscription
            track.add(subscription, now)
            publication.on_bound()
            publication.receive(subscription.ssrc, quality, now)
            return wanted
        return None

    def _refuse(self, wanted: _Wanted) -> None:
        wanted.is_refused = True
        error = models.SubscriptionError.SE_CODEC_UNSUPPORTED
        response = rtc.SubscriptionResponse(track_sid=wanted.publication.sid, err=error)
        self._send(subscription_response=response)

    def confirm(self, sections: Iterable[Section], now: float) -> None:
        """Take the answer to an offer of ours: begin what is received, refuse what cannot be.

        What was sent before is lost, as nobody knew what it was.
        """
        for section in sections:
            slot = self._slots.get(section.mid)
            wanted = slot.wanted if slot is not None else None
            if slot is None or wanted is None or wanted.subscription is None or wanted.is_confirmed:
                continue
            if section.is_receiving:
                wanted.is_confirmed = True
                wanted.subscription.start(now)
            else:
                self._release(slot)
                self._refuse(wanted)
            if section.is_rejected:
                del self._slots[section.mid]

    def mid_to_track_id(self) -> dict[str, str]:
        bound = ((one.subscription, sid) for sid, one in self._wanted.items())
        return {subscription.mid: sid for subscription, sid in bound if subscription is not None}

    def on_feedback(self, packet: rtp.Feedback, now: float) -> None:
        for ssrc in rtp.media_ssrcs(packet):
            subscription = self._by_ssrc.get(ssrc)
            if subscription is not None:
                subscription.on_feedback(packet, now)
