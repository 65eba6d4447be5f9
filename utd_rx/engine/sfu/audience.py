"""Who may receive which track of one publisher, as it says itself. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Final

from attrs import frozen
from livekit.protocol import rtc


@frozen
class Audience:
    """Made once of what a publisher said: it is asked for every track and subscriber."""

    everybody: bool = True
    _named: Mapping[str, Set[str] | None] = {}
    """Tracks by sid or identity of who may receive them; None for all."""

    def may_receive(self, sid: str, identity: str, track_sid: str) -> bool:
        return self.everybody or any(
            tracks is None or track_sid in tracks
            for tracks in (self._named.get(one, frozenset()) for one in (sid, identity))
        )


EVERYBODY: Final = Audience()


def audience(said: rtc.SubscriptionPermission) -> Audience:
    """Read a publisher's permission; who is named twice may receive what either says."""
    named: dict[str, set[str] | None] = {}
    for one in said.track_permissions:
        for who in (one.participant_sid, one.participant_identity):
            tracks = named.setdefault(who, set())
            if one.all_tracks:
                named[who] = None
            elif tracks is not None:
                tracks.update(one.track_sids)
    named.pop("", None)  # an entry names somebody by one of both
    return Audience(said.all_participants, named)
