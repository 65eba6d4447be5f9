"""Tests marked `realtime` run beside a witness, and only what the machine let happen is judged.

A failure of which the witness saw the reason, a machine that stood still, is tried again; after
the last try it is "not judged" and told so with the witness's figures, neither passed nor failed.
A test of many parts, `realtime(alone=True)`, has a witness of its own and tries its parts again:
what it asserts is judged, and it skips as "not judged: …" where too much of it is not.
One that waits for other programs' time-outs, `realtime(waits=True)`, takes no core, has wide bounds
and no witness: `make test-waiting` runs many at a time.
Where the witness was calm a failure is a failure at once. A run in which too much was not judged
has judged nothing, and fails.
"""

from __future__ import annotations

from typing import Final, Protocol

import pytest
from _pytest.runner import runtestprotocol  # as pytest-rerunfailures does

from utd_rx.testing.witness import Witnessed

TRIES: Final = 3
MAX_NOT_JUDGED: Final = 0.25

NOT_JUDGED: Final = "not judged"

NEVER_THE_MACHINE: Final[tuple[type[BaseException], ...]] = (ImportError, NameError, TypeError)
"""What raises these is wrong at any pace, so it is a failure beside any witness."""

_IS_WRONG: Final = pytest.StashKey[bool]()


class Sees(Protocol):
    """Whoever can say what the machine did to real time since the last look."""

    def look(self) -> Witnessed:
        """Return what happened since the last look."""

    def close(self) -> None:
        """Look no more."""


class RealTime:
    """The pytest plugin.

    Args:
        witness: What sees the machine.
        max_not_judged: Share of the tests that ran; more of them and the run fails.
    """

    def __init__(self, witness: Sees, max_not_judged: float = MAX_NOT_JUDGED) -> None:
        self._witness = witness
        self._max_not_judged = max_not_judged

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Give each try the whole time: pytest-timeout would count all of them as one.

        What waits is sorted by media server: neighbours are one worker's, and wait alike.
        """
        for item in items:
            if _mark_of(item) is not None:
                marker = item.get_closest_marker("timeout")
                seconds = marker.args[0] if marker is not None else config.getini("timeout")
                item.add_marker(pytest.mark.timeout(float(seconds), func_only=True), append=False)
        items.sort(key=lambda item: (waits(item), waits(item) and "livekit" in item.keywords))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> bool | None:
        """Run a test up to `TRIES` times."""
        if _mark_of(item) is None:
            return None  # pytest runs it
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        hurts: list[Witnessed] = []
        while True:
            self._witness.look()
            reports = runtestprotocol(item, log=False, nextitem=nextitem)
            seen = self._witness.look()
            is_failed = any(report.failed for report in reports)
            if not is_failed or not seen.is_hurt or item.stash.get(_IS_WRONG, False):
                break
            hurts.append(seen)
            if len(hurts) == TRIES:
                _acquit(reports, hurts)
                break
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """Look at what a test raised."""
        never = NEVER_THE_MACHINE
        marker = _mark_of(item)
        if marker is not None and marker.kwargs.get("alone", False):
            never += (AssertionError,)
        if call.excinfo is not None and isinstance(call.excinfo.value, never):
            item.stash[_IS_WRONG] = True

    def pytest_report_teststatus(
        self, report: pytest.CollectReport | pytest.TestReport
    ) -> tuple[str, str, str] | None:
        """Count what was not judged as that."""
        return (NOT_JUDGED, "?", "NOT JUDGED") if _is_not_judged(report) else None

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Let a run fail that judged too little."""
        terminal = session.config.pluginmanager.get_plugin("terminalreporter")
        if (
            terminal is not None
            and exitstatus == pytest.ExitCode.OK
            and self._is_too_little(terminal)
        ):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name what was not judged."""
        judged, not_judged = _counts(terminalreporter)
        if judged or not_judged:
            for report in terminalreporter.stats.get(NOT_JUDGED, []):
                reason = report.longrepr[2].removeprefix("Skipped: ")
                terminalreporter.write_line(f"NOT JUDGED {report.nodeid}: {reason}")
            line = f"realtime: {judged} tests judged, {not_judged} not judged"
            if self._is_too_little(terminalreporter):
                line += f": more than {self._max_not_judged:.0%}, so the run fails"
            terminalreporter.write_line(line)

    def pytest_unconfigure(self) -> None:
        """Send the witness away."""
        self._witness.close()

    def _is_too_little(self, terminal: pytest.TerminalReporter) -> bool:
        judged, not_judged = _counts(terminal)
        return not_judged > self._max_not_judged * (judged + not_judged)


def waits(item: pytest.Item) -> bool:
    """Say whether a test waits for other programs."""
    marker = item.get_closest_marker("realtime")
    return marker is not None and marker.kwargs.get("waits", False)


def _mark_of(item: pytest.Item) -> pytest.Mark | None:
    """Return the mark of what runs beside the witness."""
    return None if waits(item) else item.get_closest_marker("realtime")


def _acquit(reports: list[pytest.TestReport], hurts: list[Witnessed]) -> None:
    """Turn the first failure among the reports of a test into "not judged", and drop the others."""
    is_told = False
    for report in reports:
        if report.failed and is_told:
            report.outcome = "passed"
        elif report.failed:
            lines = report.longreprtext.strip().splitlines()
            message = next(
                (line[1:].strip() for line in lines if line.startswith("E  ")), lines[-1]
            )
            reason = f"not judged: {'; '.join(map(str, hurts))}: {message}"
            # In the form of a skip, which junitxml knows.
            report.longrepr = (report.location[0], report.location[1] or 0, reason)
            report.outcome = "skipped"
            is_told = True


def _is_not_judged(report: pytest.CollectReport | pytest.TestReport) -> bool:
    return (
        report.outcome == "skipped"
        and isinstance(report.longrepr, tuple)
        and report.longrepr[2].removeprefix("Skipped: ").startswith("not judged: ")
    )


def _counts(terminal: pytest.TerminalReporter) -> tuple[int, int]:
    """Return how many tests were judged, and how many not."""
    ran = [
        report for kind in ("passed", "failed", "error") for report in terminal.stats.get(kind, [])
    ]
    # A collection that failed has no keywords.
    judged = {r.nodeid for r in ran if "realtime" in getattr(r, "keywords", ())}
    return len(judged), len(terminal.stats.get(NOT_JUDGED, []))
