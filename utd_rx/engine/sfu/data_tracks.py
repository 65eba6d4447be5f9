"""Data tracks: named streams of small frames on the `_data_track` channel, passed on unread.

A publisher numbers its tracks with handles of its own, and each subscriber is given other ones for
what it receives; every packet carries one (docs/livekit.md, "Data tracks").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from attrs import define, field
from livekit.protocol import models, rtc

from utd_rx.engine.sfu.limits import MAX_TRACKS, MAX_WISHES, SENT_AT_ONCE
from utd_rx.engine.sfu.publications import new_sid

_HEADER_BYTES: Final = 12
_HANDLE: Final = slice(2, 4)
_MAX_HANDLE: Final = 0xFFFF
_REASONS: Final = rtc.RequestResponse


@define(eq=False)
class DataTrack:
    """One published data track, and under which handle each of its receivers knows it."""

    info: models.DataTrackInfo
    publisher_sid: str
    publisher_identity: str
    handles: dict[DataReceptions, int] = field(factory=dict)

    def forward(self, packet: bytes) -> Iterator[None]:
        """Send it to whoever receives it, in parts."""
        before, after = packet[: _HANDLE.start], packet[_HANDLE.stop :]
        for count, (receptions, handle) in enumerate(tuple(self.handles.items()), 1):
            if receptions in self.handles:  # still
                receptions.deliver(before + handle.to_bytes(2, "big") + after)
            if count % SENT_AT_ONCE == 0:
                yield


@define(eq=False)
class DataTracks:
    """What one participant publishes."""

    _publisher_sid: str
    _publisher_identity: str
    _by_handle: dict[int, DataTrack] = field(factory=dict)

    def __iter__(self) -> Iterator[DataTrack]:
        return iter(tuple(self._by_handle.values()))

    def add(self, request: rtc.PublishDataTrackRequest) -> DataTrack | rtc.RequestResponse:
        """Publish a track, or say why not, in livekit-server's words."""
        refused = self._refusal(request)
        if refused is not None:
            reason, message = refused
            about = rtc.PublishDataTrackRequest(pub_handle=request.pub_handle, name=request.name)
            return rtc.RequestResponse(reason=reason, message=message, publish_data_track=about)
        info = models.DataTrackInfo(
            pub_handle=request.pub_handle,
            sid=new_sid("DTR"),
            name=request.name,
            encryption=request.encryption,
        )
        if request.HasField("frame_encoding"):
            info.frame_encoding.CopyFrom(request.frame_encoding)
        if request.HasField("schema"):
            info.schema.CopyFrom(request.schema)
        track = DataTrack(info, self._publisher_sid, self._publisher_identity)
        self._by_handle[request.pub_handle] = track
        return track

    def _refusal(
        self, request: rtc.PublishDataTrackRequest
    ) -> tuple[rtc.RequestResponse.Reason, str] | None:
        if not 0 < request.pub_handle <= _MAX_HANDLE:
            return _REASONS.INVALID_HANDLE, "handle should be > 0 AND < 65536"
        if not request.name:
            return _REASONS.INVALID_NAME, "name should not be empty"
        if len(self._by_handle) >= MAX_TRACKS:
            return _REASONS.LIMIT_EXCEEDED, f"data track limit reached: {MAX_TRACKS}"
        if request.pub_handle in self._by_handle:
            return _REASONS.DUPLICATE_HANDLE, "a data track with same handle already exists"
        if any(one.info.name == request.name for one in self):
            return _REASONS.DUPLICATE_NAME, "a data track with same name already exists"
        return None

    def remove(self, handle: int) -> DataTrack | None:
        """Unpublish; whoever received it is told."""
        track = self._by_handle.pop(handle, None)
        if track is not None:
            for receptions in tuple(track.handles):
                receptions.remove(track)
        return track

    def close(self) -> None:
        for handle in tuple(self._by_handle):
            self.remove(handle)

    def on_packet(self, packet: bytes) -> Iterator[None]:
        """Pass a packet on, in parts; one that is cut short or of no track is dropped."""
        if len(packet) >= _HEADER_BYTES:
            track = self._by_handle.get(int.from_bytes(packet[_HANDLE], "big"))
            if track is not None:
                yield from track.forward(packet)


@define(eq=False)
class DataReceptions:
    """What one participant receives; `send` sends it one field of a SignalResponse."""

    _send: Callable[..., None]
    deliver: Callable[[bytes], None]  # sends it one packet
    _wishes: set[str] = field(factory=set)  # sids, of tracks that are there or not
    _tracks: dict[int, DataTrack] = field(factory=dict)  # by handle
    _last_handle: int = 0

    def wish(self, updates: rtc.UpdateDataSubscription) -> bool:
        """Take what the client says that it receives; False when not all of it is kept."""
        are_kept = True
        for update in updates.updates:
            if not update.subscribe:
                self._wishes.discard(update.track_sid)
            elif len(self._wishes) < MAX_WISHES:
                self._wishes.add(update.track_sid)
            else:
                are_kept = are_kept and update.track_sid in self._wishes
        return are_kept

    def reconcile(self, track: DataTrack, *, is_allowed: bool) -> None:
        """Receive `track` if that is wished and allowed, else not."""
        is_wanted = is_allowed and track.info.sid in self._wishes
        if not is_wanted:
            self.remove(track)
        elif self not in track.handles:
            handle = self._free_handle()
            track.handles[self] = handle
            self._tracks[handle] = track
            self._tell()

    def _free_handle(self) -> int:
        """A handle that was not used lately: late packets carry the one before."""
        while True:
            self._last_handle = self._last_handle % _MAX_HANDLE + 1
            if self._last_handle not in self._tracks:
                return self._last_handle

    def remove(self, track: DataTrack) -> None:
        handle = track.handles.pop(self, None)
        if handle is not None:
            del self._tracks[handle]
            self._tell()

    def forget(self, sid: str) -> None:
        """The track of that sid ended; sids are not used again."""
        self._wishes.discard(sid)

    def _tell(self) -> None:
        handles = rtc.DataTrackSubscriberHandles()
        for handle, track in self._tracks.items():
            one = handles.sub_handles[handle]
            one.publisher_identity = track.publisher_identity
            one.publisher_sid, one.track_sid = track.publisher_sid, track.info.sid
        self._send(data_track_subscriber_handles=handles)

    def close(self) -> None:
        self._send = lambda **_message: None  # so that nothing holds on to who sent them
        for track in tuple(self._tracks.values()):
            self.remove(track)
        self._wishes.clear()
        self.deliver = lambda _packet: None
