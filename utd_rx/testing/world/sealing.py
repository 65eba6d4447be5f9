"""Encryption in a world: nothing is encrypted, but who lacks the key gets nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

from attrs import evolve, frozen

from utd_rx.models import events as ev
from utd_rx.models.encryption import Encryption, EncryptionKey, EncryptionState, KeyRing
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import TrackPublication
from utd_rx.ports.verdicts import Verdicts


@frozen
class Seal:
    """What opens something that a participant sends: this key, at this index of their ring."""

    key: EncryptionKey
    index: int


def seal_of(encryption: Encryption | None, identity: str) -> Seal | None:
    """Return what `identity` sends under; None is in clear, or nothing where there is no key."""
    ring = None if encryption is None else encryption.ring_of(identity)
    return None if ring is None else Seal(ring.key, ring.index)


def opened(encryption: Encryption | None, identity: str, seal: Seal) -> EncryptionState:
    """Return whether that opens what `identity` sends."""
    ring = None if encryption is None else encryption.ring_of(identity)
    key = None if ring is None else ring.keys.get(seal.index)
    if encryption is None or key is None:
        return EncryptionState.MISSING_KEY
    if key == seal.key or _follows(evolve(encryption, key=key, keys={}), seal.key):
        return EncryptionState.OK
    return EncryptionState.DECRYPTION_FAILED


@lru_cache(maxsize=256)
def _follows(encryption: Encryption, key: EncryptionKey) -> bool:
    """Whether a key is a ratchet of the shared one within its window."""
    for _ in range(encryption.ratchet_window):
        encryption = encryption.ratcheted()
        if encryption.key == KeyRing(FrozenMap({0: key})):
            return True
    return False


class Seals:
    """What of a room one connection can open, and what it tells of that; `encryption` is its own.

    Args:
        me: Whose connection.
        encryption: What it encrypts with.
        tell: Takes the events.
        tracks_of: Somebody's tracks, as they are known here.
    """

    def __init__(
        self,
        me: str,
        encryption: Encryption | None,
        tell: Callable[[ev.RoomEvent], None],
        tracks_of: Callable[[str], Iterable[TrackPublication]],
    ) -> None:
        self._me, self.encryption, self._tell, self._tracks_of = me, encryption, tell, tracks_of
        self._seals: dict[str, Seal | None] = {}
        self._verdicts = Verdicts(me, reads_encrypted=encryption is not None)
        self._told: dict[str, EncryptionState] = {}

    @property
    def own(self) -> Seal | None:
        """What this client sends under."""
        return seal_of(self.encryption, self._me)

    @property
    def is_mute(self) -> bool:
        """Whether nothing can be sent for want of a key."""
        return self.encryption is not None and self.own is None

    def use(self, encryption: Encryption) -> None:
        """Use other keys from now on."""
        self.encryption = encryption
        for identity in (self._me, *self._seals, *self._verdicts.forget_missed()):
            self._judge(identity)

    def reads(self, identity: str, seal: Seal | None) -> bool:
        """Return whether a message of theirs can be had here, which is told of them."""
        can_read = self.opens(identity, seal)
        if can_read:
            self._verdicts.read(identity)
        else:
            ring = None if self.encryption is None else self.encryption.ring_of(identity)
            self._verdicts.miss(identity, has_key=ring is not None)
        if identity in self._told:
            self._judge(identity)
        return can_read

    def take(self, identity: str, seal: Seal | None) -> None:
        """What somebody publishes comes under a seal from now on."""
        self._seals[identity] = seal
        self._judge(identity)

    def opens(self, identity: str, seal: Seal | None) -> bool:
        """Return whether something of theirs can be had here."""
        return seal is None or opened(self.encryption, identity, seal) is EncryptionState.OK

    def taken(self, snapshot: ev.RoomSnapshot) -> ev.RoomSnapshot:
        """Return a snapshot with how it is with everybody, which is told by that."""
        judged = self._verdicts.judged
        local, remotes = judged(snapshot.local), tuple(map(judged, snapshot.remotes))
        self._told = {local.identity: local.encryption}
        self._told |= {who.identity: who.encryption for who in remotes}
        return evolve(snapshot, local=local, remotes=remotes)

    def mind(self, event: ev.RoomEvent) -> None:
        """Tell what follows for it from an event that was told."""
        match event:
            case ev.TrackPublished(identity) | ev.TrackUnpublished(identity):
                self._judge(identity)
            case ev.LocalTrackPublished() | ev.LocalTrackUnpublished():
                self._judge(self._me)
            case ev.ParticipantConnected(who):
                self._verdicts.read(who.identity)  # what came before is nothing of theirs
                self._told[who.identity] = who.encryption
            case ev.ParticipantDisconnected(identity):
                self._told.pop(identity, None)

    def _judge(self, identity: str) -> None:
        seal = self.own if identity == self._me else self._seals.get(identity)
        if seal is not None:
            self._verdicts.say(identity, opened(self.encryption, identity, seal))
        elif identity == self._me:
            self._verdicts.say(identity, EncryptionState.MISSING_KEY)
        state = self._verdicts.of(identity, self._tracks_of(identity))
        if state is not self._told.get(identity, EncryptionState.NONE):
            self._told[identity] = state
            self._tell(ev.ParticipantEncryptionChanged(identity, state))
