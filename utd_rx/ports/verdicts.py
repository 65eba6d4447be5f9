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
    there is no key for what others publish."""

    def __init__(self, me: str, *, reads_encrypted: bool) -> None:
        self._me, self._reads_encrypted = me, reads_encrypted
        self._said: dict[str, EncryptionState] = {}

    def say(self, identity: str, state: EncryptionState) -> None:
        """Take whether the key fits what somebody publishes."""
        self._said[identity] = state

    def of(self, identity: str, tracks: Iterable[TrackPublication]) -> EncryptionState:
        """Return how it is with somebody's tracks, the worst of them."""
        encrypted = [track.is_encrypted for track in tracks]
        if not any(encrypted):
            self._said.pop(identity, None)  # another track begins anew
            return EncryptionState.NONE
        if not self._reads_encrypted and identity != self._me:
            return EncryptionState.MISSING_KEY
        said = self._said.get(identity, EncryptionState.NEW)
        is_well = said in (EncryptionState.NEW, EncryptionState.OK)
        return EncryptionState.NONE if is_well and not all(encrypted) else said

    def judged(self, who: W) -> W:
        """Return a participant with that."""
        return evolve(who, encryption=self.of(who.identity, who.tracks))
