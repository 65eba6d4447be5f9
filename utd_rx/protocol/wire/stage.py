"""The stage of a live stream on the wire (docs/contract.md, "Stage").

| | |
| --- | --- |
| reply, `_stage_update`, metadata `_stage` | `members: [{identity, name?, role}], rev, live` |
| reply also, one's own or as a moderator all | `requests: [{identity, name?, created_at, age}]` |
| `_stage_request`, reply to `POST R/stage/request` | `{identity, name?, created_at}` |
| `_stage_request_closed` | `{identity}` |

`age` is in seconds, for whoever has no clock to hold `created_at` against; it is not read here,
since the client's `StageRequest.age` counts on.
"""

from __future__ import annotations

from typing import Final

from attrs import asdict

from utd_rx.models.stage import Stage, StageRequest, UTDStageMember
from utd_rx.protocol.wire.reading import (
    Json,
    read_bool,
    read_int,
    read_list,
    read_object,
    read_text,
    without_none,
)

STAGE_KEY: Final = "_stage"
"""The key in room metadata."""


def stage_from_wire(wire: Json) -> Stage:
    """Read it, as the reply, the push and room metadata spell it.

    Who is named twice counts once, at the first place; entries without an identity are dropped.
    """
    members: dict[str, UTDStageMember] = {}
    for entry in map(read_object, read_list(wire.get("members"))):
        if (identity := read_text(entry.get("identity"))) is not None:
            name, role = read_text(entry.get("name")), read_text(entry.get("role"))
            members.setdefault(identity, UTDStageMember(identity, name, role))
    revision, is_live = read_int(wire.get("rev")), read_bool(wire.get("live"))
    return Stage(tuple(members.values()), revision, is_live)


def stage_in_metadata(wire: Json) -> Stage | None:
    """Read it from parsed room metadata; None where there is none."""
    stage = read_object(wire.get(STAGE_KEY))
    return stage_from_wire(stage) if stage else None


def stage_to_wire(stage: Stage) -> dict[str, object]:
    """Write it, for the reply, the push and room metadata."""
    members = [without_none(**asdict(member)) for member in stage.members]
    return {"members": members, **without_none(rev=stage.revision, live=stage.is_live)}


def requests_in_stage(wire: Json) -> tuple[StageRequest, ...] | None:
    """Read the raised hands from the reply, in order; None where the engine tells none."""
    if wire.get("requests") is None:
        return None
    requests: dict[str, StageRequest] = {}
    for entry in map(read_object, read_list(wire["requests"])):
        if (asked := stage_request_from_wire(entry)) is not None:
            requests.setdefault(asked.identity, asked)
    return tuple(requests.values())


def stage_request_from_wire(wire: Json) -> StageRequest | None:
    """Read a raised hand, of the push or an entry of the reply; None without the identity."""
    identity = read_text(wire.get("identity"))
    if identity is None:
        return None
    return StageRequest(identity, read_text(wire.get("name")), read_text(wire.get("created_at")))


def stage_request_to_wire(request: StageRequest) -> dict[str, object]:
    """Write it as the push and the answer to whoever asked carry it."""
    return without_none(**asdict(request))


def stage_request_to_rest(request: StageRequest, *, age: float) -> dict[str, object]:
    """Write an entry of the reply; rounded, because clocks are not that exact."""
    return {**stage_request_to_wire(request), "age": round(age, 3)}
