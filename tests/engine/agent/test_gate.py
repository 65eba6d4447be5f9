"""Who is let in: by the key, or once by a token that is young."""

from __future__ import annotations

from typing import Any

import pytest

from utd_rx.engine.agent.gate import MAX_TOKENS, AgentAdmission, AgentGate, NotAdmitted

KEY = "sk_secret"
BEARER = f"Bearer {KEY}"


def gate(*agents: str) -> AgentGate:
    return AgentGate(KEY, agents or None)


def admitted(query: dict[str, str], authorization: str | None = BEARER) -> AgentAdmission:
    return gate("a").admit({"agent_id": "a", **query}, authorization, 0.0)


@pytest.mark.parametrize(
    ("query", "authorization"), [({}, BEARER), ({}, f"bearer {KEY}"), ({"token": KEY}, None)]
)
def test_the_key_lets_in_from_header_or_query(
    query: dict[str, str], authorization: str | None
) -> None:
    assert admitted(query, authorization) == AgentAdmission("a", "webcall", 24_000)


def test_the_key_says_how() -> None:
    variables = '{"name": "Sara", "age": 7, "rate": 1.5, "is_new": true, "call_id": "mine"}'
    found = admitted({"mode": "chat", "sample_rate": "8000", "variables": variables})
    assert (found.mode, found.sample_rate, found.by_token) == ("chat", 8000, False)
    assert found.variables == {"name": "Sara", "age": 7, "rate": 1.5, "is_new": True}


@pytest.mark.parametrize(
    ("query", "authorization", "status"),
    [
        ({}, None, 401),
        ({}, "Basic abc", 401),
        ({}, "Bearer sk_other", 401),
        ({}, "Bearer ", 401),
        ({"token": KEY}, BEARER, 401),
        ({"token": "wct_made_up"}, None, 401),
        ({"token": "\ud800"}, None, 401),
        ({"agent_id": "b"}, BEARER, 401),
        ({"agent_id": ""}, BEARER, 401),
        ({"mode": "phone"}, BEARER, 400),
        ({"sample_rate": "44100"}, BEARER, 400),
        ({"sample_rate": "loud"}, BEARER, 400),
        ({"variables": "{"}, BEARER, 400),
        ({"variables": "[" * 100_000}, BEARER, 400),
        ({"variables": "[]"}, BEARER, 400),
        ({"variables": '{"a": null}'}, BEARER, 400),
        ({"variables": '{"a": []}'}, BEARER, 400),
    ],
)
def test_who_shows_none_or_asks_for_what_is_not_is_refused(
    query: dict[str, str], authorization: str | None, status: int
) -> None:
    with pytest.raises(NotAdmitted) as caught:
        admitted(query, authorization)
    assert caught.value.status == status
    assert KEY not in str(caught.value)


def test_a_token_is_good_once_and_says_how_by_itself() -> None:
    lock = gate("a")
    body = {"agent_id": "a", "mode": "chat", "variables": {"x": 1, "timezone": "UTC"}}
    token = lock.register(BEARER, body, 0.0)
    found = lock.admit({"token": token, "mode": "webcall", "sample_rate": "8000"}, None, 29.9)
    assert found == AgentAdmission("a", "chat", 24_000, {"x": 1}, by_token=True)
    with pytest.raises(NotAdmitted) as caught:
        lock.admit({"token": token}, None, 29.9)
    assert caught.value.status == 401


def test_a_token_is_good_for_thirty_seconds() -> None:
    lock = gate()
    token = lock.register(BEARER, {"agent_id": "a"}, 100.0)
    with pytest.raises(NotAdmitted) as caught:
        lock.admit({}, f"Bearer {token}", 130.0)
    assert caught.value.status == 401


@pytest.mark.parametrize(
    ("authorization", "body", "status"),
    [
        (None, {"agent_id": "a"}, 401),
        ("Bearer wct_x", {"agent_id": "a"}, 401),
        (BEARER, [], 400),
        (BEARER, {}, 400),
        (BEARER, {"agent_id": 7}, 400),
        (BEARER, {"agent_id": "b"}, 404),
        (BEARER, {"agent_id": "a", "mode": None}, 400),
        (BEARER, {"agent_id": "a", "variables": []}, 400),
    ],
)
def test_no_token_is_given_for_what_makes_no_sense(
    authorization: str | None, body: Any, status: int
) -> None:
    with pytest.raises(NotAdmitted) as caught:
        gate("a").register(authorization, body, 0.0)
    assert caught.value.status == status


def test_tokens_that_nobody_uses_are_bounded() -> None:
    lock = gate()
    tokens = [lock.register(BEARER, {"agent_id": "a"}, 0.0) for _ in range(MAX_TOKENS + 1)]
    with pytest.raises(NotAdmitted):
        lock.admit({"token": tokens[0]}, None, 0.0)
    assert lock.admit({"token": tokens[1]}, None, 0.0).by_token
