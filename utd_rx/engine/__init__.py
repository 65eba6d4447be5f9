"""Local servers to develop against: the engine with an SFU behind it, and a voice agent.

`LocalEngine` needs the extra `engine`, `LocalAgent` nothing; each is loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from utd_rx.errors import needing_extra

if TYPE_CHECKING:
    from utd_rx.engine.agent import LocalAgent
    from utd_rx.engine.options import EngineOptions
    from utd_rx.engine.server import LocalEngine

__all__ = ["EngineOptions", "LocalAgent", "LocalEngine"]

_MODULE_OF: Final = {
    "EngineOptions": "utd_rx.engine.options",
    "LocalAgent": "utd_rx.engine.agent",
    "LocalEngine": "utd_rx.engine.server",
}


def __getattr__(name: str) -> object:
    """Load a public name when it is first asked for."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with needing_extra(f"utd_rx.engine.{name}", "engine"):
        value: object = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value
