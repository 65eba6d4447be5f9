"""Who may talk to an agent, and how: keys, single-use tokens, and the parameters of a connection.

The two ways in (docs/agent.md): the key with the parameters in the query, or a token that
`register-call` gave for one connection within 30 s, whose parameters were fixed there.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Mapping
from hmac import compare_digest
from typing import Final

from attrs import field, frozen

TOKEN_SECONDS: Final = 30

TOKEN_RATE: Final = 24_000
"""The sample rate of a session with a token, whatever is asked for."""

RATES: Final = (8_000, 16_000, 24_000, 48_000)
MODES: Final = ("webcall", "chat")

RESERVED: Final = frozenset(
    (
        *("call_id", "conversation_type", "agent_number", "user_number", "agent_gender"),
        *("current_date", "current_time", "current_day", "timezone"),
        *("default_language", "supported_languages"),
    )
)
"""Names of variables that are the server's own: a client's are dropped."""

MAX_TOKENS: Final = 10_000
"""Tokens that wait to be used; the oldest gives way."""


class NotAdmitted(Exception):
    """No session for this one.

    Args:
        status: Of the HTTP answer.
        message: What is wrong.
        retry_after: Seconds after which to come again, if that is known.
    """

    def __init__(self, status: int, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


@frozen
class AgentAdmission:
    """What a session will be like.

    Args:
        agent_id: Whom it is with.
        mode: "webcall" or "chat".
        sample_rate: Of both directions, in Hz.
        variables: What the client says about itself.
        by_token: Whether a token let it in, rather than the key.
    """

    agent_id: str
    mode: str = "webcall"
    sample_rate: int = TOKEN_RATE
    variables: Mapping[str, str | float | bool] = field(factory=dict)
    by_token: bool = False


class AgentGate:
    """Lets in who shows the key, or a token of its own; times are seconds of any one clock.

    Args:
        api_key: The key.
        agent_ids: The agents there are; None for any.
    """

    def __init__(self, api_key: str, agent_ids: Collection[str] | None = None) -> None:
        self._api_key = api_key
        self._agent_ids = agent_ids
        self._tokens: dict[str, tuple[float, AgentAdmission]] = {}

    def register(self, authorization: str | None, body: object, now: float) -> str:
        """Return a token for one connection.

        Raises:
            NotAdmitted: 401 without the key, 400 for what makes no sense, 404 for no agent.
        """
        key = _bearer(authorization)
        if key is None or not _is_same(key, self._api_key):
            raise NotAdmitted(401, "register-call takes the API key as its bearer")
        if not isinstance(body, dict):
            raise NotAdmitted(400, "the body is a JSON object")
        agent_id = body.get("agent_id")
        if not isinstance(agent_id, str) or not agent_id:
            raise NotAdmitted(400, "agent_id is missing")
        if not self._knows(agent_id):
            raise NotAdmitted(404, "no such agent")
        mode = _mode(body.get("mode", "webcall"))
        variables = _variables(body.get("variables", {}))
        token = f"wct_{secrets.token_hex(24)}"
        admission = AgentAdmission(agent_id, mode, variables=variables, by_token=True)
        self._tokens[token] = now + TOKEN_SECONDS, admission
        if len(self._tokens) > MAX_TOKENS:
            del self._tokens[next(iter(self._tokens))]
        return token

    def admit(
        self, query: Mapping[str, str], authorization: str | None, now: float
    ) -> AgentAdmission:
        """Let a connection in; a token is used up by it.

        Raises:
            NotAdmitted: 401 for a credential or an agent that is none, 400 for a parameter.
        """
        shown, header = query.get("token"), _bearer(authorization)
        if (shown is None) is (header is None):
            raise NotAdmitted(401, "one credential: the query's token or the header's bearer")
        credential = header if header is not None else shown or ""
        ends_at, admission = self._tokens.pop(credential, (now, None))
        if admission is not None and now < ends_at:
            return admission
        if not _is_same(credential, self._api_key):
            raise NotAdmitted(401, "the credential is wrong, was used, or came too late")
        agent_id = query.get("agent_id", "")
        if not agent_id or not self._knows(agent_id):
            raise NotAdmitted(401, "no such agent")
        try:
            variables = json.loads(query.get("variables", "{}"))
        except (ValueError, RecursionError) as error:
            raise NotAdmitted(400, "variables is a JSON object") from error
        mode = _mode(query.get("mode", "webcall"))
        rate = _rate(query.get("sample_rate", str(TOKEN_RATE)))
        return AgentAdmission(agent_id, mode, rate, _variables(variables))

    def _knows(self, agent_id: str) -> bool:
        return self._agent_ids is None or agent_id in self._agent_ids


def _bearer(authorization: str | None) -> str | None:
    kind, _, credential = (authorization or "").partition(" ")
    return credential.strip() if kind.lower() == "bearer" else None


def _is_same(one: str, other: str) -> bool:
    return compare_digest(one.encode(errors="surrogatepass"), other.encode())


def _mode(said: object) -> str:
    if said not in MODES:
        raise NotAdmitted(400, f"mode is one of {', '.join(MODES)}")
    return str(said)


def _rate(said: str) -> int:
    if said not in map(str, RATES):
        raise NotAdmitted(400, f"sample_rate is one of {', '.join(map(str, RATES))}")
    return int(said)


def _variables(said: object) -> Mapping[str, str | float | bool]:
    if not isinstance(said, dict) or not all(
        isinstance(value, str | int | float) for value in said.values()
    ):
        raise NotAdmitted(400, "variables is an object of texts, numbers and booleans")
    return {name: value for name, value in said.items() if name not in RESERVED}
