"""What a client may say to an agent, read strictly; what an agent says is written in `call`.

The stub's own codec (docs/agent.md): it shares none with the client, so that a test of one against
the other is a test of two implementations.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from attrs import field, frozen

from utd_rx.models.checks import typed

MAX_OUTPUT: Final = 65_536
"""Bytes of a tool's answer."""

TIMEOUT_MS: Final = (1_000, 60_000)
"""Bounds of a tool's time-out, which is clamped to them."""

DEFAULT_TIMEOUT_MS: Final = 15_000

MAX_TOLD: Final = 60
"""Characters of what a client wrote that an error repeats."""


class ClientFault(Exception):
    """What a client sent is refused; the socket stays open.

    Args:
        code: The error's code on the wire.
        message: What is wrong.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@frozen
class SoundSent:
    """`input_audio_buffer.append`: int16 little-endian mono at the session's rate."""

    pcm: bytes = field(repr=False)


@frozen
class SoundCommitted:
    """`input_audio_buffer.commit`, which has no effect."""


@frozen
class TextSent:
    """`input_text.send`; the text is not empty."""

    text: str


@frozen(field_transformer=typed)
class DeclaredTool:
    """A tool that the client runs: its name, and for how long its answer is waited for."""

    name: str
    timeout: float  # seconds
    answers: bool


@frozen
class ToolsDeclared:
    """`session.update`; None when it is about something else, or nothing."""

    tools: tuple[DeclaredTool, ...] | None


@frozen
class ToolAnswered:
    """`function_call.result`."""

    call_id: str
    output: str


@frozen
class CloseAsked:
    """`session.close`."""


ClientMessage: TypeAlias = (
    SoundSent | SoundCommitted | TextSent | ToolsDeclared | ToolAnswered | CloseAsked
)
_Fields: TypeAlias = Mapping[str, object]


def read_message(frame: str | bytes) -> ClientMessage:
    """Read a frame.

    Raises:
        ClientFault: For whatever is no message of a client's.
    """
    if not isinstance(frame, str):
        raise ClientFault("invalid_event", "a message is a text frame")
    try:
        said = json.loads(frame)
    except (ValueError, RecursionError) as error:
        raise ClientFault("invalid_json", "a message is a JSON object") from error
    if not isinstance(said, dict):
        raise ClientFault("invalid_event", "a message is a JSON object")
    kind = said.get("type")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise ClientFault("invalid_event", f"no message is of type {repr(kind)[:MAX_TOLD]}")
    return reader(said)


def _sound(said: _Fields) -> SoundSent:
    try:
        pcm = base64.b64decode(_text(said, "audio"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ClientFault("invalid_event", "audio is base64") from error
    if len(pcm) % 2:
        raise ClientFault("invalid_event", "audio is 16 bits a sample")
    return SoundSent(pcm)


def _update(said: _Fields) -> ToolsDeclared:
    tools = said.get("tools")
    if tools is None:
        return ToolsDeclared(None)
    if not isinstance(tools, list):
        raise ClientFault("invalid_tools", "tools is a list")
    declared = tuple(map(_tool, tools))
    if len({tool.name for tool in declared}) < len(declared):
        raise ClientFault("tool_name_conflict", "two tools have one name")
    return ToolsDeclared(declared)


def _tool(said: object) -> DeclaredTool:
    if not isinstance(said, dict) or said.get("type") != "function":
        raise ClientFault("invalid_tools", "a tool is an object of type function")
    name = said.get("name")
    if not isinstance(name, str) or not name:
        raise ClientFault("invalid_tools", "a tool has a name")
    if not isinstance(said.get("description", ""), str):
        raise ClientFault("invalid_tools", f"the description of {name[:MAX_TOLD]} is a text")
    parameters = said.get("parameters")
    if not isinstance(parameters, dict) or parameters.get("type") != "object":
        message = f"the parameters of {name[:MAX_TOLD]} are a JSON schema of an object"
        raise ClientFault("invalid_tools", message)
    wait, answers = said.get("timeout_ms", DEFAULT_TIMEOUT_MS), said.get("expectsResponse", True)
    if isinstance(wait, bool) or not isinstance(wait, int) or not isinstance(answers, bool):
        message = f"timeout_ms of {name[:MAX_TOLD]} is an integer, expectsResponse a boolean"
        raise ClientFault("invalid_tools", message)
    least, most = TIMEOUT_MS
    return DeclaredTool(name, min(max(wait, least), most) / 1000, answers)


def _answer(said: _Fields) -> ToolAnswered:
    answer = ToolAnswered(_text(said, "call_id"), _text(said, "output", least=0))
    if len(answer.output.encode(errors="surrogatepass")) > MAX_OUTPUT:
        raise ClientFault("result_too_large", f"output is at most {MAX_OUTPUT} bytes")
    return answer


def _text(said: _Fields, name: str, *, least: int = 1) -> str:
    text = said.get(name)
    if not isinstance(text, str) or len(text) < least:
        raise ClientFault("invalid_event", f"{name} is a text that is not empty")
    return text


_READERS: Final[dict[str, Callable[[_Fields], ClientMessage]]] = {
    "input_audio_buffer.append": _sound,
    "input_audio_buffer.commit": lambda _: SoundCommitted(),
    "input_text.send": lambda said: TextSent(_text(said, "text")),
    "session.update": _update,
    "function_call.result": _answer,
    "session.close": lambda _: CloseAsked(),
}
