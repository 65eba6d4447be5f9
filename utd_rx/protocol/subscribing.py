"""Which tracks of others are received: selective subscription.

| the track is of an identity and source | |
| --- | --- |
| that the app has said a word about | as the last word says, also of tracks that come later |
| without a word, and the app chooses by a predicate | it is asked once for each track |
| without a word | as the media server does by itself: all, or none |

What is received is in the roster: the server alone says so. A word stays until the next one about
the same, also over leaving and joining.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve, field, frozen

from utd_rx.models import events as e
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import RemoteParticipant, TrackPublication, TrackSource
from utd_rx.protocol.facts import Effect, Effects
from utd_rx.protocol.facts.connection import JoinSucceeded
from utd_rx.protocol.facts.subscribing import ChooseTrack, SetSubscribed, SubscriptionWanted
from utd_rx.protocol.roster import Roster


@frozen
class SourceWord:
    """What the app said of a source last."""

    source: TrackSource
    is_wanted: bool


@frozen
class Subscribing:
    """What the app wants: its words by identity, in the order of their sources' first.

    Without a word: everything when it `is_auto`; else what the app's predicate says when it
    `chooses`, and nothing otherwise.
    """

    is_auto: bool = True
    chooses: bool = False
    words: FrozenMap[str, tuple[SourceWord, ...]] = field(factory=FrozenMap)

    def word(self, identity: str, source: TrackSource) -> bool | None:
        """Return what the app said, None when it said nothing."""
        said = self.words.get(identity, ())
        return next((one.is_wanted for one in said if one.source is source), None)


def step(subscribing: Subscribing, fact: object, roster: Roster) -> tuple[Subscribing, Effects]:
    """Return it after `fact`, which left the roster as it is here, and what to ask; total."""
    match fact:
        case SubscriptionWanted(identity=identity, source=source, is_wanted=is_wanted):
            said = subscribing.words.get(identity, ())
            others = tuple(one for one in said if one.source is not source)
            words = subscribing.words.set(identity, (*others, SourceWord(source, is_wanted)))
            subscribing = evolve(subscribing, words=words)
            who = roster.remotes.get(identity)
            tracks = [] if who is None else [one for one in who.tracks if one.source is source]
            return subscribing, tuple(
                SetSubscribed(one.sid, is_wanted)
                for one in tracks
                if one.is_subscribed is not is_wanted
            )
        case _ if subscribing.is_auto and not subscribing.words:
            return subscribing, ()
        case e.TrackPublished(identity=identity, track=track) if identity in roster.remotes:
            return subscribing, tuple(_about(subscribing, identity, (track,)))
        case e.TrackSubscribed(identity=identity, track=track):
            # A server that does so by itself may have been about to, and not have heard the word.
            unwanted = subscribing.word(identity, track.source) is False
            return subscribing, (SetSubscribed(track.sid, False),) if unwanted else ()
        case e.ParticipantConnected(participant=who):
            return subscribing, tuple(_about(subscribing, who.identity, who.tracks))
        case JoinSucceeded() | e.Reconnected() | e.RoomMoved():
            return subscribing, tuple(_about_all(subscribing, roster.participants))
    return subscribing, ()


def _about_all(subscribing: Subscribing, people: Iterable[RemoteParticipant]) -> Iterable[Effect]:
    for who in people:
        yield from _about(subscribing, who.identity, who.tracks)


def _about(
    subscribing: Subscribing, identity: str, tracks: Iterable[TrackPublication]
) -> Iterable[Effect]:
    """Yield what to ask about tracks that came, perhaps anew."""
    for track in tracks:
        word = subscribing.word(identity, track.source)
        if word is not None:
            # A track that came is not received yet: a server that does so by itself is to be told.
            if word is not subscribing.is_auto or track.is_subscribed is not word:
                yield SetSubscribed(track.sid, word)
        elif subscribing.chooses and not track.is_subscribed:
            yield ChooseTrack(identity, track.sid)
