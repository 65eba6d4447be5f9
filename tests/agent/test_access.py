"""Where an agent is and as whom it is talked to; what cannot be is refused beforehand."""

from __future__ import annotations

from typing import Any

import pytest
from yarl import URL

from utd_rx import UTDErrorCode, UTDStreamException
from utd_rx.agent.access import RESERVED, Access, AgentAddress, access_of
from utd_rx.models.agent import AgentMode

HOST = "wss://api.smallest.ai"
CONNECT = f"{HOST}/atoms/v1/agent/connect"
REGISTER = "https://api.smallest.ai/atoms/v1/conversation/register-call"


@pytest.mark.parametrize(
    "base_url",
    [
        HOST,
        f"{HOST}/",
        CONNECT,
        f"{CONNECT}/",
        "https://api.smallest.ai",
        "HTTPS://api.smallest.ai/atoms/v1",
        "https://api.smallest.ai/atoms/v1/agent/connect",
    ],
)
def test_an_address_is_read_in_every_usual_way(base_url: str) -> None:
    address = AgentAddress.of(base_url)
    assert (str(address.connect({})), str(address.register)) == (CONNECT, REGISTER)


def test_an_address_may_lie_under_a_path_of_its_own() -> None:
    address = AgentAddress.of("http://127.0.0.1:81/proxy/atoms/v1/agent/connect")
    assert str(address.register) == "http://127.0.0.1:81/proxy/atoms/v1/conversation/register-call"
    query = {"variables": '{"a": "ü&"}'}
    url = URL(str(address.connect(query)))
    assert (url.scheme, url.path) == ("ws", "/proxy/atoms/v1/agent/connect")
    assert dict(url.query) == query


@pytest.mark.parametrize(
    "base_url",
    [
        "ftp://a",
        "wss://",
        "",
        None,
        "ws://example.com",
        "http://example.com",
        f"{HOST}?token=secret",
    ],
)
def test_another_address_is_refused(base_url: Any) -> None:
    with pytest.raises(UTDStreamException) as refused:
        AgentAddress.of(base_url)
    assert refused.value.code is UTDErrorCode.VALIDATION
    assert "secret" not in str(refused.value)


def test_clear_text_is_for_this_machine_unless_allowed() -> None:
    assert AgentAddress.of("ws://[::1]:80/").base.host == "::1"
    assert AgentAddress.of("ws://example.com", allow_clear_text=True).base.scheme == "http"


def access(**given: Any) -> Access:
    options: dict[str, Any] = {
        "api_key": None,
        "token": None,
        "token_source": None,
        "agent_id": "6" * 24,
        "mode": AgentMode.WEBCALL,
        "sample_rate": 16_000,
        "variables": None,
        "address": AgentAddress.of(HOST),
        "is_in_url": False,
    }
    return access_of(**{**options, **given})


async def test_a_key_goes_with_everything_that_is_chosen() -> None:
    chosen = access(api_key="sk_1", variables={"name": "Ada", "age": 36, "is_new": True})
    address, _ = await chosen.request()
    assert dict(URL(address.url).query) == {
        "agent_id": "6" * 24,
        "mode": "webcall",
        "sample_rate": "16000",
        "variables": '{"name": "Ada", "age": 36, "is_new": true}',
    }
    assert address.headers == {"Authorization": "Bearer sk_1"}
    assert "sk_1" not in repr((chosen, address))


async def test_a_token_goes_alone_since_all_is_baked_into_it() -> None:
    address, _ = await access(token="wct_1", agent_id=None).request()
    assert (address.url, dict(address.headers)) == (CONNECT, {"Authorization": "Bearer wct_1"})


async def test_a_source_is_asked_for_each_attempt() -> None:
    tokens = iter(("wct_1", "wct_2", "no token\n"))

    async def source() -> str:
        return next(tokens)

    minted = access(token_source=source)
    assert [(await minted.request())[1] for _ in range(2)] == ["wct_1", "wct_2"]
    with pytest.raises(UTDStreamException, match="the token must be"):
        await minted.request()


async def test_a_source_that_is_not_async_is_refused() -> None:
    with pytest.raises(UTDStreamException, match="async def"):
        await access(token_source=lambda: "wct_1").request()


async def test_a_credential_is_in_the_url_only_when_told() -> None:
    address, _ = await access(api_key="sk_1", is_in_url=True).request()
    assert (URL(address.url).query["token"], len(address.headers)) == ("sk_1", 0)
    assert "sk_1" not in repr(address)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "one of api_key"),
        ({"api_key": "sk_1", "token": "wct_1"}, "one of api_key"),
        ({"api_key": "sk 1"}, "api_key must be"),
        ({"token": ""}, "token must be"),
        ({"api_key": "sk_1", "agent_id": None}, "agent_id is needed"),
        ({"api_key": "sk_1", "agent_id": "a b"}, "agent_id must be"),
        ({"api_key": "sk_1", "sample_rate": 44_100}, "sample_rate is one of"),
        ({"api_key": "sk_1", "variables": ["a"]}, "variables is a mapping"),
        ({"api_key": "sk_1", "variables": {"a": None}}, "strings, numbers"),
        ({"api_key": "sk_1", "variables": {"a": float("nan")}}, "no number"),
        ({"api_key": "sk_1", "variables": {min(RESERVED): "a"}}, "server's own"),
        ({"token": "wct_1", "variables": {"a": "b"}}, "register_call"),
        ({"api_key": "sk_1", "mode": "phone"}, "mode is one of"),
        ({"token": "wct_1", "is_in_url": "yes"}, "key_in_url"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(UTDStreamException, match=why) as refused:
        access(**given)
    assert refused.value.code is UTDErrorCode.VALIDATION
    assert "sk 1" not in str(refused.value)
