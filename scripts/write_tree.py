"""Write docs/tree.md: every module of utd_rx with its first line, and how long it is.

python scripts/write_tree.py            write it
python scripts/write_tree.py --check    say whether it is what it should be
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "tree.md"
HEAD = """# The tree

Every module with the first line of its docstring, written by `python scripts/write_tree.py` and
held by `tests/scripts/test_write_tree.py`. What the folders are to each other is in
[architecture.md](architecture.md).
"""


def tree() -> str:
    """Return the page."""
    lines = [HEAD]
    files = sorted((ROOT / "utd_rx").rglob("*.py"))
    for folder in sorted({file.parent for file in files}):
        lines.append(f"## `{folder.relative_to(ROOT)}/`\n\n| file | |\n| --- | --- |")
        lines += [_row(file) for file in files if file.parent == folder]
        lines.append("")
    return "\n".join(lines)


def _row(file: Path) -> str:
    docstring = ast.get_docstring(ast.parse(file.read_text())) or ""
    first = docstring.split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
    return f"| `{file.name}` | {first} |"


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(PAGE.read_text() != tree())
    PAGE.write_text(tree())
