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

FORKED = """
import asyncio, os, sys
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


def test_a_forked_child_is_told_why_it_cannot_join_and_ends_in_silence() -> None:
    ended = run(FORKED)
    assert "cannot be used across fork" in ended.stdout
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_token_names_who_joins_where_and_garbage_nobody() -> None:
    assert last_resort.claims(JWT) == ("q", "r")
    for garbage in ("", "x", "a.b.c", "a.eyJ9.c", "a.bnVsbA.c"):
        assert last_resort.claims(garbage) == ("", "")
