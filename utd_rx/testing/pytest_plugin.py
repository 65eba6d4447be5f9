"""The pytest plugin, loaded wherever utd_rx is installed: fixtures, leak checks and pictures.

| | |
| --- | --- |
| `utd_world` | a `FakeWorld`: people in genuine sessions on virtual time, without a network |
| `utd_engine` | a local engine with its SFU on free ports, for tests that want the real thing |
| `utd_client` | a `UTDStreamClient` of that engine |
| `@pytest.mark.utd_no_leaks` | fails a test that leaves tasks, threads or sockets behind |

A test that fails shows what was recorded and what became of the sessions of its world as a marble
diagram, and which fake was asked what it does not know. Until something of utd_rx is used the
plugin costs an import of pytest.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import AsyncIterator, Generator, Iterator
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from utd_rx.client import UTDStreamClient
    from utd_rx.engine import EngineOptions, LocalEngine
    from utd_rx.testing.leaks import LeakGuard
    from utd_rx.testing.world.world import FakeWorld

try:
    from pytest_asyncio import fixture as async_fixture
except ImportError:  # another plugin, as anyio's, may serve those of pytest
    async_fixture = pytest.fixture  # type: ignore[assignment] # alike for this purpose

NO_LEAKS: Final = "utd_no_leaks"
"""The mark."""


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of the mark."""
    config.addinivalue_line(
        "markers", f"{NO_LEAKS}: fails when it leaves tasks, threads or sockets behind (utd_rx)"
    )


# --- what happened ----------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin a new page: what is shown is of this test."""
    if _is_used("marbles"):
        from utd_rx.testing import pictures

        pictures.begin()
    if _is_used("unknown"):
        from utd_rx.testing import unknown

        unknown.ASKED.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what happened in a test that failed."""
    report = yield
    if report.failed:
        report.sections += _sections()
    return report


def _sections() -> Iterator[tuple[str, str]]:
    if _is_used("unknown"):
        from utd_rx.testing import unknown

        if unknown.ASKED:
            yield "utd_rx: asked in vain", "\n".join(dict.fromkeys(unknown.ASKED))
    if _is_used("marbles"):
        from utd_rx.testing import pictures

        try:
            picture = pictures.picture(pictures.rows())
        except Exception as error:  # noqa: BLE001 - it must not take the failure's place
            picture = f"no picture: {type(error).__name__}: {error}"
        if picture:
            yield "utd_rx: what happened", picture


def _is_used(name: str) -> bool:
    """Whether a test has loaded a module of the kit; there is nothing to tell of others."""
    return f"utd_rx.testing.{name}" in sys.modules


# --- fixtures ---------------------------------------------------------------------------------


@pytest.fixture
def utd_world(request: pytest.FixtureRequest) -> Iterator[FakeWorld]:
    """A `FakeWorld` of its own for each test, which is a plain function: it brings its own loop."""
    from utd_rx.testing import FakeWorld

    if _is_async(request):
        pytest.fail(
            "utd_world brings a loop of its own: write `def` and world.run(…), or, for coroutines, "
            "run_virtual(main()) and `async with FakeWorld.on_loop() as world`",
            pytrace=False,
        )
    with FakeWorld() as world:
        yield world


@pytest.fixture
def utd_engine_options() -> EngineOptions:
    """Options of `utd_engine`; override it for other ones."""
    from utd_rx.engine import EngineOptions

    return EngineOptions()


@async_fixture
async def utd_engine(utd_engine_options: EngineOptions) -> AsyncIterator[LocalEngine]:
    """A `LocalEngine` with an SFU, on free ports of this machine (extra `engine`)."""
    from utd_rx.engine import LocalEngine

    async with LocalEngine(utd_engine_options) as engine:
        yield engine


@async_fixture
async def utd_client(utd_engine: LocalEngine) -> AsyncIterator[UTDStreamClient]:
    """A client of `utd_engine`, signed in as nobody yet."""
    from utd_rx.client import UTDStreamClient

    async with UTDStreamClient(**utd_engine.credentials) as client:
        yield client


# --- leaks ------------------------------------------------------------------------------------

_GUARD: Final[pytest.StashKey[LeakGuard]] = pytest.StashKey()


@pytest.hookimpl(trylast=True)
def pytest_itemcollected(item: pytest.Item) -> None:
    """Have the marked ones looked after before their own fixtures are set up, and afterwards."""
    if item.get_closest_marker(NO_LEAKS) is not None and isinstance(item, pytest.Function):
        item.fixturenames.insert(0, "_utd_no_leaks")


@pytest.fixture
def _utd_no_leaks(request: pytest.FixtureRequest) -> None:
    from utd_rx.testing.leaks import LeakGuard

    if _GUARD not in request.config.stash:  # making one reads all tables of sockets
        request.config.stash[_GUARD] = LeakGuard()
    where = "in_loop" if _is_async(request) else "outside"
    request.getfixturevalue(f"_utd_no_leaks_{where}")


@async_fixture
async def _utd_no_leaks_in_loop(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    from utd_rx.testing.leaks import Snapshot

    before = Snapshot.take()
    yield
    _fail_on(await request.config.stash[_GUARD].wait(before))


@pytest.fixture
def _utd_no_leaks_outside(request: pytest.FixtureRequest) -> Iterator[None]:
    from utd_rx.testing.leaks import Snapshot

    before = Snapshot.take()
    yield
    _fail_on(request.config.stash[_GUARD].wait_blocking(before))


def _fail_on(leaks: list[str]) -> None:
    if leaks:
        pytest.fail("the test left behind:\n  " + "\n  ".join(sorted(leaks)), pytrace=False)


def _is_async(request: pytest.FixtureRequest) -> bool:
    return inspect.iscoroutinefunction(getattr(request, "function", None))
