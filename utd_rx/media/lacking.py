"""What the room of this life lacks of what is wished, and in which order it is told. Pure.

| order | step | when |
| --- | --- | --- |
| 1 | `JoinAgain` | while the app is joined |
| 2 | `SubscribeAgain` | of tracks that are there |
| 3 | `PublishAgain` | of what is not muted, once the server grants it |
| 4 | `ReceiveAgain` | once the track arrives |
| 5 | `PublishDataAgain` | once the server grants it |
| 6 | `DescribeAgain` | once the server grants it |

What is served and received over connections is there from the first moment on.

A muted track is published again only when it is unmuted: what nobody was to hear is not heard for
the moment between publishing and muting.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from attrs import evolve, frozen

from utd_rx.errors import UTDStreamException
from utd_rx.media.wished import (
    Wished,
    as_told,
    data_published,
    receives,
    remote_sids,
    republished,
    unpublished,
)
from utd_rx.media.wished_parts import JoinedAt, OwnDataTrack, OwnTrack, WishedReception
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.ports.data import SelfDescription
from utd_rx.protocol import roster as roster_rules


@frozen
class JoinAgain:
    """Join there."""

    address: JoinedAt


@frozen
class SubscribeAgain:
    """Receive a track, or not."""

    track_sid: str
    is_wanted: bool


@frozen
class PublishAgain:
    """Publish what the app knows as this track."""

    own: OwnTrack


@frozen
class ReceiveAgain:
    """Begin this reception."""

    number: int
    reception: WishedReception


@frozen
class PublishDataAgain:
    """Publish a data track."""

    number: int
    own: OwnDataTrack


@frozen
class DescribeAgain:
    """Say this of oneself."""

    description: SelfDescription


Step: TypeAlias = (
    JoinAgain | SubscribeAgain | PublishAgain | ReceiveAgain | PublishDataAgain | DescribeAgain
)


def next_step(wished: Wished) -> Step | None:
    """Return what the room of this life is to be told next; None: nothing now."""
    if not wished.is_joined or wished.address is None:
        return None
    if not wished.is_there:
        return JoinAgain(wished.address)
    here = remote_sids(wished)
    for sid, word in wished.subscribed.items():
        if not word.there and sid in here:
            return SubscribeAgain(sid, word.is_wanted)
    for own in wished.tracks.values():
        is_granted = wished.roster.permission.allows(own.track.source)
        if own.there is None and not own.track.is_muted and is_granted:
            return PublishAgain(own)
    for number, reception in wished.receptions.items():
        if reception.there is None and here.get(reception.track_sid):
            return ReceiveAgain(number, reception)
    for number, data in wished.data_tracks.items():
        if data.there is None and wished.roster.permission.can_publish_data:
            return PublishDataAgain(number, data)
    if not wished.is_said and wished.said and wished.roster.permission.can_update_metadata:
        return DescribeAgain(wished.said)
    return None


def is_whole(wished: Wished) -> bool:
    """Whether all is there that is wanted and may still come: what is left waits for the server."""
    waits = any(own.there is None and not own.track.is_muted for own in wished.tracks.values())
    here = remote_sids(wished)
    comes = any(
        reception.there is None and reception.track_sid in here and _is_wanted(wished, reception)
        for reception in wished.receptions.values()
    )
    waits_or_comes = waits or comes or _misses_fellows(wished)
    return next_step(wished) is None and not (wished.is_joined and waits_or_comes)


def done(wished: Wished, step: Step, result: Any = None) -> Wished:
    """Return it after the room of this life did `step`, with what that returned."""
    match step:
        case JoinAgain():
            # The wish goes on, in the room as it is now.
            return evolve(wished, is_there=True, roster=roster_rules.from_snapshot(result))
        case SubscribeAgain(track_sid=sid):
            if (word := wished.subscribed.get(sid)) is None:  # the track is gone
                return wished
            word = evolve(word, there=True)
            return evolve(wished, subscribed=wished.subscribed.set(sid, word))
        case PublishAgain(own=own):
            now = wished.tracks.get(own.track.sid)
            if now is None:
                return wished
            if result.sid in wished.over:
                return unpublished(wished, own.track.sid)
            track = as_told(wished, result)
            is_muted = now.track.is_muted or track.is_muted
            return republished(wished, now, evolve(track, is_muted=is_muted))
        case ReceiveAgain(number=number):
            reception = wished.receptions.get(number)
            if reception is None:
                return wished
            return receives(wished, number, evolve(reception, there=result))
        case PublishDataAgain(number=number, own=data):
            if number not in wished.data_tracks:
                return wished
            return data_published(wished, number, evolve(data, there=result))
    return evolve(wished, is_said=True)


def amends(wished: Wished, step: Step, result: Any) -> Iterator[tuple[Any, ...]]:
    """Yield what the room of this life is to be told behind `step`, method and arguments, as the
    wish has changed while it was taken.

    | step | when meanwhile | told |
    | --- | --- | --- |
    | `PublishAgain` | it was taken down | `unpublish` |
    | `PublishAgain` | it was muted | `set_muted` |
    | `ReceiveAgain` | it was ended | its end |
    | `ReceiveAgain` | it is to be played louder or softer | `set_gain` |
    | `PublishDataAgain` | it was taken down | `unpublish_data_track` |

    Whatever else changes a wish waits until all is there.
    """
    match step:
        case PublishAgain(own=own):
            track = wished.tracks.get(own.track.sid)
            if track is None:
                yield "unpublish", result.sid
            elif track.track.is_muted:
                yield "set_muted", result.sid, True
        case ReceiveAgain(number=number, reception=begun):
            reception = wished.receptions.get(number)
            if reception is None:
                yield begun.end, result
            elif reception.options != begun.options:
                yield "set_gain", result, reception.options["gain"]
        case PublishDataAgain(number=number) if number not in wished.data_tracks:
            yield "unpublish_data_track", result


def given_up(wished: Wished) -> Wished:
    """Return it without what does not come any more: the server is the authority."""
    for sid, own in wished.tracks.items():
        if own.there is None and not own.track.is_muted:
            wished = unpublished(wished, sid)
    receptions = (item for item in wished.receptions.items() if item[1].there is not None)
    return evolve(
        wished,
        receptions=FrozenMap(receptions),
        fellows=FrozenMap[str, str](),
        is_said=True,
    )


def refused(wished: Wished, step: Step, error: UTDStreamException) -> Wished:
    """Return it without what the room of this life has refused, and why."""
    match step:
        case SubscribeAgain(track_sid=sid):
            return evolve(wished, subscribed=wished.subscribed.remove(sid))
        case PublishAgain(own=own):
            return unpublished(wished, own.track.sid, error)
        case ReceiveAgain(number=number):
            return receives(wished, number, None)
        case PublishDataAgain(number=number):
            return data_published(wished, number, None)
        case DescribeAgain():
            return evolve(wished, is_said=True)
    return wished


def _is_wanted(wished: Wished, reception: WishedReception) -> bool:
    word = wished.subscribed.get(reception.track_sid)
    return word is None or word.is_wanted


def _misses_fellows(wished: Wished) -> bool:
    """Whether any who come back at the same time are still to: before that nobody is there of that
    name, or who was there before the death."""
    here = wished.roster.remotes
    return any(
        identity not in here or here[identity].sid == sid
        for identity, sid in wished.fellows.items()
    )
