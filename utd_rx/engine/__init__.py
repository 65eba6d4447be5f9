"""A local engine to develop against: REST on loopback and an SFU behind it (extra `engine`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from utd_rx.engine.options import EngineOptions
    from utd_rx.engine.server import LocalEngine

__all__ = ["EngineOptions", "LocalEngine"]


def __getattr__(name: str) -> object:
    """Load what needs the extra when it is asked for: `utd_rx.testing` needs the core alone."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from utd_rx.engine import options, server

    value: object = getattr(server if name == "LocalEngine" else options, name)
    globals()[name] = value
    return value
