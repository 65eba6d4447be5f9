"""State to subscribe to: the only door to Rx. docs/state.md tells what it promises."""

from __future__ import annotations

from utd_rx.state.bridges import Changes
from utd_rx.state.combine import combine_state
from utd_rx.state.errors import (
    AsyncObserverError,
    ImpureStepError,
    ReadOnlySubjectError,
    StoreClosedError,
    StreamCompletedError,
)
from utd_rx.state.machine import Machine
from utd_rx.state.operators import became, debounce, held_for, sample, throttle
from utd_rx.state.performing import perform
from utd_rx.state.piping import LoopScheduler, loop_scheduler
from utd_rx.state.store import Store
from utd_rx.state.subject import StateSubject

__all__ = [
    "AsyncObserverError",
    "Changes",
    "ImpureStepError",
    "LoopScheduler",
    "Machine",
    "ReadOnlySubjectError",
    "StateSubject",
    "Store",
    "StoreClosedError",
    "StreamCompletedError",
    "became",
    "combine_state",
    "debounce",
    "held_for",
    "loop_scheduler",
    "perform",
    "sample",
    "throttle",
]
