"""The pytest plugin: what it tells of failing tests, what it finds left behind, what it brings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from utd_rx.testing import leaks, pictures, unknown

pytestmark = pytest.mark.long

Run = Callable[[str], pytest.RunResult]

PLUGIN = "utd_rx.testing.pytest_plugin"

SHARED = leaks, pictures, unknown
"""Modules that the inner runs are to find loaded: what they load themselves is unloaded again."""


class Keeper:
    """A plugin with the fixture `kept`."""

    def __init__(self, kept: list[Any]) -> None:
        self._kept = kept

    @pytest.fixture
    def kept(self) -> list[Any]:
        return self._kept


@pytest.fixture
def kept() -> Iterator[list[Any]]:
    """What inner tests leave behind; it is put away in the end."""
    kept: list[Any] = []
    yield kept
    for one in kept:
        one.close()


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, kept: list[Any]) -> Run:
    """Run a file of tests with the plugin, and little patience for what is left behind."""
    monkeypatch.setattr(leaks, "PATIENCE", 0.1)
    pytester.makeini(
        "[pytest]\naddopts = --strict-markers\nasyncio_mode = auto\n"
        "asyncio_default_fixture_loop_scope = function"
    )

    def run(source: str) -> pytest.RunResult:
        pytester.makepyfile(source)
        plugins = [Keeper(kept)]
        return pytester.runpytest_inprocess(
            "-p", "no:cacheprovider", "-p", PLUGIN, "-p", "no:xdist", plugins=plugins
        )

    return run


def test_a_failing_test_shows_what_its_streams_did(run: Run) -> None:
    result = run(
        """
        from utd_rx.state import Store
        from utd_rx.testing.clock import FakeClock
        from utd_rx.testing.marbles import assert_timeline, record

        def test_it():
            clock, store = FakeClock(), Store("off", lambda _, item: item)
            light = store.select(lambda value: value, name="light")
            record(light, now=clock.now)
            clock.advance(60)
            store.dispatch("on")
            assert_timeline(light, "a-b", values={"a": "off", "b": "on"})

        def test_passes():
            pass
        """
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([
        "E*AssertionError: 'light' took 'b' at 60 s, not at 2 s",
        "E*expected  a-b",
        "E*was       a 59s b",
        "*utd_rx: what happened*",
        "seconds  0  60",
        "light    a--b-*a 'off', b 'on'",
    ])  # fmt: skip


def test_what_was_recorded_in_one_test_is_not_shown_in_the_next(run: Run) -> None:
    result = run(
        """
        from utd_rx.state import Store
        from utd_rx.testing.marbles import record

        async def test_one():
            record(Store(1, lambda _, item: item).select(lambda value: value, name="light"))

        def test_two():
            assert False
        """
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.no_fnmatch_line("*what happened*")


def test_what_cannot_be_drawn_hides_no_failure(run: Run) -> None:
    result = run(
        """
        from utd_rx.testing import pictures

        class Broken:
            def rows(self):
                raise ValueError("broken")

        def test_it():
            pictures.WATCHED.append(Broken())
            assert 1 == 2
        """
    )
    result.stdout.fnmatch_lines(["E*assert 1 == 2", "no picture: ValueError: broken"])


def test_a_fake_says_what_it_was_asked_in_vain(run: Run) -> None:
    result = run(
        """
        from contextlib import suppress
        from utd_rx.testing.engine import FakeEngine
        from utd_rx.testing.room import FakeRoom
        from utd_rx.testing.stage import FakeStageEngine

        def test_it():
            with suppress(AttributeError):
                FakeEngine(FakeRoom("me")).get_stage
            raise TimeoutError
        """
    )
    result.stdout.fnmatch_lines(
        ["FakeEngine was asked 'get_stage', which it does not know: take FakeStageEngine"]
    )


LEAKING = """
import asyncio, contextlib, socket, threading
import pytest

{mark}
class Test:
    async def test_task(self, kept):
        never = asyncio.Event()
        task = asyncio.create_task(never.wait(), name="forgotten")
        kept.append(contextlib.ExitStack())
        kept[-1].callback(task.done)

    def test_thread(self, kept):
        end = threading.Event()
        threading.Thread(target=end.wait, name="lost").start()
        kept.append(contextlib.ExitStack())
        kept[-1].callback(end.set)

    def test_socket(self, kept):
        kept.append(socket.create_server(("127.0.0.1", 0)))

    def test_clean(self):
        pass
"""


def test_a_marked_test_that_leaves_something_behind_fails(run: Run) -> None:
    result = run(LEAKING.format(mark="@pytest.mark.utd_no_leaks"))
    result.assert_outcomes(passed=4, errors=3)
    result.stdout.fnmatch_lines_random(
        ["  task forgotten: *", "  thread lost", "  descriptor *: tcp port *"]
    )


def test_others_are_not_looked_after(run: Run) -> None:
    run(LEAKING.format(mark="")).assert_outcomes(passed=4)


def test_a_world_is_there_and_what_became_of_it_is_shown(run: Run) -> None:
    result = run(
        """
        def test_it(utd_world):
            anna = utd_world.join_audio_room("anna", host=True, seats=3)
            utd_world.advance(3)
            utd_world.run(anna.take_seat(1))
            assert anna.my_seat.value is None

        async def test_in_a_coroutine(utd_world):
            pass
        """
    )
    result.assert_outcomes(failed=1, errors=1)
    result.stdout.fnmatch_lines([
        "utd_world brings a loop of its own: write `def` and world.run*",
        "*utd_rx: what happened*",
        "seconds *0  *3*",
        "anna.seats *, ? [[]– anna –*",
        "anna asked *take_seat(1)*",
    ])  # fmt: skip


def test_the_engine_and_a_client_of_it_are_there(run: Run) -> None:
    run(
        """
        async def test_it(utd_engine, utd_client):
            await utd_client.authenticate("anna")
            assert utd_client.identity == "anna"
            assert utd_engine.base_url.startswith("http://127.0.0.1:")
        """
    ).assert_outcomes(passed=1)


def test_a_suite_is_run_in_strict_mode_as_well(pytester: pytest.Pytester) -> None:
    """Which is what pytest-asyncio does where nobody chose."""
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    pytester.makepyfile(
        """
        import pytest
        from utd_rx.testing.contracts.room import RoomContract
        from utd_rx.testing.contracts.room_bench import RoomBench
        from utd_rx.testing.room import FakeRoom

        class Server:
            url, token, identity = "ws://127.0.0.1:1", "token", "me"

        class TestFakeRoom(RoomContract):
            @pytest.fixture
            def bench(self):
                return RoomBench(FakeRoom("me"), Server())
        """
    )
    plugins = "-p", "no:cacheprovider", "-p", PLUGIN, "-p", "no:xdist"
    result = pytester.runpytest_inprocess(*plugins, "-k", "refused_at_once")
    result.assert_outcomes(passed=1, deselected=result.parseoutcomes()["deselected"])


def test_loading_it_costs_little(pytester: pytest.Pytester) -> None:
    path = pytester.makepyfile(
        loading=f"""
        import sys
        import pytest
        before = set(sys.modules)
        import {PLUGIN}
        new = {{name.partition(".")[0] for name in set(sys.modules) - before}}
        heavy = "aiohttp attrs hypothesis livekit numpy reactivex".split()
        print(new.intersection(heavy))
        """
    )
    assert pytester.runpython(path).outlines == ["set()"]
