"""The Atoms protocol's JSON, both ways (docs/agent.md, "The protocol").

What comes in is believed nothing: a message without sense is None, one of an unknown type is kept
as an `UnknownAgentEvent`. What goes out is exact.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Final, cast

from utd_rx.models import agent_events as e
from utd_rx.models.agent import AgentError, AgentRole, AgentTool
from utd_rx.models.app_json import frozen_json, plain_json
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.secrets import foreign_text, hiding
from utd_rx.protocol.wire.reading import (
    Json,
    parse_object,
    read_int,
    read_list,
    read_object,
    read_text,
)

MAX_TEXT: Final = 64 * 1024
"""Characters of a turn that are kept."""

MAX_NAME: Final = 256
"""Characters of an id, a name, a reason; a longer one is cut."""

MAX_MESSAGE: Final = 512 * 1024
"""Characters of a message that is no sound; a longer one is not read."""

MAX_RESULT: Final = 65_536
"""Bytes of a tool's output in UTF-8 (docs/agent.md, "Tools")."""

LEAST_RATE: Final = 8_000
MOST_RATE: Final = 192_000
"""Hz of an echoed rate that is believed."""

MOST_CHANNELS: Final = 8
"""Channels that are believed; the protocol has 1."""

RETRYABLE: Final = frozenset(("internal_error", "worker_not_ready", "network", "timeout"))
"""Codes after which another attempt may go well, beside HTTP statuses (docs/agent.md, "How a
connection ends")."""

RETRYABLE_STATUSES: Final = (408, 425, 429)
"""HTTP statuses below 500 that say "later"."""

PASSING: Final = frozenset(
    (
        "client_tools_managed_by_config",
        "invalid_event",
        "invalid_json",
        "invalid_tools",
        "no_session",
        "result_too_large",
        "tool_name_conflict",
        "tool_timeout",
        "too_many_updates",
        "unknown_call_id",
    )
)
"""Codes about one message of ours; they say nothing of why a connection ends."""


def is_retryable(code: str) -> bool:
    """Whether another attempt may go well after an error of this code; not after an unknown one."""
    if status := http_status(code):
        return status >= 500 or status in RETRYABLE_STATUSES
    return code in RETRYABLE


def is_fatal(code: str) -> bool:
    """Whether no attempt can go well after it: an HTTP status that says so."""
    return http_status(code) > 0 and not is_retryable(code)


def http_status(code: str) -> int:
    """Return the HTTP status that a code is, of those that refuse; 0 for any other."""
    is_one = len(code) == 3 and code.isascii() and code.isdigit() and code[0] in "45"
    return int(code) if is_one else 0


# --- what comes in ------------------------------------------------------------------------------


def read_event(text: str, *secrets: str | None) -> e.AgentEvent | None:
    """Read a message; None when it means nothing. Nothing of it holds one of `secrets`."""
    wire = parse_object(text)
    name = None if wire is None else wire.get("type")
    if wire is None or not isinstance(name, str) or not name:
        return None
    if name == "output_audio.delta":  # by far the most, and nothing but samples
        return _audio(wire)
    if len(text) > MAX_MESSAGE:
        return None
    # Of what was read, since JSON can spell a letter in many ways.
    fields = cast("FrozenMap[str, object]", _hidden(frozen_json(wire), hiding(*secrets)))
    reader = READERS.get(name)
    return e.UnknownAgentEvent(_word(fields["type"]), fields) if reader is None else reader(fields)


def _hidden(value: object, hide: Callable[[str], str]) -> object:
    """Return JSON without secrets; a key that somebody made up may be a part of any word."""
    if isinstance(value, str):
        return value if value in WORDS else hide(value)
    if isinstance(value, Mapping):
        pairs = value.items()
        return FrozenMap((_hidden(key, hide), _hidden(one, hide)) for key, one in pairs)
    return tuple([_hidden(one, hide) for one in value]) if isinstance(value, tuple) else value


def _word(value: object) -> str:
    return (read_text(value) or "")[:MAX_NAME]


def _audio(wire: Json) -> e.AgentAudio | None:
    encoded = wire.get("audio")
    if not isinstance(encoded, str):
        return None
    try:
        audio = b64decode(encoded, validate=True)
    except ValueError:
        return None
    return e.AgentAudio(audio) if len(audio) % 2 == 0 else None


def _created(wire: Json) -> e.AgentSessionCreated:
    rate = read_int(wire.get("sample_rate")) or 0
    channels = read_int(wire.get("channels")) or 1
    return e.AgentSessionCreated(
        _word(wire.get("session_id")),
        _word(wire.get("call_id")),
        rate if LEAST_RATE <= rate <= MOST_RATE else 0,
        channels if 1 <= channels <= MOST_CHANNELS else 1,
    )


def _updated(wire: Json) -> e.AgentSessionUpdated:
    told = (_word(read_object(one).get("name") or one) for one in read_list(wire.get("tools")))
    return e.AgentSessionUpdated(tuple([name for name in told if name]))


def _words(wire: Json) -> tuple[AgentRole, str] | None:
    try:
        role = AgentRole(wire.get("role"))
    except ValueError:
        return None
    text = wire.get("text")
    return (role, text[:MAX_TEXT]) if isinstance(text, str) else None


def _delta(wire: Json) -> e.TranscriptDelta | None:
    words = _words(wire)
    return None if words is None else e.TranscriptDelta(*words)


def _final(wire: Json) -> e.TranscriptFinal | None:
    words = _words(wire)
    return None if words is None else e.TranscriptFinal(*words)


def _started(wire: Json) -> e.AgentStartedTalking:
    return e.AgentStartedTalking(_word(wire.get("timestamp")) or None)


def _stopped(wire: Json) -> e.AgentStoppedTalking:
    return e.AgentStoppedTalking(_word(wire.get("timestamp")) or None)


def _error(wire: Json) -> e.AgentErrorReceived:
    code = foreign_text(_word(wire.get("code"))) or "unknown"
    message = foreign_text(read_text(wire.get("message")) or "") or "the server told no reason"
    return e.AgentErrorReceived(AgentError(code, message, is_retryable(code)))


def _called(wire: Json) -> e.FunctionCalled | None:
    call_id, name = read_text(wire.get("call_id")), read_text(wire.get("name"))
    told = wire.get("arguments", {})
    arguments = parse_object(told) if isinstance(told, str) else told
    if not call_id or not name or not isinstance(arguments, Mapping):
        return None
    frozen = cast("FrozenMap[str, object]", frozen_json(arguments))
    # Not cut: an answer to another id would be none.
    return e.FunctionCalled(call_id, name, frozen) if len(call_id) <= MAX_NAME else None


READERS: Final[Mapping[str, Callable[[Json], e.AgentEvent | None]]] = {
    "session.created": _created,
    "session.updated": _updated,
    "session.closed": lambda wire: e.AgentSessionClosed(_word(wire.get("reason"))),
    "transcript.delta": _delta,
    "transcript": _final,
    "agent_start_talking": _started,
    "agent.start_talking": _started,
    "agent_stop_talking": _stopped,
    "agent.stop_talking": _stopped,
    "interruption": lambda _: e.AgentInterrupted(),
    "error": _error,
    "function_call": _called,
}
"""Both spellings of start and stop are in use (docs/agent.md, "Turns")."""

WORDS: Final = frozenset(
    (
        *READERS,
        *(role.value for role in AgentRole),
        *("type", "session_id", "call_id", "sample_rate", "channels", "tools", "name", "reason"),
        *("role", "text", "timestamp", "code", "message", "arguments"),
    )
)
"""Words of the protocol, which are no secret, whatever the secret is."""


# --- what goes out ------------------------------------------------------------------------------

CLOSE_SESSION: Final = '{"type":"session.close"}'


def append_audio(pcm: bytes) -> str:
    """Write some of the microphone: PCM16 LE mono at the session's rate."""
    return f'{{"type":"input_audio_buffer.append","audio":"{b64encode(pcm).decode("ascii")}"}}'


def input_text(text: str) -> str:
    """Write what the user wrote."""
    return _write(type="input_text.send", text=text)


def update_tools(tools: Iterable[AgentTool]) -> str:
    """Declare all tools of this client, in place of those before."""
    return _write(type="session.update", tools=[_tool(tool) for tool in tools])


def function_result(call_id: str, output: str) -> str:
    """Answer a `FunctionCalled`; at most `MAX_RESULT` bytes."""
    return _write(type="function_call.result", call_id=call_id, output=output)


def _tool(tool: AgentTool) -> dict[str, object]:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": plain_json(tool.parameters),
        "timeout_ms": round(tool.timeout * 1000),
        "expectsResponse": tool.expects_response,
    }


def _write(**wire: object) -> str:
    # Escaped, because half of a pair is no UTF-8, and a socket would break over it.
    return json.dumps(wire, separators=(",", ":"))
