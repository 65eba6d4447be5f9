"""A ban, as the engine lists it."""

from __future__ import annotations

from attrs import field, frozen

from utd_rx.models.checks import typed
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.value import Value


@frozen(field_transformer=typed)
class UTDBan(Value):
    """Somebody who may not enter.

    `room_name` None means the whole project, `expires_at` None for ever; times are ISO 8601 UTC.
    """

    identity: str
    id: int | None = None
    name: str | None = None
    room_name: str | None = None
    reason: str | None = None
    banned_at: str | None = None
    expires_at: str | None = None
    attributes: FrozenMap[str, str] = field(factory=FrozenMap)

    @property
    def is_permanent(self) -> bool:
        """Whether it never ends by itself."""
        return self.expires_at is None


@frozen(field_transformer=typed)
class UTDBanNotice(Value):
    """This client is banned; what the engine did not say is None. `expires_at` is ISO 8601 UTC."""

    room_name: str | None = None
    reason: str | None = field(default=None, repr=False)
    expires_at: str | None = None
