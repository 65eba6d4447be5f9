"""Seats, stages, tracks, participants, rooms, and what is said in them."""

from __future__ import annotations

from typing import Final, TypeVar

from attrs import evolve
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from utd_rx.models.chat import ChatMessage
from utd_rx.models.events import RoomSnapshot
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import (
    LocalParticipant,
    Participant,
    RemoteParticipant,
    TrackKind,
    TrackPublication,
    TrackSource,
)
from utd_rx.models.role import UTDRole
from utd_rx.models.seats import SpeakRequest, UTDSeat, UTDSeatGrid, UTDSeatMode
from utd_rx.models.stage import Stage, UTDStageMember
from utd_rx.testing.strategies.fields import built
from utd_rx.testing.strategies.words import (
    PEOPLE,
    WORDS,
    People,
    attributes,
    metadata,
    moments,
    room_names,
    sids,
)

P = TypeVar("P", bound=Participant)

_KIND_OF: Final = {
    TrackSource.MICROPHONE: TrackKind.AUDIO,
    TrackSource.CAMERA: TrackKind.VIDEO,
    TrackSource.SCREEN_SHARE: TrackKind.VIDEO,
    TrackSource.SCREEN_SHARE_AUDIO: TrackKind.AUDIO,
}


@st.composite
def seat_grids(
    draw: DrawFn,
    *,
    people: People = PEOPLE,
    max_seats: int = 8,
    mode: UTDSeatMode | None = None,
) -> UTDSeatGrid:
    """Grids of up to `max_seats`: nobody has two seats, nor sits and asks for one.

    Nobody sits on a locked seat, at most one is reserved, and requests are there in request mode
    only, with growing ids.
    """
    mode = mode or draw(st.sampled_from(UTDSeatMode))
    count = draw(st.integers(0, max_seats))
    there = draw(st.lists(people, max_size=count + 3, unique=True))
    indices = draw(st.lists(st.sampled_from(range(count)), unique=True)) if count else []
    occupants = dict(zip(indices, there, strict=False))
    reserved = draw(st.none() | st.sampled_from(range(count))) if count else None
    host = draw(people)

    def seat(index: int) -> UTDSeat:
        identity = occupants.get(index)
        return UTDSeat(
            index,
            identity,
            is_locked=identity is None and index != reserved and draw(st.booleans()),
            reserved_for=host if index == reserved else None,
            attributes=draw(attributes()) if identity is not None else FrozenMap(),
        )

    asking = there[len(occupants) :][:3] if mode is UTDSeatMode.REQUEST else []
    return UTDSeatGrid(
        seats=tuple(seat(index) for index in range(count)),
        mode=mode,
        mode_id=draw(st.none() | WORDS),
        requests=tuple(
            SpeakRequest(number, who, draw(moments())) for number, who in enumerate(asking, 1)
        ),
        revision=draw(st.none() | st.integers(0, 99)),
    )


@st.composite
def stages(draw: DrawFn, *, people: People = PEOPLE) -> Stage:
    """Stages: the host first, if there is one, and nobody twice."""
    on_it = draw(st.lists(people, max_size=4, unique=True))
    guests = st.sampled_from([UTDRole.AUDIENCE, UTDRole.GUEST, UTDRole.ADMIN])
    roles = [UTDRole.HOST, *(draw(guests) for _ in on_it)]
    return Stage(
        members=tuple(
            UTDStageMember(who, draw(st.none() | WORDS), role.value)
            for who, role in zip(on_it, roles, strict=False)
        ),
        revision=draw(st.none() | st.integers(0, 99)),
        is_live=draw(st.none() | st.booleans()),
    )


@st.composite
def track_publications(draw: DrawFn, *sources: TrackSource) -> TrackPublication:
    """Tracks of these sources, or of any that is known; the kind is the source's."""
    source = draw(st.sampled_from(sources or tuple(_KIND_OF)))
    sid, is_muted, is_subscribed = draw(sids("TR")), draw(st.booleans()), draw(st.booleans())
    name = source.name.lower()
    flags = is_muted, is_subscribed, draw(st.booleans())
    return TrackPublication(sid, name, _KIND_OF[source], source, *flags)


@st.composite
def _participants(draw: DrawFn, kind: type[P], people: People) -> P:
    sources = draw(st.lists(st.sampled_from(list(_KIND_OF)), max_size=2, unique=True))
    tracks = [draw(track_publications(source)) for source in sources]
    one = draw(built(kind, people, tracks=st.just(())))
    numbered = [evolve(track, sid=f"{track.sid}{n}") for n, track in enumerate(tracks)]
    return evolve(one, tracks=tuple(numbered))


def remote_participants(*, people: People = PEOPLE) -> SearchStrategy[RemoteParticipant]:
    """Others in the room, each with at most one track of a source."""
    return _participants(RemoteParticipant, people)


def local_participants(*, people: People = PEOPLE) -> SearchStrategy[LocalParticipant]:
    """This client's own participant, as `remote_participants`."""
    return _participants(LocalParticipant, people)


@st.composite
def room_snapshots(draw: DrawFn, *, people: People = PEOPLE) -> RoomSnapshot:
    """Rooms as a connection finds them; nobody is there twice."""
    me, *others = draw(st.lists(people, min_size=1, max_size=4, unique=True))
    return RoomSnapshot(
        draw(room_names()),
        draw(local_participants(people=st.just(me))),
        draw(sids("RM")),
        draw(metadata()),
        tuple(draw(remote_participants(people=st.just(who))) for who in others),
    )


@st.composite
def chat_messages(draw: DrawFn, *, people: People = PEOPLE) -> ChatMessage:
    """Chat messages, some without an id, a time or a sender who is known."""
    id_, text = draw(st.just("") | WORDS), draw(WORDS.filter(str.strip))
    milliseconds = draw(st.none() | st.integers(0, 2**41))
    sent_at = None if milliseconds is None else milliseconds / 1000
    return ChatMessage(id_, text, draw(people | st.none()), sent_at)
