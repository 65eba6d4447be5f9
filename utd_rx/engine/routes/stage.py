"""`/api/v1/rooms/:room/stage` and `/live` (docs/contract.md, "Stage")."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from utd_rx.engine.authorization import FOR_MEMBERS, FOR_MODERATORS, FOR_OWNER, Callers
from utd_rx.engine.core import Rule
from utd_rx.engine.engine_clock import to_iso
from utd_rx.engine.routes.fields import identity_of
from utd_rx.engine.routes.request import Answer, RoomRequest
from utd_rx.engine.rules import stage
from utd_rx.engine.rules.room_state import Done
from utd_rx.engine.rules.seat_state import Reply


async def get_stage(asked: RoomRequest) -> Reply:
    room = asked.room
    return stage.shown(room, asked.access.actor_in(room), asked.core.clock.monotonic())


async def raise_hand(asked: RoomRequest) -> Reply:
    now = to_iso(asked.core.clock.wall())
    return await asked.carry_out(partial(stage.raise_hand, created_at=now))


def _command(rule: Rule) -> Answer:
    return lambda asked: asked.carry_out(rule)


def _on(rule: Callable[..., Done]) -> Answer:
    """Return what has a rule carried out that is about `target_identity`."""

    async def answer(asked: RoomRequest) -> Reply:
        target = identity_of(asked.body, "target_identity")
        return await asked.carry_out(partial(rule, target=target), target)

    return answer


def _in_live_stream(answer: Answer) -> Answer:
    """Refuse before any field is read."""

    async def checked(asked: RoomRequest) -> Reply:
        stage.refuse_without_stage(asked.room)
        return await answer(asked)

    return checked


_ROUTES: Final[list[tuple[str, str, Callers, Answer]]] = [
    ("GET", "/stage", FOR_MEMBERS, get_stage),
    ("POST", "/stage/add", FOR_MODERATORS, _on(stage.add)),
    ("POST", "/stage/remove", FOR_MODERATORS, _on(stage.remove)),
    ("POST", "/stage/leave", FOR_MEMBERS, _command(stage.leave)),
    ("POST", "/stage/request", FOR_MEMBERS, raise_hand),
    ("DELETE", "/stage/request", FOR_MEMBERS, _command(stage.lower_hand)),
    ("POST", "/stage/request/dismiss", FOR_MODERATORS, _on(stage.dismiss)),
    ("POST", "/live/end", FOR_OWNER, _command(stage.end)),
]

ROUTES: Final = [(how, path, row, _in_live_stream(do)) for how, path, row, do in _ROUTES]
"""Below `rooms/{room}`: method, path, who may, and what answers."""
