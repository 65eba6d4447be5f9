"""A media process comes before others where it may, and gives that back when it computes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

TAKE = """
import os, threading
from utd_rx.media import priority

os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))  # whatever these tests have
before = threading.Event()
threading.Thread(target=before.wait, daemon=True).start()
ours = priority.Priority()
{change}
ours.take()
after = threading.Thread(target=before.wait, daemon=True)
after.start()
policies = lambda: {{os.sched_getscheduler(int(one)) for one in os.listdir("/proc/self/task")}}
"""


def run(program: str, change: str = "") -> str:
    """Run a program that takes the priority, in a process of its own; return what it printed."""
    code = TAKE.format(change=change) + program
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def is_allowed() -> bool:
    """Whether a process may take real-time priority here."""
    if os.getpriority(os.PRIO_PROCESS, 0) > 0:
        return False
    ask = "import os; os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))"
    return not subprocess.run([sys.executable, "-c", ask], capture_output=True).returncode


def test_all_its_threads_have_it_and_those_to_come() -> None:
    policy = os.SCHED_RR if is_allowed() else os.SCHED_OTHER
    assert run("print(policies())") == str({policy})


REFUSED = """
def refuse(*arguments):
    raise {error}
os.sched_setscheduler = refuse
"""


SLICES = """
import ctypes
told = priority._Attributes()
number = {"x86_64": 315, "aarch64": 275}[os.uname().machine]
for one in os.listdir("/proc/self/task"):
    ctypes.CDLL(None).syscall(number, int(one), ctypes.byref(told), ctypes.sizeof(told), 0)
    print(told.policy, told.slice)
"""


@pytest.mark.parametrize("error", ["PermissionError", "OSError(22, '')", "OSError(38, '')"])
def test_where_it_may_not_its_threads_ask_for_short_slices(error: str) -> None:
    [told, *others] = run(SLICES, REFUSED.format(error=error)).splitlines()
    release = tuple(int(part) for part in os.uname().release.split(".")[:2])
    assert told == ("0 100000" if release >= (6, 12) else "0 0")
    assert set(others) == {told}


COMPUTE = """
while os.SCHED_RR in policies():
    pass
print(policies())
ours.look()
print(policies())
priority.time.monotonic = lambda: 1e9
ours.look()
print(policies(), flush=True)
os._exit(0)  # as the child does; an interpreter that ends computes, without its handlers
"""


@pytest.mark.parametrize("hard", [None, 60_000])
def test_who_computes_gives_it_back_and_takes_it_again_later(hard: int | None) -> None:
    if not is_allowed():
        pytest.skip("no process may take real-time priority here")
    change = "priority.AT_A_TIME = 20_000"
    if hard is not None:  # which kills
        change = f"import resource; resource.setrlimit(resource.RLIMIT_RTTIME, ({hard}, {hard}))"
    told = run(COMPUTE, change)
    ordinary, again = {os.SCHED_OTHER}, {os.SCHED_RR}
    assert told.splitlines() == [str(ordinary), str(ordinary), str(again)]


def test_a_process_that_takes_a_core_gives_it_back_and_who_is_nice_takes_none() -> None:
    ordinary = str({os.SCHED_OTHER})
    look = "priority.MAX_SHARE = -1\nfor _ in range(priority.LOOKS): ours.look()\n"
    assert run(f"{look}print(policies())") == ordinary
    assert run("print(policies())", "os.nice(5)") == ordinary


@pytest.mark.parametrize("nice", [0, 5])
def test_who_yields_to_all_others_goes_on_to(nice: int) -> None:
    idle = f"os.nice({nice}); os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))"
    told = run("print(policies() - {os.SCHED_OTHER}, ours.is_first)", idle)
    policies, is_first = told.rsplit(maxsplit=1)
    assert str(os.SCHED_IDLE) in policies
    assert is_first == "False"
