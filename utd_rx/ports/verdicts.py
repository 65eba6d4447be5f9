"""How it is with the encryption of what everybody in a room publishes, for every room alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from attrs import evolve

from utd_rx.models.encryption import EncryptionState
from utd_rx.models.participant import Participant, TrackPublication

W = TypeVar("W", bound=Participant)


class Verdicts:
    """What was said last of each participant; where this side does not read what is encrypted,
    there is no key for what others publish. Of who publishes nothing that is encrypted, what
    became of the last message counts."""

    def __init__(self, me: str, *, reads_encrypted: bool) -> None:
        self._me, self._reads_encrypted = me, reads_encrypted
        self._said: dict[str, EncryptionState] = {}
        self._missed: dict[str, EncryptionState] = {}

    def say(self, identity: str, state: EncryptionState) -> None:
        """Take whether the key fits what somebody publishes."""
        self._said[identity] = state

    def miss(self, identity: str, *, has_key: bool) -> None:
        """Take that a message of somebody could not be read, with a key for them or without."""
        state = EncryptionState.DECRYPTION_FAILED if has_key else EncryptionState.MISSING_KEY
        self._missed[identity] = state

    def read(self, identity: str) -> bool:
        """Take that a message of somebody was read, or that they came or went; returns whether the
        last one was not."""
        return self._missed.pop(identity, None) is not None

    def forget_missed(self) -> tuple[str, ...]:
        """Take that the keys are others now; returns of whom the last message was not read."""
        missed = tuple(self._missed)
        self._missed.clear()
        return missed

    def of(self, identity: str, tracks: Iterable[TrackPublication]) -> EncryptionState:
        """Return how it is with somebody's tracks, the worst of them."""
        encrypted = [track.is_encrypted for track in tracks]
        if not any(encrypted):
            self._said.pop(identity, None)  # another track begins anew
            return self._missed.get(identity, EncryptionState.NONE)
        if not self._reads_encrypted and identity != self._me:
            return EncryptionState.MISSING_KEY
        said = self._said.get(identity, EncryptionState.NEW)
        is_well = said in (EncryptionState.NEW, EncryptionState.OK)
        return EncryptionState.NONE if is_well and not all(encrypted) else said

    def judged(self, who: W) -> W:
        """Return a participant with that."""
        return evolve(who, encryption=self.of(who.identity, who.tracks))
