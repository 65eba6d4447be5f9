"""The microphone: intent × grant × publication (facts/utd-engine.md §4.8).

Theory of operation. The app only ever states an intent, the server only ever a grant; what is
published follows from both. One operation is under way at a time, and when it ends the rules look
again at what is wanted now, so of several quick toggles the last one wins:

| wanted (intent, grant) | published | next operation |
| --- | --- | --- |
| on, granted | no | publish |
| on, granted | yes, muted | unmute |
| off, granted | yes, unmuted | mute: the next "on" is then immediate |
| any, not granted | yes | unpublish, at once: LiveKit does not do it for us (defect D3) |
| else | | none |

Losing the grant also ends the intent: whoever is granted again later is not suddenly heard. An
operation carries the epoch it was begun in; losing the grant and the end of the connection begin
a new epoch: what is under way is cancelled, what still comes back from it is counted and dropped,
and a track that it published after all is taken down again.

A connection that is lost but made anew *suspends* the intent: the track is gone, the grant may be
told a moment after the new connection, and what should be published is published again when it
is there, until `resume_by`. After that the intent ends as with every loss of the grant. Until
then whoever asked for it is not answered: neither has it failed, nor is it so.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from attrs import evolve, frozen

from utd_rx.errors import UTDStreamException
from utd_rx.models import events as e
from utd_rx.models.participant import TrackPublication, TrackSource
from utd_rx.protocol.facts import (
    CancelMicrophone,
    MicrophoneFailed,
    MicrophoneMuted,
    MicrophonePublished,
    MicrophoneUnpublished,
    MicrophoneWanted,
    MuteMicrophone,
    PublishMicrophone,
    UnpublishMicrophone,
)

Effect = PublishMicrophone | MuteMicrophone | UnpublishMicrophone | CancelMicrophone


MAX_EARLY: Final = 16
"""Mutes kept while a publication is under way; all but one of them are other participants'."""


class Operation(Enum):
    """What is under way at the room port."""

    PUBLISH = "publish"
    MUTE = "mute"
    UNPUBLISH = "unpublish"


@frozen
class Publishing:
    """Where the microphone stands.

    Args:
        is_wanted: What the app asked for last.
        is_granted: Whether the server lets it publish now.
        track: The published track, None when there is none.
        operation: What is under way, None when nothing is.
        epoch: Counts the spans within which operations belong together.
        failure: Why the last operation failed, None once another one succeeds.
        early: What was told about microphone tracks while one is being published: its own mute may
            be told before the publication has answered.
        late: How many results came too late and were dropped.
        resume_by: Until when the intent survives an outage without a grant, monotonic seconds.
        stated: Counts what the app asked for, so that a command sees that something came after it.
    """

    is_wanted: bool = False
    is_granted: bool = False
    track: TrackPublication | None = None
    operation: Operation | None = None
    epoch: int = 0
    failure: UTDStreamException | None = None
    early: tuple[TrackPublication, ...] = ()
    late: int = 0
    resume_by: float | None = None
    stated: int = 0

    @property
    def is_on(self) -> bool:
        """Whether others can hear this microphone."""
        return self.track is not None and not self.track.is_muted

    @property
    def is_settled(self) -> bool:
        """Whether nothing is under way, nor to be once an outage is over."""
        return self.operation is None and self.resume_by is None


def step(publishing: Publishing, fact: object) -> Publishing:
    """Return the microphone after `fact`, before the next operation is chosen; total."""
    match fact:
        case MicrophoneWanted(enabled=enabled):
            return evolve(
                publishing,
                is_wanted=enabled,
                failure=None,
                resume_by=publishing.resume_by if enabled else None,
                stated=publishing.stated + 1,
            )
        case MicrophonePublished(epoch=epoch, track=track):
            early = [told for told in publishing.early if told.sid == track.sid]
            finished = _finished(publishing, epoch, Operation.PUBLISH, track=track)
            return _followed(finished, early[-1]) if early else finished
        case MicrophoneMuted(epoch=epoch, muted=muted):
            known = publishing.track
            told = None if known is None else evolve(known, is_muted=muted)
            return _finished(publishing, epoch, Operation.MUTE, track=told)
        case MicrophoneUnpublished(epoch=epoch):
            return _finished(publishing, epoch, Operation.UNPUBLISH, track=None)
        case MicrophoneFailed(epoch=epoch, error=error) if epoch == publishing.epoch:
            # The intent ends with the failure: trying again is the app's decision. A track that
            # could not be taken down is not tried again either: the connection is in its way.
            gone = publishing.operation is Operation.UNPUBLISH
            return evolve(
                publishing,
                operation=None,
                early=(),
                track=None if gone else publishing.track,
                is_wanted=publishing.is_on and not gone,
                failure=error,
            )
        case MicrophoneFailed():
            return evolve(publishing, late=publishing.late + 1)
        case e.LocalTrackRepublished(track=track, previous_sid=sid) if _is_ours(publishing, sid):
            return evolve(publishing, track=track)
        case e.LocalTrackUnpublished(track=track) if _is_ours(publishing, track.sid):
            return evolve(
                publishing, track=None, is_wanted=publishing.is_wanted and publishing.is_granted
            )
        case e.TrackMuted(track=track) | e.TrackUnmuted(track=track) if (
            track.source is TrackSource.MICROPHONE and _is_ours(publishing, track.sid)
        ):
            return _followed(publishing, track)
        case e.TrackMuted(track=track) | e.TrackUnmuted(track=track) if (
            track.source is TrackSource.MICROPHONE and publishing.operation is Operation.PUBLISH
        ):
            return evolve(publishing, early=(*publishing.early, track)[-MAX_EARLY:])
        case _:
            return publishing


def granted(publishing: Publishing, is_granted: bool) -> Publishing:
    """Return the microphone after the grant is `is_granted`; losing it ends the intent."""
    if is_granted == publishing.is_granted:
        return publishing
    if is_granted:
        return evolve(publishing, is_granted=True, resume_by=None)
    return evolve(
        publishing,
        is_granted=False,
        is_wanted=False,
        operation=None,
        epoch=publishing.epoch + 1,
    )


def suspended(publishing: Publishing, until: float) -> Publishing:
    """Return the microphone of a connection that is lost and may be made anew."""
    return evolve(
        publishing,
        is_granted=False,
        track=None,
        operation=None,
        epoch=publishing.epoch + 1,
        resume_by=until if publishing.is_wanted else None,
    )


def resuming(publishing: Publishing, until: float) -> Publishing:
    """Return the microphone that waits for its grant on a new connection."""
    return publishing if publishing.resume_by is None else evolve(publishing, resume_by=until)


def given_up(publishing: Publishing) -> Publishing:
    """Return the microphone whose grant did not come back."""
    return evolve(publishing, is_wanted=False, resume_by=None)


def disconnected(publishing: Publishing) -> Publishing:
    """Return the microphone of a connection that is over: the room port closed every track."""
    return Publishing(
        epoch=publishing.epoch + 1,
        failure=publishing.failure,
        late=publishing.late,
        stated=publishing.stated,
    )


def follow_up(
    before: Publishing, after: Publishing, fact: object
) -> tuple[Publishing, tuple[Effect, ...]]:
    """Return what the change from `before` to `after` calls for, and the state it leaves."""
    effects: tuple[Effect, ...] = ()
    if after.epoch != before.epoch and before.operation is not None:
        effects = (CancelMicrophone(before.epoch),)
    if isinstance(fact, MicrophonePublished) and fact.epoch != after.epoch:
        effects = (*effects, UnpublishMicrophone(fact.epoch, fact.track.sid))
    operation, effect = _next_operation(after)
    if effect is None:
        return after, effects
    return evolve(after, operation=operation), (*effects, effect)


def _next_operation(
    publishing: Publishing,
) -> tuple[Operation, Effect] | tuple[None, None]:
    """Choose the next operation, if any: the table above."""
    track, epoch, is_wanted = publishing.track, publishing.epoch, publishing.is_wanted
    if publishing.operation is not None:
        return None, None
    if track is None:
        if is_wanted and publishing.is_granted:
            return Operation.PUBLISH, PublishMicrophone(epoch)
        return None, None
    if not publishing.is_granted:
        return Operation.UNPUBLISH, UnpublishMicrophone(epoch, track.sid)
    if track.is_muted == is_wanted:
        return Operation.MUTE, MuteMicrophone(epoch, track.sid, muted=not is_wanted)
    return None, None


def _finished(
    publishing: Publishing,
    epoch: int,
    operation: Operation,
    *,
    track: TrackPublication | None,
) -> Publishing:
    if epoch != publishing.epoch or publishing.operation is not operation:
        return evolve(publishing, late=publishing.late + 1)
    return evolve(publishing, operation=None, track=track, failure=None, early=())


def _followed(publishing: Publishing, track: TrackPublication) -> Publishing:
    """Return the microphone whose track was told to be muted or unmuted.

    By the server, or it is the echo of our own operation; either way the intent follows, or the two
    would fight.
    """
    if not _is_ours(publishing, track.sid):
        return publishing
    is_wanted = publishing.is_wanted if publishing.operation else not track.is_muted
    return evolve(publishing, track=track, is_wanted=is_wanted)


def _is_ours(publishing: Publishing, sid: str) -> bool:
    return publishing.track is not None and publishing.track.sid == sid
