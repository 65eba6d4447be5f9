"""Values as a notebook shows them: `_repr_html_`, everything escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from html import escape
from typing import Final

from utd_rx.models.secrets import printable

MAX_ROWS: Final = 50
"""Rows of a table that are shown; a room may have 10,000 people."""

MAX_TEXT: Final = 200
"""Characters of a text that are shown."""


def table(rows: Iterable[Sequence[object]], head: Sequence[str] = ()) -> str:
    """Return a table of values, by their own `_repr_html_` where they have one."""
    every = list(rows)
    parts = [_row("th", head)] if head else []
    parts += [_row("td", row) for row in every[:MAX_ROWS]]
    if len(every) > MAX_ROWS:
        parts.append(_row("td", [f"… and {len(every) - MAX_ROWS:,} more"]))
    return f"<table>{''.join(parts)}</table>"


def cell(value: object) -> str:
    """Return one value: its own form, those of a tuple's values, or its text."""
    form = getattr(value, "_repr_html_", None)
    if form is not None:
        return str(form())
    match value:
        case None | ():
            return "—"
        case bool():
            return "yes" if value else "no"
        case Enum():
            return cell(value.value)
        case tuple():
            shown = [cell(one) for one in value[:MAX_ROWS]]
            more = len(value) - len(shown)
            return "<br>".join([*shown, f"… and {more:,} more"] if more else shown)
    text = str(value)
    told = printable(text[:MAX_TEXT])
    return escape(told if len(text) <= MAX_TEXT else told + "…")


def _row(tag: str, values: Iterable[object]) -> str:
    return f"<tr>{''.join(f'<{tag}>{cell(value)}</{tag}>' for value in values)}</tr>"
