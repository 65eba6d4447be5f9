"""The examples of the guides, to be run by tests."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

_DOCS: Final = Path(__file__).parents[2] / "docs"


def names_of(page: str) -> dict[str, Any]:
    """Return what the one example of `docs/<page>` defines."""
    path = _DOCS / page
    [example] = re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
    found: dict[str, Any] = {}
    exec(compile(example, str(path), "exec"), found)
    return found
