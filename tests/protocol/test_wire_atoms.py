"""Messages of a voice agent: both spellings, nothing believed, nothing hostile raises."""

from __future__ import annotations

import json
import pickle
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.protocol.strategies import json_values
from utd_rx.models import agent_events as e
from utd_rx.models.agent import AgentError, AgentRole, AgentTool
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.protocol.wire import atoms

KEY = "sk_0123456789abcdef"
AUDIO = b64encode(b"\x01\x00\x02\x00").decode()


def read(*secrets: str, **wire: Any) -> e.AgentEvent | None:
    return atoms.read_event(json.dumps(wire), *secrets)


@pytest.mark.parametrize(
    ("wire", "event"),
    [
        (
            {
                "type": "session.created",
                "session_id": "s",
                "call_id": "CALL-1",
                "sample_rate": 16000,
                "channels": 1,
            },
            e.AgentSessionCreated("s", "CALL-1", 16_000, 1),
        ),
        ({"type": "session.created", "sample_rate": "fast"}, e.AgentSessionCreated("", "", 0)),
        ({"type": "session.created", "sample_rate": 10**9}, e.AgentSessionCreated("", "", 0)),
        ({"type": "session.updated", "tools": ["a", {"name": "b"}, 0, None, {}]}, None),
        ({"type": "session.updated"}, e.AgentSessionUpdated()),
        ({"type": "session.closed", "reason": "ended"}, e.AgentSessionClosed("ended")),
        ({"type": "session.closed"}, e.AgentSessionClosed()),
        ({"type": "output_audio.delta", "audio": AUDIO}, e.AgentAudio(b"\x01\x00\x02\x00")),
        (
            {"type": "transcript.delta", "role": "user", "text": "Hi"},
            e.TranscriptDelta(AgentRole.USER, "Hi"),
        ),
        (
            {"type": "transcript", "role": "assistant", "text": ""},
            e.TranscriptFinal(AgentRole.ASSISTANT, ""),
        ),
        (
            {"type": "agent_start_talking", "timestamp": "2026-07-02T10:30:45.123456"},
            e.AgentStartedTalking("2026-07-02T10:30:45.123456"),
        ),
        ({"type": "agent.start_talking"}, e.AgentStartedTalking()),
        ({"type": "agent_stop_talking", "timestamp": None}, e.AgentStoppedTalking()),
        ({"type": "agent.stop_talking"}, e.AgentStoppedTalking()),
        ({"type": "interruption", "more": 1}, e.AgentInterrupted()),
        (
            {"type": "error", "code": "internal_error", "message": "oh\nno"},
            e.AgentErrorReceived(AgentError("internal_error", "oh no", True)),
        ),
        (
            {"type": "error", "code": 404},
            e.AgentErrorReceived(AgentError("404", "the server told no reason", False)),
        ),
        (
            {"type": "error"},
            e.AgentErrorReceived(AgentError("unknown", "the server told no reason", False)),
        ),
        (
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": {"a": [1]}},
            e.FunctionCalled("c", "f", FrozenMap({"a": (1,)})),
        ),
        (
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a": 1}'},
            e.FunctionCalled("c", "f", FrozenMap({"a": 1})),
        ),
        ({"type": "function_call", "call_id": "c", "name": "f"}, e.FunctionCalled("c", "f")),
        (
            {"type": "mood.changed", "mood": "good"},
            e.UnknownAgentEvent(
                "mood.changed", FrozenMap({"type": "mood.changed", "mood": "good"})
            ),
        ),
    ],
    ids=lambda value: value.get("type") if isinstance(value, dict) else "",
)
def test_every_event_is_read(wire: dict[str, object], event: e.AgentEvent | None) -> None:
    event = event or e.AgentSessionUpdated(("a", "b", "0"))
    assert read(**wire) == event
    assert read(KEY, **wire) == event
    assert pickle.loads(pickle.dumps(event)) == event


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"type": 7}',
        '{"type": ""}',
        '{"type": "output_audio.delta"}',
        '{"type": "output_audio.delta", "audio": "AAA"}',
        '{"type": "output_audio.delta", "audio": "AAAA"}',  # one byte too many
        '{"type": "output_audio.delta", "audio": "ÄÄ=="}',
        '{"type": "transcript", "role": "judge", "text": "x"}',
        '{"type": "transcript", "role": ["user"], "text": "x"}',
        '{"type": "transcript.delta", "role": "user"}',
        '{"type": "function_call", "name": "f"}',
        '{"type": "function_call", "call_id": "c", "name": "f", "arguments": [1]}',
        '{"type": "function_call", "call_id": "c", "name": "f", "arguments": "1"}',
        json.dumps({"type": "function_call", "call_id": "c" * 300, "name": "f"}),
        json.dumps({"type": "mood.changed", "mood": "x" * atoms.MAX_MESSAGE}),
        "[" * 100_000,
        '{"type": "x", "a": ' + "[" * 100_000,
    ],
    ids=lambda text: text[:60],
)
def test_what_means_nothing_is_none(text: str) -> None:
    assert atoms.read_event(text, KEY) is None


def test_what_is_nested_too_deeply_is_cut_off_and_not_raised() -> None:
    text = '{"type": "x", "a": ' + "[" * 900 + "]" * 900 + "}"
    event = atoms.read_event(text, KEY)
    assert isinstance(event, e.UnknownAgentEvent)
    assert len(repr(event.fields)) < 500


def test_long_texts_are_cut() -> None:
    event = read(type="transcript", role="user", text="x" * (atoms.MAX_TEXT + 1))
    assert event == e.TranscriptFinal(AgentRole.USER, "x" * atoms.MAX_TEXT)
    created = read(type="session.created", session_id="s" * 999)
    assert isinstance(created, e.AgentSessionCreated)
    assert len(created.session_id) == atoms.MAX_NAME


TYPES = st.sampled_from([*atoms.READERS, "output_audio.delta", "mood"])
FIELDS = st.sampled_from((
    "session_id", "call_id", "sample_rate", "channels", "tools", "reason", "audio", "role", "text",
    "timestamp", "code", "message", "name", "arguments",
))  # fmt: skip


@pytest.mark.parametrize("secret", ["type", "a", "text", "assistant", 'a"b', "a\\b"])
def test_a_secret_may_be_any_word_and_of_any_letters(secret: str) -> None:
    told = read(secret, type="transcript.delta", role="assistant", text=f"it is {secret}.")
    assert isinstance(told, e.TranscriptDelta)
    assert told.role is AgentRole.ASSISTANT
    assert secret not in told.text
    other = read(secret, type="weather", fields={f"x {secret}": [secret]})
    assert isinstance(other, e.UnknownAgentEvent)


@given(TYPES, st.dictionaries(FIELDS, json_values, max_size=4))
@example("function_call", {"call_id": "c", "name": "f", "arguments": {"\ud800": "\udc00"}})
def test_no_content_breaks_the_reader(name: str, fields: dict[str, object]) -> None:
    text = json.dumps({**fields, "type": name})
    for secrets in ((), (KEY,)):
        event = atoms.read_event(text, *secrets)
        assert event is None or isinstance(event, e.AgentEvent)
        hash(event)


@given(TYPES, st.dictionaries(FIELDS, st.just(f"the key {KEY} is bad"), max_size=4))
def test_no_event_holds_a_credential(name: str, fields: dict[str, object]) -> None:
    for text in (json.dumps({**fields, "type": name}), json.dumps({"type": f"x {KEY}", **fields})):
        # Letters that JSON can spell in another way are the same letters.
        event = atoms.read_event(text.replace("sk_", "\\u0073k_"), KEY)
        assert KEY[3:] not in str(pickle.dumps(event))


@pytest.mark.parametrize("code", ["500", "503", "429", "408", "internal_error", "worker_not_ready"])
def test_errors_that_pass_are_retryable(code: str) -> None:
    assert (atoms.is_retryable(code), atoms.is_fatal(code)) == (True, False)


@pytest.mark.parametrize("code", ["400", "401", "403", "404", "499"])
def test_errors_that_stay_are_fatal(code: str) -> None:
    assert (atoms.is_retryable(code), atoms.is_fatal(code)) == (False, True)


@pytest.mark.parametrize("code", [*sorted(atoms.PASSING), "no_credits", "4o4", "٤٠٤", "4040", ""])
def test_errors_of_one_message_or_unknown_ones_are_neither(code: str) -> None:
    assert (atoms.is_retryable(code), atoms.is_fatal(code)) == (False, False)


# --- what goes out ------------------------------------------------------------------------------


def test_what_is_written_is_exact() -> None:
    tool = AgentTool(
        "weather",
        "Tells the weather.",
        FrozenMap({"type": "object", "required": ("city",)}),
        timeout=2.5,
        expects_response=False,
    )
    written: list[tuple[str, str, dict[str, object]]] = [
        (
            atoms.append_audio(b"\x01\x00\xff\xff"),
            "input_audio_buffer.append",
            {"audio": "AQD//w=="},
        ),
        (atoms.input_text('say "ü" \ud800'), "input_text.send", {"text": 'say "ü" \ud800'}),
        (
            atoms.function_result("c1", "{}"),
            "function_call.result",
            {"call_id": "c1", "output": "{}"},
        ),
        (atoms.CLOSE_SESSION, "session.close", {}),
        (
            atoms.update_tools([tool]),
            "session.update",
            {
                "tools": [
                    {
                        "type": "function",
                        "name": "weather",
                        "description": "Tells the weather.",
                        "parameters": {"type": "object", "required": ["city"]},
                        "timeout_ms": 2500,
                        "expectsResponse": False,
                    }
                ]
            },
        ),
    ]
    for text, name, fields in written:
        text.encode()  # a socket takes UTF-8 only
        assert json.loads(text) == {"type": name, **fields}
