"""The stage of a live stream."""

from __future__ import annotations

from attrs import frozen

from utd_rx.models.checks import typed


@frozen(field_transformer=typed)
class UTDStageMember:
    """Somebody who publishes in a live stream."""

    identity: str
    name: str | None = None
    role: str | None = None
