"""The threads of a media process are gathered on one core, and let go."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os, sys, threading
from utd_rx.media import gathering

clock = [100.0]
gathering.time.monotonic = lambda: clock[0]
ticks = iter(range(0, 10**9, 1000))
cores = sorted(os.sched_getaffinity(0))
gathering._idle = lambda: {core: next(ticks) * (core == cores[-1]) for core in cores}
gathering._waited = lambda: (0, 0)
stay = threading.Event()
started = lambda: threading.Thread(target=stay.wait, daemon=True).start()
place = lambda thread: tuple(sorted(os.sched_getaffinity(int(thread))))
places = lambda: sorted({place(thread) for thread in os.listdir("/proc/self/task")})
started()
ours = gathering.Gathering()
"""

MANY = tuple(sorted(os.sched_getaffinity(0)))
LAST = MANY[-1:]

needs_cores = pytest.mark.skipif(len(MANY) < 2, reason="this machine has one core")


def run(program: str) -> list[str]:
    """Run a program with a gathering, in a process of its own; return the lines it printed."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + program],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.splitlines()


GATHER = "for _ in range(2): ours.look(is_wanted=True)\n"
LOOK = "ours.look(is_wanted=True); print(places())\n"


@needs_cores
def test_all_threads_are_on_the_idlest_core_and_those_to_come() -> None:
    assert run(f"{GATHER}started()\nprint(places())") == [str([LAST])]


@needs_cores
def test_those_of_a_thread_elsewhere_come_with_the_next_look() -> None:
    elsewhere = f"os.sched_setaffinity(0, {MANY})\nstarted()\n"
    assert run(f"{GATHER}{elsewhere}{LOOK}") == [str([LAST])]


@needs_cores
def test_they_are_let_go_when_it_is_not_wanted() -> None:
    assert run(f"{GATHER}ours.look(is_wanted=False)\nprint(places())") == [str([MANY])]


@needs_cores
def test_which_core_is_idlest_is_seen_anew_each_time() -> None:
    first = (
        f"gathering._idle = lambda: {{core: next(ticks) * (core == {MANY[0]}) for core in cores}}\n"
    )
    assert run(f"{GATHER}ours.look(is_wanted=False)\n{first}{GATHER}print(places())") == [
        str([MANY[:1]])
    ]


@needs_cores
def test_a_thread_that_chose_its_cores_keeps_them() -> None:
    chosen = f"os.sched_setaffinity(0, {MANY[:1]})\n"
    both = str([MANY[:1], LAST])
    assert run(f"{chosen}{GATHER}print(places())\nours.look(is_wanted=False)\nprint(places())") == [
        both,
        str([MANY[:1], MANY]),
    ]


@needs_cores
@pytest.mark.parametrize(("wait", "is_crowded"), [(1_900_000, False), (2_100_000, True)])
def test_where_others_keep_the_core_busy_they_are_let_go_for_a_while(
    wait: int, is_crowded: bool
) -> None:
    crowded = f"gathering._waited = lambda: (10 * {wait}, 10)\n"
    quiet = "gathering._waited = lambda: (0, 0)\n"
    later = f"clock[0] += gathering.PAUSE\n{GATHER}print(places())\n"
    assert run(f"{GATHER}{crowded}{LOOK}{quiet}{GATHER}print(places())\n{later}") == [
        str([MANY if is_crowded else LAST]),
        str([MANY if is_crowded else LAST]),
        str([LAST]),
    ]


def test_what_refuses_leaves_all_as_it_was() -> None:
    refuse = "def refuse(*a): raise OSError(1, '')\nos.sched_setaffinity = refuse\n"
    assert run(f"{refuse}{GATHER}{LOOK}") == [str([MANY])]


def test_what_the_kernel_says_is_understood() -> None:
    told = run(
        "import importlib; importlib.reload(gathering)\n"
        "print(sorted(gathering._idle()) == sorted(range(os.cpu_count())))\n"
        "print(gathering._waited()[1] > 0)"
    )
    assert told == ["True", "True"]
