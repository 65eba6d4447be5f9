"""Machines that try an app in a world of its own, and bugs planted into it for them to find."""

from __future__ import annotations

import inspect
import random
from collections.abc import Coroutine
from contextlib import ExitStack
from types import ModuleType
from typing import Any, Final

from hypothesis import Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, run_state_machine_as_test

from utd_rx import UTDStreamException
from utd_rx.testing import FakeWorld


class AppMachine(RuleBasedStateMachine):
    """A world, in which a subclass has an app run and people do what they like.

    Attributes:
        app: The app's module, or a copy of it with a bug.
        world: Where it runs.
    """

    app: Any

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self.world = self._stack.enter_context(FakeWorld())

    def tries(self, command: Coroutine[Any, Any, object]) -> bool:
        """Run a command of somebody's; say whether it was not refused."""
        try:
            self.world.run(command)
        except UTDStreamException:
            return False
        return True

    def check(self) -> None:
        """Assert what always holds when nothing is under way."""

    @invariant()
    def and_all_is_well(self) -> None:
        self.world.settle()
        self.check()

    def teardown(self) -> None:
        self._stack.close()


def planted(app: ModuleType, line: str, instead: str) -> Any:
    """Return a copy of an app's module in which one line, told by a part of it, is another."""
    source = inspect.getsource(app)
    assert source.count(line) == 1, f"{line!r} is in {app.__name__} {source.count(line)} times"
    buggy = ModuleType(f"{app.__name__}_with_a_bug")
    buggy.__file__ = app.__file__
    exec(compile(source.replace(line, instead), f"{app.__file__}: {instead}", "exec"), vars(buggy))
    return buggy


def play(machine: type[AppMachine], examples: int = 10, seed: int = 0) -> None:
    """Have a machine try its app; raise what it found, shrunk."""
    random.seed(seed)  # of which Hypothesis draws its own
    tried = settings(
        max_examples=examples,
        stateful_step_count=12,
        deadline=None,
        derandomize=False,
        database=None,
        report_multiple_bugs=False,
        phases=(Phase.generate, Phase.shrink),
    )
    run_state_machine_as_test(machine, settings=tried)


SHORT: Final = 10
"""Steps of a story that is read at a glance."""


SEARCHES: Final = 5
"""What Hypothesis draws depends on which modules are loaded: one search for a rare bug may fail."""


def story_of(machine: type[AppMachine], app: Any) -> list[str]:
    """Return the steps of the smallest story in which a machine finds a bug; none without one."""
    for seed in range(SEARCHES):
        try:
            play(type(machine.__name__, (machine,), {"app": app}), 400, seed)
        except Exception as error:
            notes = "\n".join(getattr(error, "__notes__", ())).splitlines()
            steps = [line.strip().removeprefix("state.") for line in notes if "state." in line]
            unsaid = ("teardown", "and_all_is_well")
            return [step for step in steps if step.partition("(")[0] not in unsaid]
    return []
