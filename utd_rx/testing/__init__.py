"""Fakes that behave like the real parts, for tests of the SDK and of apps built on it.

`FakeWorld` is the whole of it: genuine sessions of any number of people and the genuine engine,
with no network between them, on virtual time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from utd_rx.testing.loop import StandstillError, VirtualLoop, run_virtual
    from utd_rx.testing.world.loop_world import LoopWorld
    from utd_rx.testing.world.network import Network
    from utd_rx.testing.world.sent import Asked
    from utd_rx.testing.world.world import FakeWorld

_HOME: Final = {
    "Asked": "world.sent",
    "FakeWorld": "world.world",
    "LoopWorld": "world.loop_world",
    "Network": "world.network",
    "StandstillError": "loop",
    "VirtualLoop": "loop",
    "run_virtual": "loop",
}

__all__ = [
    "Asked",
    "FakeWorld",
    "LoopWorld",
    "Network",
    "StandstillError",
    "VirtualLoop",
    "run_virtual",
]


def __getattr__(name: str) -> object:
    """Load a public name when it is first asked for: a suite of contracts needs no world."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
