"""Ages of requests to speak and of raised hands, whatever an engine writes as the time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utd_rx.models.seats import SpeakRequest
from utd_rx.models.stage import StageRequest

AT = datetime(2026, 5, 4, 10, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("created_at", "age"),
    [
        ("2026-05-04T10:00:05Z", 25.0),
        ("2026-05-04T10:00:05.500Z", 24.5),
        ("2026-05-04T12:00:05+02:00", 25.0),
        ("2026-05-04T10:00:05", 25.0),
        ("2026-05-04T10:05:00Z", 0.0),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_an_age_is_known_when_the_engine_said_when(
    created_at: str | None, age: float | None
) -> None:
    asked, raised = SpeakRequest(1, "mona", created_at), StageRequest("mona", created_at=created_at)
    assert asked.age(AT) == raised.age(AT) == age
    assert asked.asked_at == raised.asked_at
    assert (raised.asked_at is None) is (age is None)


@given(st.text(), st.timedeltas(timedelta(0), timedelta(days=99)))
def test_no_text_breaks_it(text: str, later: timedelta) -> None:
    age = SpeakRequest(1, "mona", text).age(AT + later)
    assert age is None or age >= 0
