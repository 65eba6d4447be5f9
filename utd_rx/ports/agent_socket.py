"""The agent socket port: one WebSocket after another to a voice agent; text frames only.

`agent.socket` serves it over aiohttp, `FakeAgentSocket` for tests. One `run` is one socket, from
its opening to its end; when to try again is `protocol.agent`'s to say. What crosses is frozen and
picklable, and no event, message or repr of it holds a header or a query.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, Protocol, TypeAlias

from attrs import field, frozen

from utd_rx.models.checks import typed
from utd_rx.models.frozen_map import FrozenMap


class AgentSocketEnd(Enum):
    """In which way a socket was over."""

    REFUSED = "an HTTP status instead of a WebSocket"
    CLOSED = "a close frame"
    LOST = "the network: no address, no connection, a reset, an end without a close frame"
    SILENT = "no answer: to the opening handshake, or to pings for so long that nobody is there"


@frozen(field_transformer=typed)
class AgentSocketAddress:
    """Where to connect, and what to say there; neither is for anybody's eyes.

    Args:
        url: `wss://…`, with the query.
        headers: Such as `Authorization`.
    """

    url: str = field(repr=False)
    headers: FrozenMap[str, str] = field(factory=FrozenMap, repr=False)


@frozen
class AgentSocketOpened:
    """The WebSocket is up; the first event of a `run`, unless that is its end."""


@frozen(field_transformer=typed)
class AgentSocketText:
    """A text frame as it came, of at most `MAX_FRAME` characters."""

    text: str = field(repr=False)


@frozen
class AgentSocketNoise:
    """A frame that is no text, which this protocol has none of."""


@frozen(field_transformer=typed)
class AgentSocketEnded:
    """The socket is over, or never came up; the last event of a `run`.

    Args:
        end: In which way.
        code: The HTTP status of a refusal, or the peer's close code (1005 when it gave none).
        message: What happened, for a developer; no secret of ours, and no foreign text uncleaned.
        retry_after: Seconds that a refusal asked to wait.
    """

    end: AgentSocketEnd
    code: int | None = None
    message: str = ""
    retry_after: float | None = None


AgentSocketEvent: TypeAlias = (
    AgentSocketOpened | AgentSocketText | AgentSocketNoise | AgentSocketEnded
)
AgentSocketSink: TypeAlias = Callable[[tuple[AgentSocketEvent, ...]], None]
"""Takes what one turn of the loop brought, on its own loop; never raises."""

MAX_FRAME: Final = 4 * 2**20
"""Characters of a text frame; a socket with a longer one is closed with 1009, and that is its end.
A minute of 24 kHz in one delta is 3.84 million."""


class AgentSocketPort(Protocol):
    """The socket of one agent session, one connection at a time."""

    async def run(self, address: AgentSocketAddress, sink: AgentSocketSink) -> None:
        """Connect and deliver until the socket ends; returns behind its last event, its end.

        A peer that is gone without a word ends it as `SILENT` within 60 s. Raises nothing but
        `CONFLICT` while another `run` goes on. Cancelling is safe: the socket is dropped, and
        nothing more is delivered.
        """

    async def send(self, text: str) -> None:
        """Send a text frame; waits while the peer does not take what was sent before.

        Raises `NETWORK` when no socket is open, or this one ends meanwhile. Cancelling is safe
        between frames: the frame is sent whole, or not at all.
        """

    async def close(self, code: int = 1000) -> None:
        """Close the open socket with `code`; `run` ends soon, with `CLOSED` and the peer's echo.

        Does nothing without one, and gives up on a peer that does not answer after 5 s. Raises
        nothing; cancelling is safe: the socket closes all the same.
        """
