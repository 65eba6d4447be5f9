"""What must not happen at the end of a loop, of a process, or after a fork."""

from __future__ import annotations

import subprocess
import sys

from utd_rx.rtc import last_resort

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJxIiwidmlkZW8iOnsicm9vbSI6InIifX0.oFp00v9TxckhySnhHlyKUKEL"

CALLED_AT_THE_END = """
import asyncio, logging, os, time
os.environ["LIVEKIT_RTC_DEBUG"] = "1"

class LastThing:
    def __del__(self):
        time.sleep(0.3)  # so that whoever is called meanwhile returns into an interpreter that ends

class Busy:
    def filter(self, record):
        time.sleep(0.1)  # and there are many lines
        return False

async def join():
    async with UTDRoom() as room:
        await room.connect("ws://127.0.0.1:1", "a.b.c")

last = LastThing()
logging.getLogger("livekit").addFilter(Busy())
logging.getLogger("livekit").setLevel(logging.DEBUG)
from utd_rx.rtc.room import UTDRoom
try:
    asyncio.run(join())
except Exception:
    pass
"""

WAITING_AT_THE_END = """
import atexit, ctypes, os, sys, time
from utd_rx.rtc import last_resort, native

last_resort.ENTRY_TIME = last_resort.EXIT_TIMEOUT = 30.0  # whatever the machine does meanwhile
native.sdk()
last_resort.register()
libc, thread = ctypes.PyDLL(None), ctypes.c_ulong()  # which lets nobody in while it calls
told = []

def busy(seconds, is_over=lambda: False):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end and not is_over():
        pass

def somebody_waits():
    return sys._current_exceptions().keys() - sys._current_frames().keys()

def call():
    before = somebody_waits()  # threads of LiveKit's, which keep their places
    libc.pthread_create(ctypes.byref(thread), None, native_thread, None)
    busy(10, lambda: somebody_waits() - before)

@ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
def native_thread(_):
    busy(0.02)  # until the end of the process waits to look again
    told.append(len(told))
    if len(told) < 3:
        call()
    libc.write(1, b"%d" % told[-1], 1)  # os.write would let the end go on before it has written

atexit.register(call)
sys.setswitchinterval(10)
"""

FORKED = """
import asyncio, os, sys, warnings
from types import SimpleNamespace
from utd_rx.rtc import last_resort, native
from utd_rx.rtc.room import UTDRoom

class Joined:
    _ffi_handle = SimpleNamespace(handle=1)

    def isconnected(self):
        return True

async def join():
    async with UTDRoom() as room:
        await room.connect("ws://127.0.0.1:1", "a.b.c")

warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of the fork itself
native.sdk()
joined = Joined()
last_resort.guard(joined)
if os.fork() == 0:
    try:
        asyncio.run(join())
    except Exception as error:
        print(error, flush=True)
    sys.exit()
os._exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_call_under_way_at_the_end_of_the_process_does_not_abort_it() -> None:
    ended = run(CALLED_AT_THE_END)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_who_waits_for_the_interpreter_at_its_end_still_gets_it() -> None:
    """Else its thread would be ended within native code, which aborts the process."""
    ended = run(WAITING_AT_THE_END)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "012", "")


def test_a_forked_child_is_told_why_it_cannot_join_and_ends_in_silence() -> None:
    ended = run(FORKED)
    assert "cannot be used across fork" in ended.stdout
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_token_names_who_joins_where_and_garbage_nobody() -> None:
    assert last_resort.claims(JWT) == ("q", "r")
    for garbage in ("", "x", "a.b.c", "a.eyJ9.c", "a.bnVsbA.c"):
        assert last_resort.claims(garbage) == ("", "")
