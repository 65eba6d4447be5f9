"""Compare `import utd_rx` with `import livekit.rtc`; the target is under two thirds of it.

`utd_rx` loads its parts at their first use, so the cost of the client class is printed beside it:
that is what a program pays before it joins anything. All are timed in fresh
interpreters, in turn, on warm caches; the minimum is the figure least disturbed by the machine's
other work. Run it as `python benchmarks/import_time.py`.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Final

ROUNDS: Final = 15
TARGET: Final = 2 / 3

PROGRAM: Final = """
import time
start = time.perf_counter()
{statement}
print(time.perf_counter() - start)
"""


def seconds(statement: str) -> float:
    """Return how long a fresh interpreter takes for it."""
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(statement=statement)],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(answer.stdout)


def main() -> int:
    """Print the ratio; exit status 1 when it misses the target."""
    statements = ("import utd_rx", "from utd_rx import UTDStreamClient", "import livekit.rtc")
    times: dict[str, list[float]] = {statement: [] for statement in statements}
    for _ in range(ROUNDS + 1):
        for statement in statements:
            times[statement].append(seconds(statement))
    best = {statement: min(taken[1:]) for statement, taken in times.items()}  # the first warm up
    peer = best["import livekit.rtc"]
    for statement, taken in best.items():
        print(f"{statement:36} {taken * 1000:7.1f} ms {taken / peer:6.2f}")
    ratio = best["import utd_rx"] / peer
    print(f"import utd_rx over import livekit.rtc: {ratio:.2f}, target < {TARGET:.2f}")
    return 0 if ratio < TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
