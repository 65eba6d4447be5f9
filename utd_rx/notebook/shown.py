"""What a panel shows of a session: its streams' values as JSON, and no secret among them."""

from __future__ import annotations

from typing import Any, Final

from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import Participant, TrackSource
from utd_rx.models.role import UTDRole
from utd_rx.models.secrets import printable
from utd_rx.sessions.agent_view import AgentView
from utd_rx.sessions.media_view import MediaView
from utd_rx.sessions.view import View
from utd_rx.sessions.views import AudioRoomView, CallView, LiveStreamView, SessionView

MAX_PEOPLE: Final = 40
"""Participants that are listed; of the others it is told how many they are."""

MAX_MESSAGES: Final = 30
"""The last of a chat or a transcript."""

Json = dict[str, Any]


def shown(view: View[Any]) -> Json:
    """Return what there is to see of a session, or of its replay, at this moment.

    A section that a kind of session does not have is not there.
    """
    match view:
        case MediaView():
            found = _of_a_room(view) | _of_its_kind(view)
        case AgentView():
            found = _of_an_agent(view)
        case _:
            found = {"kind": view.type.name}
    return {key: for_eyes(value) for key, value in found.items()}


def for_eyes(value: Any) -> Any:
    """Return a value of JSON as a page may show it: names and words that are others' printable."""
    match value:
        case str():
            return printable(value)
        case list():
            return [for_eyes(one) for one in value]
        case dict():
            return {for_eyes(key): for_eyes(one) for key, one in value.items()}
        case _:
            return value


def _of_a_room(view: MediaView[Any]) -> Json:
    people = view.remote_participants.value
    speaking = frozenset(view.active_speakers.value)
    engine = view if isinstance(view, SessionView) else None
    roles = FrozenMap[str, UTDRole]() if engine is None else engine.roles.value
    failure = view.failure.value
    return {
        "kind": view.type.name,
        "title": view.room_name,
        "identity": view.identity,
        "is_host": engine is not None and engine.is_host,
        "connection": view.connection_state.value.value,
        "failure": "" if failure is None else str(failure),
        "microphone": view.microphone_enabled.value,
        "camera": view.camera_enabled.value,
        "people": [
            _person(one)
            | {
                "speaks": one.identity in speaking,
                "role": roles[one.identity].value if one.identity in roles else "",
            }
            for one in people[:MAX_PEOPLE]
        ],
        "more": max(0, len(people) - MAX_PEOPLE),
        "chat": [
            {"who": one.sender or "?", "text": one.text}
            for one in view.chat_history.value[-MAX_MESSAGES:]
        ],
        "chat_locked": engine is not None and engine.chat_locked.value,
    }


def _person(one: Participant) -> Json:
    microphone, camera = one.track(TrackSource.MICROPHONE), one.track(TrackSource.CAMERA)
    return {
        "identity": one.identity,
        "name": one.name,
        "microphone": "" if microphone is None else "muted" if microphone.is_muted else "on",
        "camera": camera is not None and not camera.is_muted,
        "quality": one.connection_quality.name.lower(),
    }


def _of_its_kind(view: MediaView[Any]) -> Json:
    match view:
        case AudioRoomView():
            return _of_an_audio_room(view)
        case LiveStreamView():
            return _of_a_live_stream(view)
        case CallView():
            return _of_a_call(view)
        case _:
            return {}


def _of_an_audio_room(view: AudioRoomView) -> Json:
    grid, speaking = view.seats.value, view.active_speakers.value
    return {
        "seats": [
            {
                "index": seat.index,
                "identity": seat.identity or "",
                "is_locked": seat.is_locked,
                "reserved_for": seat.reserved_for or "",
                "is_mine": seat.identity == view.identity,
                "speaks": seat.identity in speaking,
            }
            for seat in grid.seats
        ],
        "mode": grid.mode.value,
        "asking": [one.identity for one in grid.requests],
    }


def _of_a_live_stream(view: LiveStreamView) -> Json:
    return {
        "stage": [
            {"identity": one.identity, "name": one.name or "", "role": one.role or ""}
            for one in view.stage.value
        ],
        "asking": [one.identity for one in view.stage_requests.value],
        "viewers": view.viewer_count.value,
        "is_over": view.live_ended.value,
    }


def _of_a_call(view: CallView) -> Json:
    status, reason = view.status.value, view.end_reason.value
    return {
        "call": {
            "status": "" if status is None else status.value,
            "peer": view.peer_name.value or view.peer.value or "",
            "duration": view.duration.value,
            "reason": "" if reason is None else reason.value,
        }
    }


def _of_an_agent(view: AgentView) -> Json:
    failure = view.failure.value
    return {
        "kind": view.type.name,
        "title": view.agent_id,
        "identity": "",
        "is_host": False,
        "connection": view.status.value.value,
        "failure": "" if failure is None else failure.message,
        "microphone": not view.muted.value,
        "chat": [
            {"who": one.role.value, "text": f"{one.text}{' …' if one.was_cut else ''}"}
            for one in view.transcript.value[-MAX_MESSAGES:]
        ],
        "talking": {"user": view.user_talking.value, "agent": view.agent_talking.value},
    }
