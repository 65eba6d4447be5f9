"""The verdict of `utd-rx demo agent` can say no: each promise has a history that breaks it."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.cli.test_demo_report import CLEAR
from utd_rx.cli.demo.agent import NORA, PROMISED, Echo, judge
from utd_rx.cli.demo.journal import DemoJournal, Entry

HEARD = "what nora said came back"
CALLED, SPOKEN = PROMISED
STATUSES = ("idle", "connecting", "listening", "speaking", "listening", "closed")


def journal(statuses: tuple[str, ...] = STATUSES, answers_at: float = 5.0) -> DemoJournal:
    streams = {
        (NORA, "status"): [Entry(float(at), status) for at, status in enumerate(statuses)],
        (NORA, "user_talking"): [Entry(0.0, False), Entry(1.0, True), Entry(4.0, False)],
        (NORA, "agent_talking"): [
            Entry(0.0, False), Entry(answers_at, True), Entry(answers_at + 1, False)
        ],
    }  # fmt: skip
    return DemoJournal(now=lambda: 10.0, began_at=0.0, streams=streams)


@pytest.mark.parametrize(
    ("told", "is_match", "broken"),
    [
        (journal(), True, []),
        (journal(), False, [HEARD]),
        (journal(STATUSES[:-1]), True, [CALLED]),
        (journal(answers_at=2.0), True, [SPOKEN]),
    ],
)
def test_each_promise_can_be_broken(told: DemoJournal, is_match: bool, broken: list[str]) -> None:
    verdicts = judge(told, Echo(evolve(CLEAR, is_match=is_match)))
    assert [verdict.promise for verdict in verdicts if not verdict.is_kept] == broken
