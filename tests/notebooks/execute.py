"""Execute a notebook in a kernel of its own: `python -m tests.notebooks.execute <in> <out>`.

A process of its own, because Jupyter's client leaves threads and ZeroMQ's descriptors to the end of
the process. The kernel's folder is the one this is called in.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import nbformat
from nbclient import NotebookClient

CELL_TIMEOUT: Final = 60
"""Seconds; the longest cell speaks for four."""


def main(source: Path, target: Path) -> None:
    """Execute `source` and write it with its outputs to `target`.

    Raises:
        CellExecutionError: A cell failed; the message shows the cell and its traceback.
    """
    notebook = nbformat.read(source, as_version=nbformat.NO_CONVERT)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    client = NotebookClient(
        notebook, timeout=CELL_TIMEOUT, resources={"metadata": {"path": str(Path.cwd())}}
    )
    client.execute()
    nbformat.write(notebook, target)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
