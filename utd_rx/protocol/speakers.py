"""Requests to speak and invitations, as the one who is asked sees them
(docs/contract.md, "Speakers").

Theory of operation. The queue is part of the grid (`seats`), so everybody knows it; what is here
belongs to this client alone. A message that brings an *offer* is a hint: a newcomer may have
forged it, and one sent right after a join is lost. Our engine can be asked what it offered, so it
is, at the join, after a reconnect, both times once more a little later, and whenever a hint tells
of something new. Another engine cannot: then the hint itself is shown, and accepting it proves it.

| engine | begins | ends |
| --- | --- | --- |
| has a list | it is on the list | not on the list; and as below |
| has none | a message says so, to me | answered, out of time, seated, inviter or connection gone |

A request that is approved seats this client and grants it publishing, in two messages; whoever
asked in order to speak is heard when both are there:

| `request_id` | `opens_by` | |
| --- | --- | --- |
| set | None | waiting for the approval; ends when the request has been seen and is gone |
| None | set | seated by it, waiting for the grant; ends by the seat, the time, or the microphone |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import evolve, frozen

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.events import ParticipantConnected, ParticipantDisconnected, Reconnected
from utd_rx.models.participant import TrackSource
from utd_rx.models.seats import Invitation, UTDSeatGrid
from utd_rx.protocol.deadlines import earliest
from utd_rx.protocol.facts import Effects
from utd_rx.protocol.facts import seats as facts
from utd_rx.protocol.facts.connection import JoinSucceeded
from utd_rx.protocol.facts.media import PublishingWanted
from utd_rx.protocol.wire.speakers import ListedInvitation

INVITATION_SECONDS: Final = 60.0
"""How long the engine keeps an invitation (docs/contract.md, "Offers"), unless it says."""

GRANT_TIMEOUT: Final = 10.0
"""Seconds from the seat, or the engine's yes to it, to the grant, at most
(docs/contract.md, "Speakers")."""

LOOK_AGAIN_SECONDS: Final = 3.0
"""When to ask once more: what was offered between the first answer and the opening of the data
channel was pushed to nobody (docs/contract.md, "Lost pushes")."""

MAX_OFFERS: Final = 8
"""The engine keeps one for each target; what comes beyond these is a flood, and is dropped."""

MAX_ANSWERED: Final = 32
"""How many answered offers are remembered, against a list that is older than the answer."""


@frozen
class OpenInvitation:
    """An invitation, and when it ends by itself, in monotonic seconds."""

    invitation: Invitation
    expires_at: float


@frozen
class Speakers:
    """What this client was offered, oldest first, and what it asked for; see the module's tables.

    The queue has shown the request `request_id` when it `is_seen`. The engine has said what it
    offers when that `is_listed`; when it `is_stale`, and from `look_at` on, there may be something
    new to ask for, and when it `is_asked`, a question of `asked_at` is under way. Hints told of
    offers since the last question (`hinted`), or before it (`checked`); those that were none count
    as `disproved`. `answered` are the last ones. Who is `away` left while an offer of theirs stood
    or was asked for: it stands again if they are back in time.
    """

    offers: tuple[OpenInvitation, ...] = ()
    request_id: int | None = None
    is_seen: bool = False
    opens_by: float | None = None
    is_listed: bool = False
    is_stale: bool = False
    is_asked: bool = False
    hinted: tuple[int, ...] = ()
    checked: tuple[int, ...] = ()
    asked_at: float = 0.0
    look_at: float | None = None
    answered: tuple[int, ...] = ()
    away: tuple[str, ...] = ()
    disproved: int = 0

    @property
    def invitations(self) -> tuple[Invitation, ...]:
        """The open invitations, oldest first."""
        return tuple(offer.invitation for offer in self.offers)

    def offered(self, invitation_id: int) -> Invitation | None:
        """Return the open invitation of this id, None when there is none."""
        return next((one for one in self.invitations if one.id == invitation_id), None)


def step(
    speakers: Speakers, fact: object, now: float, *, identity: str, grid: UTDSeatGrid, epoch: int
) -> Speakers:
    """Return the state after `fact`, which left the grid as it is here; total.

    `identity` is this client's; an answer about another join than that of `epoch` is late.
    """
    match fact:
        case JoinSucceeded(snapshot=snapshot) | Reconnected(snapshot=snapshot):
            present = {remote.identity for remote in snapshot.remotes}
            away = tuple(who for who in speakers.away if who not in present)
            soon = now + LOOK_AGAIN_SECONDS
            speakers = evolve(speakers, is_stale=True, look_at=soon, away=away)
        case facts.InvitationHinted(invitation=invitation) if invitation.target == identity:
            speakers = _hinted(speakers, invitation, now)
        case facts.InvitationsListed(epoch=asked, invitations=listed) if asked == epoch:
            mine = (one for one in listed if one.invitation.target == identity)
            speakers = _listed(speakers, tuple(mine))
        case facts.InvitationsNotListed(epoch=asked, is_absent=is_absent) if asked == epoch:
            look_at = None if is_absent else now + LOOK_AGAIN_SECONDS
            if not speakers.is_listed and speakers.look_at is None:
                look_at = None  # nothing says that asking ever helps
            speakers = evolve(speakers, is_stale=False, is_asked=False, look_at=look_at)
        case facts.InvitationAnswered(invitation_id=id_):
            speakers = _kept(speakers, lambda offer: offer.invitation.id != id_)
            answered = (*speakers.answered, id_)[-MAX_ANSWERED:]
            speakers = evolve(speakers, answered=answered)
        case ParticipantDisconnected(identity=who):
            before = speakers
            speakers = _kept(speakers, lambda offer: offer.invitation.inviter != who)
            if speakers is not before or speakers.is_asked:
                speakers = evolve(speakers, away=(*speakers.away, who)[-MAX_OFFERS:])
        case ParticipantConnected(participant=who) if who.identity in speakers.away:
            away = tuple(known for known in speakers.away if known != who.identity)
            speakers = evolve(speakers, away=away, is_stale=speakers.is_listed or speakers.is_stale)
        case facts.SpeakRequested(request_id=request_id):
            speakers = _asking(speakers, request_id)
        case PublishingWanted(source=TrackSource.MICROPHONE, enabled=False):
            speakers = _asking(speakers, None)
        case facts.SpeakingForgone(request_id=id_) if id_ in (None, speakers.request_id):
            speakers = _asking(speakers, None)
    return _at(_seated_or_not(speakers, now, identity, grid), now)


def forgotten(speakers: Speakers) -> Speakers:
    """Return the state of a connection that is over."""
    return Speakers(disproved=speakers.disproved)


def follow_up(speakers: Speakers, now: float, epoch: int) -> tuple[Speakers, Effects]:
    """Ask what was offered when there may be something new and no question is under way."""
    if not speakers.is_stale or speakers.is_asked:
        return speakers, ()
    asking = evolve(speakers, is_stale=False, is_asked=True, asked_at=now)
    return evolve(asking, checked=speakers.hinted, hinted=()), (facts.FetchInvitations(epoch),)


def opens(speakers: Speakers, is_granted: bool) -> tuple[Speakers, bool]:
    """Return whether the microphone is to be opened now, once."""
    if speakers.opens_by is None or not is_granted:
        return speakers, False
    return evolve(speakers, opens_by=None), True


def next_deadline(speakers: Speakers) -> float | None:
    ends = (offer.expires_at for offer in speakers.offers)
    return earliest(*ends, speakers.opens_by, speakers.look_at)


def is_none(refusal: UTDStreamException) -> bool:
    """Whether the engine refuses an answer because there is no such offer, or none any more."""
    return refusal.code in (UTDErrorCode.NOT_FOUND, UTDErrorCode.FORBIDDEN)


def is_no_list(refusal: UTDStreamException) -> bool:
    """Whether the engine is one that has no list of offers."""
    return refusal.code is UTDErrorCode.NOT_FOUND


def _asking(speakers: Speakers, request_id: int | None) -> Speakers:
    """Return the state in which this request, or none, is to open the microphone."""
    return evolve(speakers, request_id=request_id, is_seen=False, opens_by=None)


def _hinted(speakers: Speakers, invitation: Invitation, now: float) -> Speakers:
    if speakers.offered(invitation.id) is not None or invitation.id in speakers.answered:
        return speakers
    if (speakers.is_listed or speakers.is_asked) and invitation.id not in speakers.hinted:
        hinted = (*speakers.hinted, invitation.id)[:MAX_OFFERS]
        speakers = evolve(speakers, is_stale=True, hinted=hinted)
    if speakers.is_listed or len(speakers.offers) >= MAX_OFFERS:
        return speakers
    offer = OpenInvitation(invitation, now + INVITATION_SECONDS)
    return evolve(speakers, offers=(*speakers.offers, offer))


def _listed(speakers: Speakers, listed: tuple[ListedInvitation, ...]) -> Speakers:
    """Return the state after the engine's word; `listed` is about this client.

    The engine lists an offer for as long as its inviter may come back, which nobody tells: one who
    is away has none. Its time is counted from the question, so that a slow answer ends it early.
    """
    offers = tuple(
        OpenInvitation(
            one.invitation,
            speakers.asked_at + (INVITATION_SECONDS if one.expires_in is None else one.expires_in),
        )
        for one in listed
        if one.invitation.id not in speakers.answered
        and one.invitation.inviter not in speakers.away
    )[:MAX_OFFERS]
    true = {*speakers.answered, *(one.invitation.id for one in listed)}
    return evolve(
        speakers,
        offers=offers,
        is_listed=True,
        is_asked=False,
        checked=(),
        disproved=speakers.disproved + sum(id_ not in true for id_ in speakers.checked),
    )


def _seated_or_not(speakers: Speakers, now: float, identity: str, grid: UTDSeatGrid) -> Speakers:
    if grid.seat_of(identity) is None:
        speakers = evolve(speakers, opens_by=None) if speakers.opens_by is not None else speakers
        if speakers.request_id is None:
            return speakers
        if grid.is_pending(speakers.request_id):
            return speakers if speakers.is_seen else evolve(speakers, is_seen=True)
        return evolve(speakers, request_id=None, is_seen=False) if speakers.is_seen else speakers
    if speakers.offers:
        speakers = evolve(speakers, offers=())
    if speakers.request_id is None:
        return speakers
    return evolve(speakers, request_id=None, is_seen=False, opens_by=now + GRANT_TIMEOUT)


def _at(speakers: Speakers, now: float) -> Speakers:
    speakers = _kept(speakers, lambda offer: offer.expires_at > now)
    if speakers.opens_by is not None and now >= speakers.opens_by:
        speakers = evolve(speakers, opens_by=None)
    if speakers.look_at is not None and now >= speakers.look_at:
        speakers = evolve(speakers, is_stale=True, look_at=None)
    return speakers


def _kept(speakers: Speakers, is_kept: Callable[[OpenInvitation], bool]) -> Speakers:
    kept = tuple(filter(is_kept, speakers.offers))
    return speakers if kept == speakers.offers else evolve(speakers, offers=kept)
