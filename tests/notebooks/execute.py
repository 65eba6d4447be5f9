"""Execute a notebook in a kernel of its own: `python -m tests.notebooks.execute <in> <out> [2]`.

A process of its own, because Jupyter's client leaves threads and ZeroMQ's descriptors to the end of
the process. The kernel's folder is the one this is called in. With `<out>` the same as `<in>` it
brings the outputs up to date that are committed. With a 2 each cell is run twice, as by a reader
who changes it.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Final

import nbformat
from nbclient import NotebookClient

WIDGET: Final = "application/vnd.jupyter.widget-view+json"

CELL_TIMEOUT: Final = 60
"""Seconds; the longest cell speaks for five."""


def main(source: Path, target: Path, times: int = 1) -> None:
    """Execute `source` and write it with its outputs, and nothing else new, to `target`.

    Raises:
        CellExecutionError: A cell failed; the message shows the cell and its traceback.
    """
    notebook = nbformat.read(source, as_version=nbformat.NO_CONVERT)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    about = copy.deepcopy(notebook.metadata)
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(Path.cwd())}},
    )
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            for _ in range(times):
                client.execute_cell(cell, index)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET, None)  # which ends with the kernel
    notebook.metadata = about  # not the kernel's version
    nbformat.write(notebook, target)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))
