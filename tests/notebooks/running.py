"""Runs a notebook as a reader does, and reads what its cells printed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from utd_rx.audio.pacer import SKIPPED

ROOT: Final = Path(__file__).parents[2]
NOTEBOOKS: Final = ROOT / "notebooks"

TIMEOUT: Final = 110.0
"""Seconds; about ten are needed."""

STALLS: Final = re.compile(re.sub("%[sd]", ".*", re.escape(SKIPPED)) + "\n")
"""What a busy machine did, and not the notebook."""

Cells = dict[str, dict[str, Any]]


def execute(name: str, folder: Path, times: int = 1) -> Cells:
    """Run `notebooks/<name>` in an empty folder below `folder`, and return its code cells.

    Nothing is said on standard error, and nothing is left behind. Each cell is run so many `times`,
    and the last time counts.
    """
    workspace, temporary = folder / "workspace", folder / "tmp"
    workspace.mkdir()
    executed = folder / "executed.ipynb"
    done = subprocess.run(
        [
            *(sys.executable, "-W", "error", "-m", "tests.notebooks.execute"),
            *(str(NOTEBOOKS / name), str(executed), str(times)),
        ],
        cwd=workspace,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    cells = code_cells(executed)
    complaints = {name: STALLS.sub("", printed(cell, "stderr")) for name, cell in cells.items()}
    assert complaints == dict.fromkeys(cells, "")
    assert list(workspace.iterdir()) == []
    assert list(temporary.iterdir()) == []
    return cells


def code_cells(path: Path) -> Cells:
    """Return the code cells of a notebook by their ids."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return {cell["id"]: cell for cell in cells if cell["cell_type"] == "code"}


def printed(cell: dict[str, Any], name: str = "stdout") -> str:
    """Return what a cell printed."""
    return "".join(
        text
        for output in cell["outputs"]
        if output["output_type"] == "stream" and output["name"] == name
        for text in output["text"]
    )


def shown(cells: Cells) -> dict[str, tuple[str, bool]]:
    """What each cell prints, without figures, and whether it draws."""
    return {
        name: (re.sub(r"\d[\d., ]*", "#", printed(cell)), has_picture(cell))
        for name, cell in cells.items()
    }


def has_picture(cell: dict[str, Any]) -> bool:
    """Whether a cell shows a picture: of matplotlib, or of streams."""
    kinds = {kind for output in cell["outputs"] for kind in output.get("data", {})}
    return not kinds.isdisjoint(("image/png", "image/svg+xml"))


def environment(folder: Path) -> dict[str, str]:
    """Return an environment in which all that Jupyter keeps is kept in `folder`."""
    jupyter = {
        "JUPYTER_PLATFORM_DIRS": "1",
        "JUPYTER_NO_CONFIG": "1",
        "JUPYTER_CONFIG_DIR": str(folder / "jupyter"),
        "JUPYTER_DATA_DIR": str(folder / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "IPYTHONDIR": str(folder / "ipython"),
        "MPLCONFIGDIR": str(folder / "matplotlib"),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "hypothesis"),
        "TMPDIR": str(folder / "tmp"),
        "PYTHONPATH": str(ROOT),
    }
    (folder / "tmp").mkdir()
    inherited = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    return inherited | jupyter
