"""The rate limit."""

from __future__ import annotations

import pytest

from utd_rx.engine.rules import limits
from utd_rx.engine.rules.limits import Limits
from utd_rx.engine.rules.refusal import Refusal


def test_the_limit_refuses_says_when_and_recovers() -> None:
    state = Limits(2)
    for now in (0.0, 30.0):
        state = limits.count_request(state, "rest", now)
    with pytest.raises(Refusal) as caught:
        limits.count_request(state, "rest", 59.5)
    assert (caught.value.status, caught.value.retry_after) == (429, 1)
    limits.count_request(state, "mint", 59.5)
    limits.count_request(state, "rest", 60.0)
