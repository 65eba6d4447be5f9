"""Fakes that behave like the real parts, for tests of the SDK and of apps built on it.

`FakeWorld` is the whole of it: genuine sessions of any number of people and the genuine engine,
with no network between them, on virtual time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from utd_rx.errors import needing_extra

if TYPE_CHECKING:
    from utd_rx.testing.loop import StandstillError, VirtualLoop, run_virtual
    from utd_rx.testing.machines import TROUBLES
    from utd_rx.testing.machines.agent import AgentMachine
    from utd_rx.testing.machines.audio_room import AudioRoomMachine
    from utd_rx.testing.machines.call import CallMachine
    from utd_rx.testing.machines.live_stream import LiveStreamMachine
    from utd_rx.testing.machines.plain_room import PlainRoomMachine
    from utd_rx.testing.marbles import Timeline, assert_timeline, record
    from utd_rx.testing.unknown import UnknownToFakeError
    from utd_rx.testing.world.loop_world import LoopWorld
    from utd_rx.testing.world.network import Network
    from utd_rx.testing.world.sent import Asked
    from utd_rx.testing.world.world import FakeWorld

_HOME: Final = {
    "AgentMachine": "machines.agent",
    "Asked": "world.sent",
    "AudioRoomMachine": "machines.audio_room",
    "CallMachine": "machines.call",
    "FakeWorld": "world.world",
    "LiveStreamMachine": "machines.live_stream",
    "LoopWorld": "world.loop_world",
    "Network": "world.network",
    "PlainRoomMachine": "machines.plain_room",
    "StandstillError": "loop",
    "TROUBLES": "machines",
    "Timeline": "marbles",
    "UnknownToFakeError": "unknown",
    "VirtualLoop": "loop",
    "assert_timeline": "marbles",
    "record": "marbles",
    "run_virtual": "loop",
}

__all__ = [
    "TROUBLES",
    "AgentMachine",
    "Asked",
    "AudioRoomMachine",
    "CallMachine",
    "FakeWorld",
    "LiveStreamMachine",
    "LoopWorld",
    "Network",
    "PlainRoomMachine",
    "StandstillError",
    "Timeline",
    "UnknownToFakeError",
    "VirtualLoop",
    "assert_timeline",
    "record",
    "run_virtual",
]


def __getattr__(name: str) -> object:
    """Load a public name when it is first asked for: a suite of contracts needs no world."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with needing_extra(f"utd_rx.testing.{name}", "testing"):
        value: object = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
