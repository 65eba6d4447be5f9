"""What the processes of an app cost: its own, and those that it started."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.support.processes import descendants

_PSS: Final = re.compile(r"^Pss:\s+(\d+) kB$", re.MULTILINE)
_OWN: Final = re.compile(r"^Pss_(?:Anon|Shmem):\s+(\d+) kB$", re.MULTILINE)


class Tree:
    """A process and those below it; what of their threads has ended counts with its last look."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._used: dict[Path, int] = {}

    def cpu(self) -> float:
        """Return the seconds of CPU they have used; in nanoseconds, not in ticks."""
        for pid in (self._pid, *descendants(self._pid)):
            with suppress(OSError):  # ended meanwhile
                for thread in Path(f"/proc/{pid}/task").iterdir():
                    self._used[thread] = int((thread / "schedstat").read_text().split()[0])
        return sum(self._used.values()) / 1e9

    def memory(self) -> float:
        """Return the memory they have in MB; what several of them share counts once."""
        return self._sum(_PSS)

    def own_memory(self) -> float:
        """Return that without the files they have mapped, of which the kernel drops what is not
        looked at, and of which each has less while others map them, too."""
        return self._sum(_OWN)

    def _sum(self, what: re.Pattern[str]) -> float:
        rollups = [
            Path(f"/proc/{pid}/smaps_rollup").read_text()
            for pid in (self._pid, *descendants(self._pid))
        ]
        return sum(int(found) for rollup in rollups for found in what.findall(rollup)) / 1024


def media_child(pid: int) -> int | None:
    """Return the media process of an app, None where it has none."""
    found = descendants(pid)
    return found[0] if found else None
