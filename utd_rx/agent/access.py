"""Where an agent is and as whom it is talked to (docs/agent.md, "Connecting")."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

from attrs import field, frozen
from yarl import URL

from utd_rx.errors import invalid
from utd_rx.models import checks
from utd_rx.models.agent import SAMPLE_RATES, AgentMode
from utd_rx.models.checks import flag
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.ports.agent_socket import AgentSocketAddress
from utd_rx.rest.checks import checked_secret, checked_url
from utd_rx.state.foreign import foreign_work

BASE_URL: Final = "wss://api.smallest.ai"
"""The vendor's host."""

ROOT: Final = "/atoms/v1"
CONNECT: Final = f"{ROOT}/agent/connect"
REGISTER: Final = f"{ROOT}/conversation/register-call"

RESERVED: Final = frozenset(
    (
        *("call_id", "conversation_type", "agent_number", "user_number", "agent_gender"),
        *("current_date", "current_time", "current_day", "timezone"),
        *("default_language", "supported_languages"),
    )
)
"""Names of variables that the server keeps for itself; it would drop these without a word."""

TokenSource: TypeAlias = Callable[[], Awaitable[str]]
Variables: TypeAlias = Mapping[str, str | int | float | bool]


@frozen
class AgentAddress:
    """The two end points of one host of the protocol.

    Args:
        base: The host, `https://`.
    """

    base: URL

    @classmethod
    def of(cls, base_url: str, *, allow_clear_text: bool = False) -> AgentAddress:
        """Read a host, with or without the path: `http(s)` or `ws(s)`, in clear text only on this
        machine unless allowed.

        Raises:
            UTDStreamException: `VALIDATION`: it is none of these.
        """
        is_socket = isinstance(base_url, str) and base_url.lower().startswith("ws")
        schemes = ("ws", "wss") if is_socket else ("http", "https")
        allows_plain = flag(allow_clear_text, "allow_clear_text")
        url = checked_url(base_url, "base_url", *schemes, allows_plain=allows_plain)
        if url.query_string:
            raise invalid("base_url must have no query: parameters have arguments of their own")
        path = url.raw_path.rstrip("/").removesuffix("/agent/connect").removesuffix(ROOT)
        secure = "https" if url.scheme in ("wss", "https") else "http"
        return cls(url.with_scheme(secure).with_path(path, encoded=True))

    @property
    def register(self) -> URL:
        """Where tokens are minted."""
        return self._under(REGISTER)

    def connect(self, query: Mapping[str, str]) -> URL:
        """Return where sessions are held, with parameters."""
        scheme = "wss" if self.base.scheme == "https" else "ws"
        return self._under(CONNECT).with_scheme(scheme).with_query(query)

    def _under(self, path: str) -> URL:
        return self.base.with_path(f"{self.base.raw_path.rstrip('/')}{path}", encoded=True)


@frozen
class Access:
    """What an attempt to connect is made with; a token source is asked anew for each.

    Args:
        address: Where.
        query: The parameters, without credentials.
        source: What credential to use.
        is_in_url: Send it as a parameter instead of a header.
    """

    address: AgentAddress
    query: Mapping[str, str]
    source: TokenSource = field(repr=False)
    is_in_url: bool = False

    async def request(self) -> tuple[AgentSocketAddress, str]:
        """Return what to connect to and with what, and the credential in it.

        Raises:
            UTDStreamException: What the token source raised, or `VALIDATION` for no token.
        """
        credential = checked_secret(await foreign_work(checks.asked(self.source)), "the token")
        if self.is_in_url:
            url = self.address.connect({**self.query, "token": credential})
            return AgentSocketAddress(str(url)), credential
        headers = FrozenMap({"Authorization": f"Bearer {credential}"})
        return AgentSocketAddress(str(self.address.connect(self.query)), headers), credential


def access_of(
    *,
    api_key: str | None,
    token: str | None,
    token_source: TokenSource | None,
    agent_id: str | None,
    mode: AgentMode | str,
    sample_rate: int,
    variables: Variables | None,
    address: AgentAddress,
    is_in_url: bool,
) -> Access:
    """Return how to connect; the arguments are `AtomsAgentSession`'s.

    Raises:
        UTDStreamException: `VALIDATION`: not one credential, or something that cannot be.
    """
    if sum(one is not None for one in (api_key, token, token_source)) != 1:
        raise invalid("give one of api_key, token and token_source")
    if token_source is not None:
        checks.token_source(token_source)
    if not isinstance(sample_rate, int) or sample_rate not in SAMPLE_RATES:
        raise invalid(f"sample_rate is one of {', '.join(map(str, SAMPLE_RATES))}")
    told = checked_variables(variables)
    flag(is_in_url, "key_in_url")
    if api_key is None:
        if told:
            raise invalid("variables are a token's own: give them to register_call")
        source = token_source or _fixed(checked_secret(token or "", "token"))
        return Access(address, {}, source, is_in_url)
    query = {
        "agent_id": checked_agent_id(agent_id),
        "mode": checked_mode(mode).value,
        "sample_rate": str(sample_rate),
    }
    if told:
        query["variables"] = json.dumps(told, ensure_ascii=False)
    return Access(address, query, _fixed(checked_secret(api_key, "api_key")), is_in_url)


def checked_agent_id(agent_id: str | None) -> str:
    """Return an agent's id, or raise `VALIDATION`."""
    if not agent_id:
        raise invalid("agent_id is needed with an api_key: the 24 digits of the agent to talk to")
    return checked_secret(agent_id, "agent_id")


def checked_mode(mode: AgentMode | str) -> AgentMode:
    """Return a mode, by its spelling, too, or raise `VALIDATION`."""
    try:
        return AgentMode(mode)
    except ValueError as error:
        raise invalid(f"mode is one of {', '.join(one.value for one in AgentMode)}") from error


def checked_variables(variables: Variables | None) -> dict[str, str | int | float | bool]:
    """Return the variables of a session, or raise `VALIDATION`."""
    if variables is None:
        return {}
    if not isinstance(variables, Mapping):
        raise invalid(f"variables is a mapping, not {type(variables).__name__}")
    for name, value in variables.items():
        if not isinstance(name, str) or not isinstance(value, str | int | float | bool):
            raise invalid("variables are strings, numbers and booleans by name")
        if name in RESERVED:
            raise invalid(f"the variable {name} is the server's own: choose another name")
        if isinstance(value, float) and not abs(value) < float("inf"):
            raise invalid(f"the variable {name} is no number that JSON can say")
    return dict(variables)


def _fixed(credential: str) -> TokenSource:
    async def source() -> str:
        return credential

    return source
