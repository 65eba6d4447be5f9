"""Hypothesis strategies for every value that an app meets (extra `testing`).

What they make an engine can really say: nobody sits twice, a call that is over has a reason, a
camera's track is video. `of(model)` knows every frozen value of `utd_rx.models`, and what models
are added later by the declared types of their fields; the functions are those of which it takes
more, each with what an app may want to choose. `people` are the identities that occur; few by
default, so that two values of one example are often about the same person.
"""

from __future__ import annotations

from importlib import import_module
from typing import TypeVar, cast

import attrs

from utd_rx.errors import UTDStreamException, needing_extra

with needing_extra("utd_rx.testing.strategies", "testing"):
    from hypothesis import strategies as st
    from hypothesis.strategies import SearchStrategy

from utd_rx.models import events as e
from utd_rx.models.agent_events import AgentEvent
from utd_rx.models.audio import AudioFormat, AudioFrame
from utd_rx.models.call import UTDCall
from utd_rx.models.chat import ChatMessage
from utd_rx.models.encryption import Encryption, EncryptionKey, KeyRing
from utd_rx.models.participant import LocalParticipant, RemoteParticipant, TrackPublication
from utd_rx.models.seats import UTDSeatGrid
from utd_rx.models.stage import Stage
from utd_rx.models.video import VideoFormat, VideoFrame
from utd_rx.testing.strategies.calls import calls
from utd_rx.testing.strategies.fields import MADE, built
from utd_rx.testing.strategies.keys import encryption_keys, encryptions, key_rings
from utd_rx.testing.strategies.media import (
    audio_formats,
    audio_frames,
    video_formats,
    video_frames,
)
from utd_rx.testing.strategies.rooms import (
    chat_messages,
    local_participants,
    remote_participants,
    room_snapshots,
    seat_grids,
    stages,
    track_publications,
)
from utd_rx.testing.strategies.words import (
    NAMES,
    PEOPLE,
    People,
    app_json,
    failures,
    identities,
    moments,
    room_names,
)

__all__ = [
    "NAMES", "People", "agent_events", "app_json", "audio_formats", "audio_frames", "calls",
    "chat_messages", "encryption_keys", "encryptions", "failures", "identities", "key_rings",
    "local_participants", "moments", "of", "remote_participants", "room_events", "room_names",
    "room_snapshots", "seat_grids", "stages", "track_publications", "video_formats",
    "video_frames",
]  # fmt: skip

T = TypeVar("T")


def room_events(*kinds: type[e.RoomEvent], people: People = PEOPLE) -> SearchStrategy[e.RoomEvent]:
    """Room events of these kinds, or of every kind that there is."""
    return _one_of(kinds or _kinds_of(e.RoomEvent), people)


def agent_events(*kinds: type[AgentEvent]) -> SearchStrategy[AgentEvent]:
    """What a voice agent's server tells, of these kinds or of every kind that there is."""
    return _one_of(kinds or _kinds_of(AgentEvent), PEOPLE)


def _one_of(kinds: tuple[type[T], ...], people: People) -> SearchStrategy[T]:
    return st.sampled_from(kinds).flatmap(lambda kind: of(kind, people=people))


def _kinds_of(base: type[T]) -> tuple[type[T], ...]:
    """Return what its module derives from a class and nothing from that, in a fixed order."""
    known = vars(import_module(base.__module__)).values()
    kinds = [one for one in known if isinstance(one, type) and issubclass(one, base)]
    return tuple(one for one in kinds if not any(one in kind.__mro__[1:] for kind in kinds))


def of(model: type[T], *, people: People = PEOPLE) -> SearchStrategy[T]:
    """Values of any frozen class of `utd_rx.models`, or `UTDStreamException`.

    Raises:
        TypeError: It is no such class.
    """
    made = MADE.get(model)
    if made is not None:
        return cast("SearchStrategy[T]", made(people))
    is_model = attrs.has(model) and model.__module__.startswith("utd_rx.models")
    if not is_model:
        raise TypeError(f"there is no strategy for {model!r}: it is no model of utd_rx")
    return built(model, people)


MADE.update(
    {
        AudioFormat: lambda _: audio_formats(),
        AudioFrame: lambda _: audio_frames(),
        Encryption: lambda people: encryptions(people=people),
        EncryptionKey: lambda _: encryption_keys(),
        KeyRing: lambda _: key_rings(),
        ChatMessage: lambda people: chat_messages(people=people),
        LocalParticipant: lambda people: local_participants(people=people),
        RemoteParticipant: lambda people: remote_participants(people=people),
        Stage: lambda people: stages(people=people),
        TrackPublication: lambda _: track_publications(),
        UTDCall: lambda people: calls(people=people),
        UTDSeatGrid: lambda people: seat_grids(people=people),
        UTDStreamException: lambda _: failures(),
        VideoFormat: lambda _: video_formats(),
        VideoFrame: lambda _: video_frames(),
        e.RoomSnapshot: lambda people: room_snapshots(people=people),
    }
)
