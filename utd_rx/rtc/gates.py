"""When what others encrypt may be heard and seen: from when it was decrypted on, and no noise.

LiveKit subscribes to a track first and decrypts it some ms later: what came between is decoded as
if it were clear, which is noise at full volume, as is all of it where nothing decrypts
(docs/livekit.md, "Encryption"). So a track opens `SETTLE` after its first word that the key fits,
closes with one that it does not, and opens with the next. Words are of participants, not of tracks.
"""

from __future__ import annotations

import asyncio
import time
from math import inf
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
"""Seconds after which a track opens whose participant's key fits, though no word came of it: so
none stays closed for a word that came before LiveKit told of the track."""


class TrackGates:
    """The gates of one connection's remote tracks, by sid; where this side does not read what is
    encrypted they never open."""

    def __init__(self, room: rtc.Room, *, reads_encrypted: bool) -> None:
        self._room, self._reads_encrypted = room, reads_encrypted
        self._gates: dict[str, TrackGate] = {}
        self._fits: dict[str, bool] = {}
        self._new: set[str] = set()  # those whose key has not fitted yet
        self._late: set[asyncio.TimerHandle] = set()

    def of(self, sid: str) -> TrackGate:
        """Return the gate of a subscribed track."""
        return self._gates.get(sid, OPEN)

    def begin(self, track: rtc.Track) -> None:
        """A track arrives from now on, perhaps anew."""
        there = publication(self._room, track.sid)
        if there is None or not there.encryption_type:
            self._gates.pop(track.sid, None)
            return
        gate = self._gates.setdefault(track.sid, TrackGate())
        gate.opens_at = inf
        self._new.add(track.sid)
        self._switch(track, False)
        if self._reads_encrypted:
            loop = asyncio.get_running_loop()
            self._late = {timer for timer in self._late if timer.when() > loop.time()}
            self._late.add(loop.call_later(LATE, self._open_late, track.sid))

    def end(self, sid: str) -> None:
        """It is over. Idempotent."""
        self._gates.pop(sid, None)
        self._new.discard(sid)

    def told(self, identity: str, state: EncryptionState) -> None:
        """The key fits what somebody publishes, or it does not."""
        fits = self._fits[identity] = state is EncryptionState.OK
        who = self._room.remote_participants.get(identity)
        for sid, there in () if who is None else who.track_publications.items():
            gate = self._gates.get(sid)
            if gate is not None and there.track is not None:
                self._set(there.track, gate, fits)

    def close(self) -> None:
        """Open nothing any more. Idempotent."""
        for timer in self._late:
            timer.cancel()

    def _open_late(self, sid: str) -> None:
        for identity, who in self._room.remote_participants.items():
            there, gate = who.track_publications.get(sid), self._gates.get(sid)
            if there is not None and there.track is not None and gate is not None:
                self._set(there.track, gate, self._fits.get(identity, False))

    def _set(self, track: rtc.Track, gate: TrackGate, fits: bool) -> None:
        if not fits:
            gate.opens_at = inf
        elif gate.opens_at == inf:
            gate.opens_at = time.monotonic() + (SETTLE if track.sid in self._new else 0.0)
            self._new.discard(track.sid)
        self._switch(track, fits)

    def _switch(self, track: rtc.Track, is_on: bool) -> None:
        """Have native code, which plays sound by itself on a speaker of its own, do so or not."""
        if track.kind == TrackKind.AUDIO.value:
            ffi.switch(track, is_on)
