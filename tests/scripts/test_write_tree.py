"""docs/tree.md is what the modules say of themselves."""

from __future__ import annotations

from scripts.write_tree import PAGE, ROOT, tree


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == tree(), "run python scripts/write_tree.py"


def test_every_module_says_what_it_is_in_one_sentence() -> None:
    rows = [line for line in tree().splitlines() if line.startswith("| `")]
    assert len(rows) == len(list((ROOT / "utd_rx").rglob("*.py")))
    assert [row for row in rows if row.endswith("|  |")] == []
