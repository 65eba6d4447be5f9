"""A test bound to real time is judged only by what the machine let happen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from tests.support.realtime import MAX_NOT_JUDGED, TRIES, RealTime
from tests.support.witness import SoundWitness
from utd_rx.testing.witness import MAX_LATE, Witnessed

CALM = Witnessed(0.001, 0.002, 0.009)
HURT = Witnessed(0.08, 0.002, 0.009)

Run = Callable[..., pytest.RunResult]


class FakeWitness:
    """Tells of each try what the test wants it to have seen."""

    def __init__(self, seen: Sequence[Witnessed]) -> None:
        self.seen = list(seen)
        self.looks = 0
        self.is_closed = False

    def look(self) -> Witnessed:
        self.looks += 1
        return CALM if self.looks % 2 else self.seen.pop(0)  # what was before a try is no matter

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run a file of tests; each `fails(n)` in it fails the first `n` times."""
    pytester.makeini("[pytest]\naddopts = -ra\ntimeout = 60\nmarkers = realtime")
    pytester.makeconftest(
        """
        import itertools, pytest
        counts = {}

        @pytest.fixture
        def fails(request):
            def fail(times):
                count = counts.setdefault(request.node.nodeid, itertools.count())
                assert next(count) >= times, "too late"
            fail.marker = request.node.get_closest_marker("timeout")
            fail.count = lambda: next(counts.setdefault(request.node.nodeid, itertools.count()))
            return fail
        """
    )

    def run(
        *seen: Witnessed, most: float = MAX_NOT_JUDGED, how: str = "", **tests: str
    ) -> pytest.RunResult:
        marked = "".join(
            f"@pytest.mark.realtime{how}\ndef test_{name}(fails):\n    {body}\n\n"
            for name, body in tests.items()
        )
        pytester.makepyfile("import pytest\n\n" + marked)
        witness = FakeWitness(seen)
        result = pytester.runpytest_inprocess(
            "-p", "no:cacheprovider", "-p", "no:asyncio", plugins=[RealTime(witness, most)]
        )
        assert witness.is_closed
        assert witness.seen == []
        return result

    return run


def test_what_passes_passes_however_the_machine_was(run: Run) -> None:
    result = run(HURT, CALM, one="pass", other="pass")
    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines("realtime: 2 tests judged, 0 not judged")


def test_a_failure_beside_a_calm_witness_is_one_at_once(run: Run) -> None:
    result = run(CALM, one="fails(1)")
    result.assert_outcomes(failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines("realtime: 1 tests judged, 0 not judged")


def test_what_no_machine_can_bring_about_is_a_failure_at_once(run: Run) -> None:
    run(HURT, one="len(7)").assert_outcomes(failed=1)


@pytest.mark.parametrize(
    ("seen", "body", "outcomes"),
    [
        ([HURT], "fails(9)", {"failed": 1}),
        ([HURT, CALM], "if fails.count() == 0: raise TimeoutError", {"passed": 1}),
    ],
)
def test_of_what_judges_itself_assertions_are_final(
    run: Run, seen: list[Witnessed], body: str, outcomes: dict[str, int]
) -> None:
    run(*seen, how="(alone=True)", one=body).assert_outcomes(**outcomes)


def test_what_judges_itself_says_that_it_could_not(run: Run) -> None:
    others = dict.fromkeys(("b", "c", "d"), "pass")
    result = run(*[CALM] * 4, how="(alone=True)", a="pytest.skip('not judged: 9 of 9')", **others)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["NOT JUDGED *::test_a: not judged: 9 of 9", "realtime: 3 tests judged, 1 not judged"]
    )


def test_a_failure_beside_a_hurt_witness_is_tried_again(run: Run) -> None:
    result = run(HURT, CALM, one="fails(1)")
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.OK


def test_a_failure_beside_a_witness_calm_at_last_is_one(run: Run) -> None:
    run(HURT, CALM, one="fails(2)").assert_outcomes(failed=1)


def test_what_fails_beside_a_hurt_witness_each_time_is_not_judged_counted_and_named(
    run: Run,
) -> None:
    others = dict.fromkeys(("b", "c", "d"), "pass")
    result = run(*[HURT] * TRIES, *[CALM] * 3, a="fails(9)", **others)
    result.assert_outcomes(passed=3)
    assert result.ret == pytest.ExitCode.OK
    hurt = "timer 80 ms late, work 2 ms late, callback 9 ms late"
    result.stdout.fnmatch_lines(
        [
            f"NOT JUDGED *::test_a: not judged: {'; '.join([hurt] * TRIES)}: *too late*",
            "realtime: 3 tests judged, 1 not judged",
            "*3 passed, 1 not judged*",
        ]
    )


def test_a_run_that_judged_too_little_fails(run: Run) -> None:
    result = run(*[HURT] * TRIES, CALM, CALM, a="fails(9)", b="pass", c="pass")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        f"realtime: 2 tests judged, 1 not judged: more than {MAX_NOT_JUDGED:.0%}, so the run fails"
    )


def test_where_a_neighbour_may_do_anything_it_is_told_and_no_failure(run: Run) -> None:
    result = run(*[HURT] * TRIES, most=1, a="fails(9)")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["NOT JUDGED *::test_a: *", "realtime: 0 tests judged, 1 not*"])


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_fixture_is_judged_like_its_test(run: Run, when: str) -> None:
    fixture = "fails(1); yield" if when == "before" else "yield; fails(1)"
    result = run(
        HURT, CALM, one=f"pass\n\n@pytest.fixture(autouse=True)\ndef bad(fails):\n    {fixture}"
    )
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.OK


def test_what_is_skipped_is_neither(run: Run) -> None:
    result = run(HURT, one="pytest.skip('no sound card')")
    result.assert_outcomes(skipped=1)
    assert "realtime: " not in result.stdout.str()


def test_others_have_no_witness(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_other="def test_other(): assert False")
    run().assert_outcomes(failed=1)


def test_nor_has_what_waits(run: Run) -> None:
    run(how="(waits=True)", a="fails(1)", b="pass").assert_outcomes(passed=1, failed=1)


def test_each_try_has_the_whole_time(run: Run) -> None:
    expected = "(fails.marker.args, fails.marker.kwargs) == ((60.0,), {'func_only': True})"
    run(CALM, one=f"assert {expected}").assert_outcomes(passed=1)


def test_the_worst_of_the_three_decides() -> None:
    for kind in ("timer", "work", "callback"):
        told = {"timer": 0.0, "work": 0.0, "callback": 0.0}
        assert not Witnessed(**told | {kind: MAX_LATE}).is_hurt
        assert Witnessed(**told | {kind: MAX_LATE + 0.001}).is_hurt
    assert not Witnessed(0.0, 0.0).is_hurt


def test_the_witness_tells_of_every_look_and_ends() -> None:
    witness = SoundWitness()
    try:
        for told in (witness.look(), witness.look()):
            assert 0 <= told.timer < 60
            assert 0 <= told.work < 60
    finally:
        witness.close()
    witness.close()
