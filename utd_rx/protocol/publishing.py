"""One track of this client: intent × grant × publication, for any source.

Theory of operation. The app only ever states an intent, the server only ever a grant; what is
published follows from both. One operation is under way at a time, and when it ends the rules look
again at what is wanted now, so of several quick toggles the last one wins:

| wanted (intent, grant) | published | next operation |
| --- | --- | --- |
| on, granted | no | open |
| on, granted | yes, muted | unmute |
| off, granted | being opened | give it up: a device may hang, and nobody waits for that |
| off, granted | yes, unmuted | mute: the next "on" is then immediate |
| off, granted; of a screen, or to be closed | yes | close |
| any, not granted | yes | close, at once: LiveKit does not do it for us |
| else | | none |

Losing the grant also ends the intent: whoever is granted again later is not suddenly heard. It
begins a new epoch, as the end of the connection does: what is under way is cancelled, what still
comes back from it is counted and dropped, and what it published after all is taken down again.

A connection that is lost but made anew *suspends* grant and intent: the grant may be told a moment
after the new connection, and what is wanted by then is published when it is there, until
`resume_by`. Until then whoever asks for it is not answered: neither has it failed, nor is it so.
"""

from __future__ import annotations

from collections.abc import Set
from enum import Enum
from typing import Final

from attrs import evolve, frozen

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models import events as e
from utd_rx.models.participant import TrackPublication, TrackSource
from utd_rx.protocol.facts import Effect, Effects
from utd_rx.protocol.facts import media as facts

SOURCES: Final = {
    TrackSource.MICROPHONE: "microphone",
    TrackSource.CAMERA: "camera",
    TrackSource.SCREEN_SHARE: "screen",
}
"""What can be published, and what it is called."""

CLOSED_WHEN_OFF: Final = frozenset({TrackSource.SCREEN_SHARE})
"""What is taken down when it is switched off; the others are muted."""

_CONCERNS: Final = frozenset(
    {
        *facts.MediaFact.__subclasses__(),
        e.LocalTrackFailed,
        e.LocalTrackRepublished,
        e.LocalTrackUnpublished,
        e.LocalVideoInterrupted,
        e.LocalVideoResumed,
        e.TrackMuted,
        e.TrackUnmuted,
    }
)

MAX_EARLY: Final = 16
"""Mutes kept while a publication is under way; all but one of them are other participants'."""


class Operation(Enum):
    """What is under way at the room port."""

    OPEN = "open"
    GIVE_UP = "give up"
    MUTE = "mute"
    CLOSE = "close"


_OPENING: Final = frozenset({Operation.OPEN, Operation.GIVE_UP})
"""What is under way when a track comes."""


@frozen
class Publishing:
    """Where one source stands.

    `is_wanted` is the app's last word, and `stated` its number, so that who gives up takes back
    their own only: what was on before, and not switched off since, stays wanted (`is_kept`).
    `failure` is that of the last operation, `lost` why what feeds the track of `lost_sid`
    delivers nothing, until it does. A mute may be told before the publication it is about has
    answered: it waits in `early`. `late` counts results that came too late and were dropped.
    What an outage took may come back until `resume_by`, monotonic seconds; None: nothing was taken.
    It `closes` when its track is to be taken down, and not only muted, while it is off.
    """

    is_wanted: bool = False
    is_granted: bool = False
    track: TrackPublication | None = None
    operation: Operation | None = None
    epoch: int = 0
    failure: UTDStreamException | None = None
    lost: UTDStreamException | None = None
    lost_sid: str = ""
    early: tuple[TrackPublication, ...] = ()
    late: int = 0
    resume_by: float | None = None
    stated: int = 0
    is_kept: bool = False
    closes: bool = False

    @property
    def is_on(self) -> bool:
        """Whether others can hear or see it."""
        return self.track is not None and not self.track.is_muted

    @property
    def trouble(self) -> UTDStreamException | None:
        """Why others do not hear or see what was wanted, None when they do or nothing was."""
        is_so = self.track is not None and self.is_on and self.track.sid == self.lost_sid
        return self.failure or (self.lost if is_so else None)

    @property
    def is_settled(self) -> bool:
        """Whether nothing is under way, nor to be once an outage is over."""
        return self.operation is None and not (self.is_wanted and self.resume_by is not None)

    def is_overtaken(self, stated: int) -> bool:
        """Whether the app has switched it off since its word number `stated`."""
        return self.stated != stated and not self.is_wanted


def require_granted(publishing: Publishing) -> None:
    """Raise `FORBIDDEN` if switching on cannot succeed; what an outage hides is waited for."""
    if not publishing.is_granted and publishing.resume_by is None:
        what = "a seat, a place on the stage, a call that is answered, or a token that grants it"
        message = f"publishing is not granted now: it takes {what}"
        raise UTDStreamException(message, code=UTDErrorCode.FORBIDDEN)


def concerns(fact: object) -> bool:
    """Whether `fact` is about this client's own tracks; `step` leaves every other alone."""
    return type(fact) in _CONCERNS


def step(publishing: Publishing, fact: object, source: TrackSource) -> Publishing:
    """Return `source` after `fact`, which is about no other, before the next operation; total."""
    match fact:
        case facts.PublishingWanted(enabled=enabled, closes=closes):
            return evolve(
                publishing,
                is_wanted=enabled,
                failure=None,
                stated=publishing.stated + 1,
                closes=closes and not enabled,
            )
        case facts.PublishingWithdrawn(stated=stated) if stated == publishing.stated:
            is_kept = publishing.is_kept and not fact.closes
            return evolve(publishing, is_wanted=is_kept, closes=fact.closes)
        case facts.TrackOpened(epoch=epoch, track=track):
            early = [known for known in publishing.early if known.sid == track.sid]
            finished = _finished(publishing, epoch, _OPENING, track)
            return _followed(finished, early[-1]) if early else finished
        case facts.TrackMuteChanged(epoch=epoch, muted=muted):
            known = publishing.track
            changed = None if known is None else evolve(known, is_muted=muted)
            return _finished(publishing, epoch, {Operation.MUTE}, changed)
        case facts.TrackClosed(epoch=epoch):
            return _finished(publishing, epoch, {Operation.CLOSE, Operation.GIVE_UP}, None)
        case facts.TrackFailed(epoch=epoch, error=error) if epoch == publishing.epoch:
            # The intent ends with the failure: trying again is the app's decision. A track that
            # could not be taken down is not tried again either: the connection is in its way.
            gone = publishing.operation is Operation.CLOSE
            return evolve(
                publishing,
                operation=None,
                early=(),
                track=None if gone else publishing.track,
                is_wanted=publishing.is_on and not gone,
                failure=error,
            )
        case facts.TrackFailed():
            return evolve(publishing, late=publishing.late + 1)
        case e.LocalTrackRepublished(track=track, previous_sid=sid) if _is_ours(publishing, sid):
            return evolve(
                publishing,
                track=track,
                lost_sid=track.sid if sid == publishing.lost_sid else publishing.lost_sid,
            )
        case e.LocalTrackFailed(track_sid=sid, error=error) if _is_ours(publishing, sid):
            return evolve(publishing, track=None, is_wanted=False, failure=error)
        case e.LocalVideoInterrupted(track_sid=sid, error=error):
            # Like a mute, it may be told before the publication has answered.
            is_ours = _is_ours(publishing, sid) or publishing.operation in _OPENING
            return evolve(publishing, lost=error, lost_sid=sid) if is_ours else publishing
        case e.LocalVideoResumed(track_sid=sid) if sid == publishing.lost_sid:
            return evolve(publishing, lost=None)
        case e.LocalTrackUnpublished(track=track) if _is_ours(publishing, track.sid):
            return evolve(
                publishing, track=None, is_wanted=publishing.is_wanted and publishing.is_granted
            )
        case e.TrackMuted(track=track) | e.TrackUnmuted(track=track) if track.source is source:
            if _is_ours(publishing, track.sid):
                return _followed(publishing, track)
            if publishing.operation in _OPENING:
                return evolve(publishing, early=(*publishing.early, track)[-MAX_EARLY:])
            return publishing
    return publishing


def granted(publishing: Publishing, is_granted: bool) -> Publishing:
    """Return it after the grant is `is_granted`; losing it ends the intent."""
    if is_granted == publishing.is_granted:
        return publishing
    if is_granted:
        return evolve(publishing, is_granted=True, resume_by=None)
    epoch = publishing.epoch + 1
    return evolve(publishing, is_granted=False, is_wanted=False, operation=None, epoch=epoch)


def suspended(publishing: Publishing, until: float) -> Publishing:
    """Return it on a connection that is lost and may be made anew; with it comes what it takes."""
    takes_grant = publishing.is_granted or publishing.resume_by is not None
    return evolve(
        publishing,
        is_granted=False,
        track=None,
        operation=None,
        epoch=publishing.epoch + 1,
        resume_by=until if takes_grant else None,
    )


def disconnected(publishing: Publishing) -> Publishing:
    """Return it on a connection that is over: the room port closed every track."""
    return Publishing(
        epoch=publishing.epoch + 1,
        failure=publishing.failure,
        late=publishing.late,
        stated=publishing.stated,
    )


def follow_up(
    before: Publishing, after: Publishing, fact: object, source: TrackSource
) -> tuple[Publishing, Effects]:
    """Return what the change from `before` to `after` calls for, and the state it leaves."""
    effects: Effects = ()
    if after.epoch != before.epoch and before.operation is not None:
        effects = (facts.CancelTrack(source, before.epoch),)
    if isinstance(fact, facts.TrackOpened) and fact.source is source and fact.epoch != after.epoch:
        effects = (*effects, facts.CloseTrack(source, fact.epoch, fact.track.sid))
    is_so = after.is_on and after.operation is None
    if after.is_kept is not (is_kept := after.is_wanted and (after.is_kept or is_so)):
        after = evolve(after, is_kept=is_kept)
    operation, effect = _next_operation(after, source)
    if effect is None:
        return after, effects
    return evolve(after, operation=operation), (*effects, effect)


def _next_operation(
    publishing: Publishing, source: TrackSource
) -> tuple[Operation, Effect] | tuple[None, None]:
    """Choose the next operation, if any: the table above."""
    track, epoch, is_wanted = publishing.track, publishing.epoch, publishing.is_wanted
    if publishing.operation is Operation.OPEN and not is_wanted:
        return Operation.GIVE_UP, facts.CancelTrack(source, epoch)
    if publishing.operation is not None:
        return None, None
    if track is None:
        if is_wanted and publishing.is_granted:
            return Operation.OPEN, facts.OpenTrack(source, epoch)
        return None, None
    is_closed_off = publishing.closes or source in CLOSED_WHEN_OFF
    if not publishing.is_granted or (not is_wanted and is_closed_off):
        return Operation.CLOSE, facts.CloseTrack(source, epoch, track.sid)
    if track.is_muted == is_wanted:
        return Operation.MUTE, facts.MuteTrack(source, epoch, track.sid, muted=not is_wanted)
    return None, None


def _finished(
    publishing: Publishing,
    epoch: int,
    operations: Set[Operation | None],
    track: TrackPublication | None,
) -> Publishing:
    if epoch != publishing.epoch or publishing.operation not in operations:
        return evolve(publishing, late=publishing.late + 1)
    return evolve(publishing, operation=None, track=track, failure=None, early=())


def _followed(publishing: Publishing, track: TrackPublication) -> Publishing:
    """Return it when its track was reported to be muted or unmuted: by the server, or as the echo
    of our own operation. Either way the intent follows, or the two would fight.
    """
    if not _is_ours(publishing, track.sid):
        return publishing
    is_wanted = publishing.is_wanted if publishing.operation else not track.is_muted
    return evolve(publishing, track=track, is_wanted=is_wanted)


def _is_ours(publishing: Publishing, sid: str) -> bool:
    return publishing.track is not None and publishing.track.sid == sid
