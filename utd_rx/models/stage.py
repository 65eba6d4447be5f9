"""The stage of a live stream."""

from __future__ import annotations

from attrs import frozen


@frozen
class UTDStageMember:
    """Somebody who publishes in a live stream."""

    identity: str
    name: str | None = None
    role: str | None = None
