"""What a cell has made ends when the cell is run again, and at no other time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from utd_rx.notebook.cells import until_run_again

MAKE = """
from utd_rx.notebook.cells import until_run_again
until_run_again(lambda ended=ended: ended.append(%r))
"""


class Notebook(InteractiveShell):
    """A shell that says which cell it runs, as a kernel's does."""

    def get_parent(self) -> dict[str, Any]:
        return {"metadata": {"cellId": self.id or None}, "content": {"code": self.source}}

    def run(self, source: str, id: str = "") -> None:  # noqa: A002 - nbformat's word
        self.source, self.id = source, id
        done: Any = self.run_cell(source, cell_id=id or None)  # type: ignore[no-untyped-call] # IPython
        done.raise_error()


@pytest.fixture
def notebook(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    InteractiveShell.clear_instance()
    # History would be a thread and a file.
    shell = Notebook.instance(config=Config({"HistoryManager": {"enabled": False}}))
    shell.user_ns["ended"] = []
    yield shell
    Notebook.clear_instance()


@pytest.mark.parametrize("ids", [("", ""), ("one", "two")])
def test_a_cell_that_is_run_again_ends_what_it_made_and_nothing_else(
    notebook: Notebook, ids: tuple[str, str]
) -> None:
    ended = notebook.user_ns["ended"]
    notebook.run(MAKE % "first", ids[0])
    notebook.run(MAKE % "second", ids[1])
    assert ended == []
    notebook.run(MAKE % "first", ids[0])
    assert ended == ["first"]
    notebook.run(MAKE % "first", ids[0])
    assert ended == ["first", "first"]


def test_a_cell_that_was_changed_is_the_same_cell_to_who_knows_its_id(notebook: Notebook) -> None:
    notebook.run(MAKE % "before", "one")
    notebook.run("pass", "one")
    assert notebook.user_ns["ended"] == ["before"]


def test_all_that_one_cell_made_ends_with_it(notebook: Notebook) -> None:
    notebook.run(f"{MAKE % 'one'}\n{MAKE % 'two'}")
    notebook.run(f"{MAKE % 'one'}\n{MAKE % 'two'}")
    assert notebook.user_ns["ended"] == ["one", "two"]


def test_outside_a_notebook_nothing_ends() -> None:
    ended: list[str] = []
    until_run_again(lambda: ended.append("never"))
    assert ended == []
