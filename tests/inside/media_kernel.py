"""A Jupyter kernel with a program of a room in a cell; in a process of its own, since Jupyter's
client leaves threads and descriptors to the end of it.

It prints the kernel's process once the cell has joined, and at each line of input does what that
says: "restart" as the button does, "kill" as a kernel that ran out of memory, "end".
"""

from __future__ import annotations

import json
import sys
from typing import Any

from jupyter_client.manager import KernelManager

CELL = """
from utd_rx import ToneSource, open_room
joining = open_room({url!r}, {token!r}, microphone=ToneSource(440))
room = await joining.__aenter__()
await room.set_microphone(True)
"""

PATIENCE = 60


def pid_of(kernel: KernelManager) -> int:
    provisioner: Any = kernel.provisioner
    return int(provisioner.pid)


def main(url: str, token: str) -> None:
    kernel = KernelManager()
    kernel.start_kernel()
    try:
        client = kernel.client()
        client.start_channels()
        client.wait_for_ready(timeout=PATIENCE)
        reply = client.execute_interactive(CELL.format(url=url, token=token), timeout=PATIENCE)
        assert reply["content"]["status"] == "ok", reply
        print(json.dumps(pid_of(kernel)), flush=True)
        while (what := sys.stdin.readline().strip()) not in ("", "end"):
            kernel.restart_kernel(now=what == "kill")
            client.wait_for_ready(timeout=PATIENCE)
            print(json.dumps(pid_of(kernel)), flush=True)
        client.stop_channels()
    finally:
        kernel.shutdown_kernel(now=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
