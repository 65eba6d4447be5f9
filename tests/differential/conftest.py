"""What differed once and not again is told at the end: chance, or a race to be found."""

from __future__ import annotations

from typing import Final

import pytest

from tests.support.living import none_here

ONCE: Final = "differed once"


@pytest.fixture(autouse=True)
def rooms_that_live_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, in a run for that."""
    none_here(monkeypatch)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.stats.get("passed", []):
        for name, told in report.user_properties:
            if name == ONCE:
                terminalreporter.write_line(f"utd_rx: {report.nodeid} {ONCE}:\n{told}")
