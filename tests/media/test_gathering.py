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
gathering._fastest = sorted
gathering.random.uniform = lambda least, most: most
stay = threading.Event()
started = lambda: threading.Thread(target=stay.wait, daemon=True).start()
place = lambda thread: tuple(sorted(os.sched_getaffinity(int(thread))))
places = lambda: sorted({place(thread) for thread in os.listdir("/proc/self/task")})
started()
ours = gathering.Gathering(max)
look = lambda is_wanted=True, share=0.5: ours.look(share, is_wanted=is_wanted)
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


GATHER = "for _ in range(2): look()\n"
LOOK = "look(); print(places())\n"


@needs_cores
def test_all_threads_are_on_the_idlest_core_and_those_to_come() -> None:
    assert run(f"{GATHER}started()\nprint(places())") == [str([LAST])]


@needs_cores
def test_those_of_a_thread_elsewhere_come_with_the_next_look() -> None:
    elsewhere = f"os.sched_setaffinity(0, {MANY})\nstarted()\n"
    assert run(f"{GATHER}{elsewhere}{LOOK}") == [str([LAST])]


@needs_cores
def test_they_are_let_go_when_it_is_not_wanted() -> None:
    assert run(f"{GATHER}look(False)\nprint(places())") == [str([MANY])]


@needs_cores
def test_which_core_is_idlest_is_seen_anew_each_time() -> None:
    first = (
        f"gathering._idle = lambda: {{core: next(ticks) * (core == {MANY[0]}) for core in cores}}\n"
    )
    assert run(f"{GATHER}look(False)\n{first}{GATHER}print(places())") == [str([MANY[:1]])]


@needs_cores
def test_a_thread_that_chose_its_cores_keeps_them() -> None:
    other = "next(one for one in threading.enumerate() if one.daemon).native_id"
    chosen = f"os.sched_setaffinity({other}, {MANY[:1]})\n"
    both = str([MANY[:1], LAST])
    assert run(f"{chosen}{GATHER}print(places())\nlook(False)\nprint(places())") == [
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
    later = f"clock[0] += 2 * gathering.PAUSE\n{GATHER}print(places())\n"
    assert run(f"{GATHER}{crowded}{LOOK}{quiet}{GATHER}print(places())\n{later}") == [
        str([MANY if is_crowded else LAST]),
        str([MANY if is_crowded else LAST]),
        str([LAST]),
    ]


@needs_cores
@pytest.mark.parametrize(("share", "is_slow"), [(0.8, False), (0.81, True)])
def test_so_are_those_that_take_too_much_of_it_each_time_for_longer(
    share: float, is_slow: bool
) -> None:
    slow, place = f"look(share={share})\n", str([MANY if is_slow else LAST])
    wait = "clock[0] += {}\n" + GATHER + "print(places())\n"
    assert run(
        f"{GATHER}{slow}print(places())\n{wait.format(19)}{wait.format(1)}"
        f"{slow}{wait.format(39)}{wait.format(1)}"
    ) == [place, place, str([LAST]), place, str([LAST])]


@needs_cores
def test_of_cores_that_are_as_idle_one_is_chosen_among_the_fastest() -> None:
    idle = "gathering._idle = lambda: dict.fromkeys(cores, next(ticks))\n"
    slow = f"gathering._fastest = lambda cores: sorted(cores)[:{len(MANY) - 1}]\n"
    told = "gathering.Gathering(lambda cores: print(cores) or cores[0])"
    assert run(f"{idle}ours = {told}\n{GATHER}") == [str(list(MANY))]
    assert run(f"{idle}{slow}ours = {told}\n{GATHER}") == [str(list(MANY[:-1]))]


@pytest.mark.parametrize(
    ("speeds", "fastest"),
    [
        ({}, [0, 1, 2]),
        ({0: 400, 1: 1024, 2: 1000}, [1, 2]),
        ({0: 400, 1: 1024}, [0, 1, 2]),  # of one nothing is known
    ],
)
def test_how_fast_a_core_is_the_kernel_may_say(speeds: dict[int, int], fastest: list[int]) -> None:
    told = run(
        f"import importlib; importlib.reload(gathering); speeds = {speeds}\n"
        "def read(file):\n"
        "    number = int(file.split('/cpu')[2].split('/')[0])\n"
        "    if number not in speeds: raise FileNotFoundError(file)\n"
        "    return f'{speeds[number]}\\n'\n"
        "gathering._read = read\n"
        "print(gathering._fastest({2, 0, 1}))"
    )
    assert told == [str(fastest)]


@needs_cores
def test_a_container_that_is_given_other_cores_is_seen() -> None:
    fewer, all_of_them = set(MANY[:1]), set(MANY)
    moved = "os.sched_setaffinity = lambda thread, cores: print(cores)\n"
    has = "os.sched_getaffinity = lambda thread: {}\n"
    told = run(
        f"{moved}{has.format(fewer)}{GATHER}print('more')\n{has.format(all_of_them)}{GATHER}"
    )
    assert told[0] == "more"
    assert set(told[1:]) == {str(set(LAST))}


@pytest.mark.parametrize(
    "refuse",
    [
        "def refuse(*a): raise OSError(1, '')\nos.sched_setaffinity = refuse\n",
        "def refuse(*a): raise OSError(1, '')\ngathering._waited = refuse\n",
        "gathering._idle = lambda: int('none')\n",
    ],
)
def test_what_refuses_leaves_all_as_it_was(refuse: str) -> None:
    assert run(f"{refuse}{GATHER}{LOOK}") == [str([MANY])]


def test_what_the_kernel_says_is_understood() -> None:
    told = run(
        "import importlib; importlib.reload(gathering)\n"
        "print(sorted(gathering._idle()) == sorted(range(os.cpu_count())))\n"
        "print(gathering._waited()[1] > 0)"
    )
    assert told == ["True", "True"]
