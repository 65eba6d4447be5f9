"""The stage of a live stream: who publishes there, and who has raised a hand."""

from __future__ import annotations

from datetime import datetime

from attrs import frozen

from utd_rx.models import html
from utd_rx.models.asked import moment_of, seconds_since
from utd_rx.models.checks import typed
from utd_rx.models.value import Value


@frozen(field_transformer=typed)
class UTDStageMember(Value):
    """Somebody who may publish in a live stream: the host, or who was promoted."""

    identity: str
    name: str | None = None
    role: str | None = None

    def _repr_html_(self) -> str:
        return html.cell(" · ".join(filter(None, (self.identity, self.name, self.role))))


@frozen(field_transformer=typed)
class StageRequest(Value):
    """A raised hand: a viewer asks to come on the stage; `created_at` is ISO 8601 UTC."""

    identity: str
    name: str | None = None
    created_at: str | None = None

    @property
    def asked_at(self) -> datetime | None:
        """When it was raised, by the engine's clock; None when the engine did not say."""
        return moment_of(self.created_at)

    def age(self, at: datetime) -> float | None:
        """Return for how many seconds it has been up by `at`, an aware time; None when unknown.

        Never negative: the engine's clock may be ahead of this one.
        """
        return seconds_since(self.created_at, at)


@frozen(field_transformer=typed)
class Stage(Value):
    """Who is on the stage, the host first, then in the order of promotion, and whether it is live.

    `revision` grows with every change at the local engine; None, like `is_live`, when an engine
    does not say.
    """

    members: tuple[UTDStageMember, ...] = ()
    revision: int | None = None
    is_live: bool | None = None

    def has(self, identity: str) -> bool:
        """Whether `identity` is on the stage."""
        return any(member.identity == identity for member in self.members)
