"""What is promised to commands that need nothing but a media room."""

from __future__ import annotations

from attrs import field, frozen

from utd_rx.errors import ConflictReason, UTDStreamException, conflict
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import LocalParticipant, TrackSource
from utd_rx.protocol.waiting import Promise, Waiting


@frozen
class IsDescribed(Promise):
    """This client is what it said of itself; what it did not say is None."""

    says = "the change of what this client says of itself"

    name: str | None = None
    metadata: str | None = field(default=None, repr=False)
    attributes: FrozenMap[str, str] | None = None

    def shows(self, state: Waiting) -> bool:
        me: LocalParticipant | None = state.session.roster.local
        if me is None:
            return False
        said = (self.attributes or {}).items()
        return (
            self.name in (None, me.name)
            and self.metadata in (None, me.metadata)
            and all(me.attributes.get(key, "") == value for key, value in said)
        )


@frozen
class IsSubscribed(Promise):
    """Of `identity`, the tracks of `source` that are there are received, or none is."""

    identity: str
    source: TrackSource
    is_wanted: bool

    @property
    def what(self) -> str:
        verb = "subscription to" if self.is_wanted else "end of the subscription to"
        return f"the {verb} {self.source.name.lower()} of {self.identity!r}"

    def shows(self, state: Waiting) -> bool:
        who = state.session.roster.remotes.get(self.identity)
        tracks = () if who is None else who.tracks
        return all(
            one.is_subscribed is self.is_wanted for one in tracks if one.source is self.source
        )

    def failure(self, state: Waiting) -> UTDStreamException | None:
        if state.session.subscribing.word(self.identity, self.source) is self.is_wanted:
            return None
        return conflict(ConflictReason.OVERTAKEN, f"a later word about {self.identity!r} won")
