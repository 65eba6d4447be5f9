"""A client's transport stands in for HTTP, and for nothing else: repeats and bounds are its own."""

from __future__ import annotations

import json
from collections import deque

import pytest

from utd_rx import UTDApiClient, UTDErrorCode, UTDStreamException
from utd_rx.rest.exchange import Reply, Request
from utd_rx.rest.policy import RetryPolicy, Timeouts

BROKEN = UTDStreamException("the line is cut", code=UTDErrorCode.NETWORK)


class Line:
    """Answers with what it is given, one after the other."""

    def __init__(self, *answers: Reply | Exception) -> None:
        self.answers = deque(answers)
        self.asked: list[Request] = []

    async def __call__(self, request: Request, timeouts: Timeouts) -> Reply:
        self.asked.append(request)
        answer = self.answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer


def client_of(line: Line) -> UTDApiClient:
    retries = RetryPolicy(first_backoff=0.0)
    return UTDApiClient(
        "https://nowhere.test", app_id="1", app_key="k", transport=line, retries=retries
    )


def reply(status: int, **body: object) -> Reply:
    return Reply(status, {}, json.dumps(body).encode())


async def test_what_is_safe_is_repeated_over_it() -> None:
    line = Line(BROKEN, reply(503, message="not now"), reply(200, answer=42))
    assert await client_of(line).get("/x") == {"answer": 42}
    assert [str(request.url) for request in line.asked] == ["https://nowhere.test/api/v1/x"] * 3


async def test_what_is_not_is_sent_once() -> None:
    line = Line(BROKEN, reply(200))
    with pytest.raises(UTDStreamException) as raised:
        await client_of(line).post("/x", {"a": 1})
    assert raised.value is BROKEN
    assert [request.payload for request in line.asked] == [b'{"a": 1}']


async def test_a_refusal_is_what_it_is_over_http() -> None:
    line = Line(reply(403, message="not you", code="banned"))
    with pytest.raises(UTDStreamException) as refused:
        await client_of(line).post("/x")
    error = refused.value
    assert (error.code, error.status_code, error.message) == (UTDErrorCode.BANNED, 403, "not you")


async def test_a_closed_client_sends_nothing_over_it() -> None:
    line = Line()
    client = client_of(line)
    await client.aclose()
    with pytest.raises(UTDStreamException) as closed:
        await client.get("/x")
    assert closed.value.code is UTDErrorCode.CONFLICT
    assert line.asked == []
