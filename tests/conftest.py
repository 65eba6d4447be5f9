"""Fixtures of every test: the SFU in both kinds, the leak guard, Hypothesis profiles, the tally."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.support.living import VARIABLE
from tests.support.realtime import MAX_NOT_JUDGED, RealTime
from tests.support.sfu import (
    MISSING_LIVEKIT,
    RunningSfu,
    SfuKind,
    fresh_options,
    is_livekit_missing,
    is_livekit_required,
    running_sfu,
)
from tests.support.witness import SoundWitness
from utd_rx.testing.pytest_plugin import NO_LEAKS

# What a shell starts in the background ignores it, and so would every program that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

if TYPE_CHECKING:
    from utd_rx.engine.sfu.options import SfuOptions

# No deadline anywhere: a test machine's cores are shared, and a slow example is no defect.
# The examples of "dev" and "ci" are what a green in five minutes leaves time for; the nightly run
# has a hundred times as many.
settings.register_profile("dev", deadline=None, max_examples=50)
settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,  # new examples are the nightly run's: what is red here is red for everybody
    max_examples=50,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "nightly",
    deadline=None,
    max_examples=5_000,
    stateful_step_count=200,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(
    os.environ.get("UTD_RX_HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev")
)


def pytest_configure(config: pytest.Config) -> None:
    """Have the tests that are bound to real time run beside a witness; media are inline unless the
    environment says otherwise, as `make test-process` does."""
    os.environ.setdefault(VARIABLE, "inline")
    most = float(os.environ.get("UTD_RX_MAX_NOT_JUDGED", MAX_NOT_JUDGED))
    config.pluginmanager.register(RealTime(SoundWitness(), most))


def pytest_itemcollected(item: pytest.Item) -> None:
    """Fail every test that leaves tasks, threads or descriptors behind."""
    item.add_marker(NO_LEAKS)


@pytest.fixture(
    params=[
        pytest.param("embedded", marks=pytest.mark.embedded),
        pytest.param("livekit", marks=pytest.mark.livekit),
    ]
)
def sfu_kind(request: pytest.FixtureRequest) -> SfuKind:
    """Run the test once on each SFU."""
    kind: SfuKind = request.param
    if kind == "livekit" and is_livekit_missing():
        if is_livekit_required():
            pytest.fail(MISSING_LIVEKIT)
        pytest.skip(MISSING_LIVEKIT)
    return kind


@pytest.fixture
def sfu_options() -> SfuOptions:
    """Options of the SFU under test; override it for other ones."""
    return fresh_options()


@pytest.fixture
async def sfu(sfu_kind: SfuKind, sfu_options: SfuOptions) -> AsyncIterator[RunningSfu]:
    """A fresh SFU with rooms of its own, on the test's event loop."""
    async with running_sfu(sfu_kind, sfu_options) as running:
        yield running


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests ran on each SFU, and how many did not for want of livekit-server."""
    stats = terminalreporter.stats
    ran = [report for kind in ("passed", "failed") for report in stats.get(kind, [])]
    ran = [report for report in ran if report.when == "call"]
    embedded = sum("embedded" in report.keywords for report in ran)
    livekit = sum("livekit" in report.keywords for report in ran)
    skipped = sum(
        "livekit" in report.keywords and MISSING_LIVEKIT in str(report.longrepr)
        for report in stats.get("skipped", [])
    )
    line = f"utd_rx: {embedded} tests on the embedded SFU, {livekit} on livekit-server"
    if skipped:
        line += f", {skipped} skipped: {MISSING_LIVEKIT}"
    terminalreporter.write_line(line)
