"""When what others encrypt may be heard and seen: from when it was decrypted on, and no noise.

LiveKit subscribes to a track first and decrypts it some ms later: what came between is decoded as
if it were clear, which is noise at full volume, as is all of it where nothing decrypts
(docs/livekit.md, "Encryption"). So a track opens `SETTLE` after its first word that the key fits,
closes with one that it does not, and opens with the next. Words are of participants, not of tracks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final

from utd_rx.models.encryption import EncryptionState
from utd_rx.models.participant import TrackKind
from utd_rx.rtc import ffi
from utd_rx.rtc.reception import OPEN, TrackGate, publication

if TYPE_CHECKING:
    from livekit import rtc

SETTLE: Final = 0.25
"""Seconds after the first word that a key fits in which noise from before it may be in the jitter
buffer: 20 ms where nothing else happens, more on a busy machine."""

LATE: Final = 1.0
"""Seconds after which a track opens though no word came of it since it began, where one came about
its participant not longer before: so none stays closed for a word that was heard too early."""


class TrackGates:
    """The gates of one connection's remote tracks, by sid; where this side does not read what is
    encrypted they never open. `switch` has native code play sound on a speaker of its own, or not.
    """

    def __init__(
        self,
        room: rtc.Room,
        *,
        reads_encrypted: bool,
        switch: Callable[[rtc.Track, bool], None] = ffi.switch,
    ) -> None:
        self._room, self._reads_encrypted, self._switch = room, reads_encrypted, switch
        self._gates: dict[str, TrackGate] = {}
        self._fits: dict[str, tuple[bool, float]] = {}  # the last word of somebody, and when
        self._began: dict[str, float] = {}  # those whose key has not fitted yet
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def of(self, sid: str) -> TrackGate:
        """Return the gate of a subscribed track."""
        return self._gates.get(sid, OPEN)

    def begin(self, track: rtc.Track) -> None:
        """A track arrives from now on, perhaps anew."""
        there, sid = publication(self._room, track.sid), track.sid
        if there is None or not there.encryption_type:
            self.end(sid)
            return
        self._gates.setdefault(sid, TrackGate(is_open=False))
        self._close(sid)
        self._play(track, False)
        if self._reads_encrypted:
            loop = asyncio.get_running_loop()
            self._began[sid] = loop.time()
            self._timers[sid] = loop.call_later(LATE, self._open_late, sid)

    def end(self, sid: str) -> None:
        """It is over. Idempotent."""
        self._close(sid)
        self._gates.pop(sid, None)
        self._began.pop(sid, None)

    def keep(self, sids: Collection[str]) -> None:
        """All others are over."""
        for sid in self._gates.keys() - sids:
            self.end(sid)

    def left(self, identity: str) -> None:
        """What was heard of somebody is forgotten. Idempotent."""
        self._fits.pop(identity, None)

    def told(self, identity: str, state: EncryptionState) -> None:
        """The key fits what somebody publishes, or it does not."""
        fits = state is EncryptionState.OK
        who = self._room.remote_participants.get(identity)
        if who is None:  # this client, or somebody who has left
            return
        self._fits[identity] = fits, asyncio.get_running_loop().time()
        for sid in who.track_publications:
            if sid in self._gates and not fits:
                self._close(sid)
            elif sid in self._gates and not self._gates[sid].is_open:
                pause = SETTLE if self._began.pop(sid, None) is not None else 0.0
                if pause or sid not in self._timers:
                    self._open_in(pause, sid)

    def close(self) -> None:
        """Open nothing any more. Idempotent."""
        for sid in tuple(self._gates):
            self._close(sid)

    def _open_late(self, sid: str) -> None:
        del self._timers[sid]
        began = self._began.get(sid, 0.0)
        for identity, who in self._room.remote_participants.items():
            fits, at = self._fits.get(identity, (False, 0.0))
            if sid in who.track_publications and fits and at >= began - LATE:
                self._began.pop(sid, None)
                self._open_in(0.0, sid)

    def _open_in(self, seconds: float, sid: str) -> None:
        self._close(sid)
        loop = asyncio.get_running_loop()
        self._timers[sid] = loop.call_later(seconds, self._open, sid)

    def _open(self, sid: str) -> None:
        del self._timers[sid]
        there = publication(self._room, sid)
        if there is not None and there.track is not None:
            self._gates[sid].is_open = True
            self._play(there.track, True)

    def _close(self, sid: str) -> None:
        if (timer := self._timers.pop(sid, None)) is not None:
            timer.cancel()
        gate = self._gates.get(sid)
        if gate is not None and gate.is_open:
            gate.is_open = False
            there = publication(self._room, sid)
            if there is not None and there.track is not None:
                self._play(there.track, False)

    def _play(self, track: rtc.Track, is_on: bool) -> None:
        if track.kind == TrackKind.AUDIO.value:
            self._switch(track, is_on)
