"""When somebody asked for something, as an engine writes it, and how long they have waited."""

from __future__ import annotations

from datetime import UTC, datetime


def moment_of(created_at: str | None) -> datetime | None:
    """Return the moment that ISO 8601 text says, in UTC where it names no zone; None without."""
    try:
        asked = datetime.fromisoformat(created_at or "")
    except ValueError:
        return None
    return asked.replace(tzinfo=UTC) if asked.tzinfo is None else asked


def seconds_since(created_at: str | None, at: datetime) -> float | None:
    """Return the seconds from then to `at`, an aware time; None when unknown.

    Never negative: the engine's clock may be ahead of this one.
    """
    asked = moment_of(created_at)
    return None if asked is None else max(0.0, (at - asked).total_seconds())
