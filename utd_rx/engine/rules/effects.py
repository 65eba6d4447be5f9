"""What the shell must do to the SFU after a step, in the order given.

An effect names what changed and not the values: the shell reads those from the state the step
returned, so that what reaches the SFU is always the newest.
"""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen

from utd_rx.models.frozen_map import FrozenMap


@frozen
class ApplyGrant:
    """Make the SFU's permission of `identity` what `room_state.grant_of` says."""

    identity: str


@frozen
class PublishSeats:
    """Write the grid to the room's metadata and push `_seat_update` to all."""


@frozen
class PublishStage:
    """Write the stage to the room's metadata and push `_stage_update` to all."""


@frozen
class Push:
    """Send an engine message of `type` to the identities in `to`, None for all."""

    type: str
    payload: FrozenMap[str, object] = FrozenMap()
    to: tuple[str, ...] | None = None


@frozen
class PublishMetadata:
    """Write the room's metadata, without a word about seats and stage."""


@frozen
class TellModerators:
    """Send an engine message of `type` to the hosts and admins who are connected, and `also` to."""

    type: str
    payload: FrozenMap[str, object]
    also: tuple[str, ...] = ()


@frozen
class MuteTracks:
    """Mute or unmute the tracks of `identity` on the SFU: those of `kinds`, or only `sid`."""

    identity: str
    is_muted: bool
    kinds: tuple[str, ...] = ("audio",)
    sid: str | None = None


@frozen
class WriteRole:
    """Make the role in the metadata of the participant what `room_state.role_of` says."""

    identity: str


@frozen
class Remove:
    """Remove a connection from the room; only session `sid`, when one is given."""

    identity: str
    sid: str | None = None


Effect: TypeAlias = (
    ApplyGrant
    | PublishSeats
    | PublishStage
    | PublishMetadata
    | Push
    | TellModerators
    | MuteTracks
    | WriteRole
    | Remove
)
Effects: TypeAlias = tuple[Effect, ...]
