"""`register_call`: a token for one call, minted where the API key is (docs/agent.md, "Tokens")."""

from __future__ import annotations

import asyncio
import json
from typing import Final

import aiohttp

from utd_rx.agent.access import (
    BASE_URL,
    AgentAddress,
    Variables,
    checked_agent_id,
    checked_mode,
    checked_variables,
)
from utd_rx.errors import UTDStreamException
from utd_rx.models.agent import AgentMode
from utd_rx.ports.proxy import Proxies
from utd_rx.protocol.wire.errors import error_from_wire
from utd_rx.protocol.wire.reading import parse_object, read_object, read_text
from utd_rx.rest.checks import checked_secret
from utd_rx.rest.exchange import Request, exchange
from utd_rx.rest.failures import malformed, timed_out
from utd_rx.rest.policy import Timeouts

TOTAL: Final = 15.0
"""Seconds for a token, half of what it is good for."""


async def register_call(
    api_key: str,
    agent_id: str,
    *,
    mode: AgentMode | str | None = None,
    variables: Variables | None = None,
    base_url: str = BASE_URL,
    allow_clear_text: bool = False,
    proxy: str | None = None,
    trust_env: bool = False,
) -> str:
    """Mint a token for one call: single use, good for 30 s, at 24 kHz.

    A backend does this, so that an app needs no key; or a session itself, for each attempt:
    `token_source=partial(register_call, api_key, agent_id)`.

    Args:
        api_key: The account's key, `sk_…`.
        agent_id: The agent to talk to.
        mode: An `AgentMode` or its value; the server's default unless given.
        variables: For this call only.
        base_url: As `AtomsAgentSession`'s.
        allow_clear_text: As `AtomsAgentSession`'s.
        proxy: As `UTDApiClient`'s.
        trust_env: As `UTDApiClient`'s.

    Raises:
        UTDStreamException: `VALIDATION` for arguments that cannot be; `UNAUTHORIZED`, `NOT_FOUND`
            or what else the server answered; `NETWORK`, `TIMEOUT` after 15 s,
            `MALFORMED_RESPONSE`.

    Cancelling is safe; a token may have been minted, and expires.
    """
    key = checked_secret(api_key, "api_key")
    body: dict[str, object] = {"agent_id": checked_agent_id(agent_id)}
    if mode is not None:
        body["mode"] = checked_mode(mode).value
    if told := checked_variables(variables):
        body["variables"] = told
    url = AgentAddress.of(base_url, allow_clear_text=allow_clear_text).register
    way = Proxies.of(proxy, trust_env=trust_env).for_url(str(url))
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    secrets = (key, None if way is None else way.password)
    request = Request("POST", url, headers, json.dumps(body).encode(), way, secrets)
    try:
        async with (
            asyncio.timeout(TOTAL),
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
        ):
            reply = await exchange(session, request, Timeouts())
    except TimeoutError as error:
        raise timed_out(way) from error
    wire = read_object(parse_object(reply.body or b""))
    if reply.status >= 400:
        raise error_from_wire(reply.status, wire, secrets=secrets)
    return _token(read_text(read_object(wire.get("data")).get("access_token")), reply.status)


def _token(token: str | None, status: int) -> str:
    if token is None:
        raise malformed("the server minted no token", status)
    try:
        return checked_secret(token, "the token")
    except UTDStreamException as error:
        raise malformed("the server's token is none", status) from error
