"""The notebook runs from top to bottom, and shows what it says it does."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[2]
NOTEBOOK: Final = ROOT / "notebooks" / "audio_room.ipynb"

TIMEOUT: Final = 110.0
"""Seconds; about ten are needed."""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """The folder in which the kernel works."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


def code_cells(path: Path) -> dict[str, dict[str, Any]]:
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


STALLS = re.compile(r".*: skipped \d+ ms of sound after a stall of \d+ ms\n")
"""What a busy machine did, and not the notebook."""


def complaints(cell: dict[str, Any]) -> str:
    return STALLS.sub("", printed(cell, "stderr"))


def has_picture(cell: dict[str, Any]) -> bool:
    return any("image/png" in output.get("data", {}) for output in cell["outputs"])


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
        "TMPDIR": str(folder / "tmp"),
        "PYTHONPATH": str(ROOT),
    }
    (folder / "tmp").mkdir()
    inherited = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    return inherited | jupyter


def test_the_notebook_runs_hears_what_was_sent_and_replays_what_it_saw(
    tmp_path: Path, workspace: Path
) -> None:
    executed = tmp_path / "executed.ipynb"
    done = subprocess.run(
        [
            *(sys.executable, "-W", "error", "-m", "tests.notebooks.execute"),
            *(str(NOTEBOOK), str(executed)),
        ],
        cwd=workspace,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    cells = code_cells(executed)
    assert {name: complaints(cell) for name, cell in cells.items()} == dict.fromkeys(cells, "")
    assert "refused: FORBIDDEN" in printed(cells["refusal"])
    assert "the comparison is a match: True" in printed(cells["compare"])
    assert has_picture(cells["plot"])
    assert has_picture(cells["replay"])
    equal = printed(cells["equal"])
    assert "can_publish: [True, False, True]" in equal
    assert "the replay equals the live values: True" in equal
    assert "sami is connected: False" in printed(cells["close"])
    assert "the folder is there: False" in printed(cells["close"])
    assert list(workspace.iterdir()) == []
    assert list((tmp_path / "tmp").iterdir()) == []


def test_the_notebook_is_committed_without_outputs() -> None:
    for cell in code_cells(NOTEBOOK).values():
        assert (cell["outputs"], cell["execution_count"]) == ([], None), cell["id"]
