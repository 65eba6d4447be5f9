"""What a random audio room costs without a network: `python -m benchmarks.world`.

1,000 examples of 50 steps of `AudioRoomMachine`, three people in genuine sessions with the genuine
engine, shared out among the cores there are, two at most (target: under a minute), and CPU time per
step. The peer is Hypothesis by itself: a machine of as many rules that do nothing. `lived` is how
much time passed in the rooms, and in life what a second of it took.
"""

from __future__ import annotations

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, Final

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from utd_rx.testing.machines import AudioRoomMachine

EXAMPLES: Final = 1_000
STEPS: Final = 50
TARGET: Final = 60.0
WORKERS: Final = min(2, os.cpu_count() or 1)
RULES: Final = 27
"""As many as `AudioRoomMachine` has."""


class Measured(AudioRoomMachine):
    """Counts what it did; as many of them run, one after the other."""

    examples = 0
    lived = 0.0

    def teardown(self) -> None:
        super().teardown()
        Measured.examples += 1
        Measured.lived += self.world.now


def nothing(number: int) -> Any:
    """Return a rule that does nothing."""

    def do(self: RuleBasedStateMachine, who: str, index: int) -> None:
        pass

    do.__name__ = f"do_{number}"
    return rule(who=st.sampled_from(AudioRoomMachine.people), index=st.integers(0, 2))(do)


IDLE: Final = type("Idle", (RuleBasedStateMachine,), {f"do_{n}": nothing(n) for n in range(RULES)})


def cost(machine: type[RuleBasedStateMachine], examples: int, start: int) -> float:
    """Run a machine, beginning with a seed, and return the CPU seconds that it took."""
    how = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    begun = time.process_time()
    run_state_machine_as_test(seed(start)(machine), settings=how)
    return time.process_time() - begun


def share(examples: int, start: int) -> tuple[int, float, float, float]:
    """Run a share, and return its examples, CPU seconds, those of the peer, and what was lived."""
    Measured.examples, Measured.lived = 0, 0.0
    took = cost(Measured, examples, start)
    return Measured.examples, took, cost(IDLE, examples, start), Measured.lived


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=EXAMPLES)
    examples = parser.parse_args().examples
    with ProcessPoolExecutor(WORKERS, get_context("spawn")) as pool:
        list(pool.map(share, [1] * WORKERS, range(WORKERS)))  # what is loaded once
        begun = time.perf_counter()
        shares = [examples // WORKERS] * WORKERS
        ran = list(pool.map(share, shares, range(WORKERS)))
        seconds = time.perf_counter() - begun
    count, took, peer, lived = (sum(figures) for figures in zip(*ran, strict=True))
    print(
        f"{count} examples of {STEPS} steps on {WORKERS} cores: {seconds:.1f} s (target {TARGET})"
    )
    per_step = 1e3 / (count * STEPS)
    print(
        f"CPU per step: {took * per_step:.2f} ms, Hypothesis by itself {peer * per_step:.2f} ms, "
        f"ratio {took / peer:.1f}"
    )
    print(f"lived: {lived / 3600:.0f} hours, {lived / took:.0f} seconds in one of the CPU")


if __name__ == "__main__":
    main()
