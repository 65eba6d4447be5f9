"""A witness tells of every look how late its machine was, and ends."""

from __future__ import annotations

from utd_rx.testing.witness import MAX_LATE, Witness, Witnessed


def test_it_tells_of_every_look_and_ends() -> None:
    with Witness() as witness:
        first, second = witness.look(), witness.look()
    assert min(first.timer, first.work, second.timer, second.work) >= 0.0
    assert first.callback is None
    assert "timer" in str(first)


def test_the_worst_of_it_counts() -> None:
    told = Witnessed(0.001, 0.02, 0.003)
    assert told.worst == 0.02
    assert told.is_hurt
    assert not Witnessed(MAX_LATE, 0.0).is_hurt
