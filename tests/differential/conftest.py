"""What differed once and not again is told at the end: chance, or a race to be found."""

from __future__ import annotations

from typing import Final

import pytest

ONCE: Final = "differed once"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.stats.get("passed", []):
        for name, told in report.user_properties:
            if name == ONCE:
                terminalreporter.write_line(f"utd_rx: {report.nodeid} {ONCE}:\n{told}")
