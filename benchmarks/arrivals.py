"""What 10,000 arrivals cost who is in the room: `python -m benchmarks.arrivals [--rounds N]`.

A media server, behind a proxy that makes the people up (`tests.hostile.lying_server`), says of
10,000 that they have arrived, as fast as it can, to a client that has just joined: to bare
`livekit`, to `UTDRoom`, and to a session whose `remote_participants` are observed; each in a
process of its own, one after the other. Reported is when everybody was known, and how long the
client's loop stood still at a time, at the longest: in seconds, which other programs lengthen for
all three, and in CPU seconds of the loop's thread. Target: all known, no stall over 0.1 s of CPU.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
from typing import Any, Final
from urllib.parse import quote

from livekit import api

from benchmarks.arrivals_peers import CONTENDERS
from benchmarks.support import status_of
from tests.hostile.lies import liar
from tests.hostile.server_lies import ARRIVALS

LIE: Final = "10,000 arrive"
MAX_STALL: Final = 0.1


async def arrive(contender: str, url: str, token: str) -> dict[str, Any]:
    """Return the figures of one client."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.arrivals_peers", contender),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    told = json.dumps({"url": url, "token": token, "people": ARRIVALS})
    out, _ = await process.communicate(told.encode() + b"\n")
    figures: dict[str, Any] = json.loads(out)
    return figures


async def run(rounds: int) -> None:
    """Measure all of them in turn."""
    key = {"api_key": "key", "api_secret": secrets.token_hex(16)}
    print(f"{'':8} {'known':>6} {'after s':>8} {'CPU s':>6} {'stall s':>8} {'of CPU':>7}")
    is_good = True
    async with liar("tests.hostile.lying_server", kind="embedded", **key) as server:
        for number in range(rounds):
            for contender in CONTENDERS:
                grants = api.VideoGrants(room_join=True, room=f"{contender}-{number}")
                token = api.AccessToken(*key.values()).with_identity("me").with_grants(grants)
                url = f"{server.ready['lying']}/{quote(LIE)}"
                got = await arrive(contender, url, token.to_jwt())
                print(
                    f"{contender:8} {got['known']:6} {got['seconds']:8.1f} {got['cpu']:6.1f} "
                    f"{got['stall']:8.3f} {got['busy']:7.3f}",
                    flush=True,
                )
                if contender != "bare":
                    is_good &= got["known"] == ARRIVALS and got["busy"] <= MAX_STALL
    print(f"all known, no stall over {MAX_STALL:g} s of CPU: {'yes' if is_good else 'NO'}")


def main() -> int:
    """Run it; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2)
    return status_of(run(parser.parse_args().rounds))


if __name__ == "__main__":
    sys.exit(main())
