"""What the stub takes from a client, and what it refuses with which code."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utd_rx.engine.agent.messages import (
    ClientFault,
    CloseAsked,
    DeclaredTool,
    SoundCommitted,
    SoundSent,
    TextSent,
    ToolAnswered,
    ToolsDeclared,
    read_message,
)

TOOL: dict[str, Any] = {"type": "function", "name": "look", "parameters": {"type": "object"}}


@pytest.mark.parametrize(
    ("message", "read"),
    [
        (
            {"type": "input_audio_buffer.append", "audio": base64.b64encode(b"\1\0\2\0").decode()},
            SoundSent(b"\1\0\2\0"),
        ),
        ({"type": "input_audio_buffer.commit"}, SoundCommitted()),
        ({"type": "input_text.send", "text": "مرحبا"}, TextSent("مرحبا")),
        ({"type": "session.close", "extra": 1}, CloseAsked()),
        ({"type": "session.update"}, ToolsDeclared(None)),
        ({"type": "session.update", "tools": []}, ToolsDeclared(())),
        (
            {"type": "session.update", "tools": [TOOL]},
            ToolsDeclared((DeclaredTool("look", 15.0, True),)),
        ),
        (
            {
                "type": "session.update",
                "tools": [{**TOOL, "timeout_ms": 1, "expectsResponse": False}],
            },
            ToolsDeclared((DeclaredTool("look", 1.0, False),)),
        ),
        (
            {"type": "session.update", "tools": [{**TOOL, "timeout_ms": 10**9}]},
            ToolsDeclared((DeclaredTool("look", 60.0, True),)),
        ),
        ({"type": "function_call.result", "call_id": "f", "output": ""}, ToolAnswered("f", "")),
    ],
)
def test_what_the_protocol_has_is_read(message: object, read: object) -> None:
    assert read_message(json.dumps(message)) == read


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"{}", "invalid_event"),
        ("", "invalid_json"),
        ("[" * 100_000, "invalid_json"),
        ("[]", "invalid_event"),
        ("{}", "invalid_event"),
        ('{"type": []}', "invalid_event"),
        ('{"type": "session.created"}', "invalid_event"),
        ('{"type": "input_text.send"}', "invalid_event"),
        ('{"type": "input_text.send", "text": ""}', "invalid_event"),
        ('{"type": "input_text.send", "text": 7}', "invalid_event"),
        ('{"type": "input_audio_buffer.append", "audio": "AA"}', "invalid_event"),
        ('{"type": "input_audio_buffer.append", "audio": "AAA*"}', "invalid_event"),
        ('{"type": "input_audio_buffer.append", "audio": "ä"}', "invalid_event"),
        ('{"type": "input_audio_buffer.append", "audio": "AAAA"}', "invalid_event"),
        ('{"type": "function_call.result", "call_id": "f"}', "invalid_event"),
        (
            json.dumps({"type": "function_call.result", "call_id": "f", "output": "ä" * 32_769}),
            "result_too_large",
        ),
        ('{"type": "session.update", "tools": {}}', "invalid_tools"),
        ('{"type": "session.update", "tools": [7]}', "invalid_tools"),
        *(
            (json.dumps({"type": "session.update", "tools": [{**TOOL, **wrong}]}), "invalid_tools")
            for wrong in (
                {"type": "tool"},
                {"name": ""},
                {"description": None},
                {"parameters": {"type": "array"}},
                {"parameters": None},
                {"timeout_ms": "1000"},
                {"timeout_ms": True},
                {"expectsResponse": 1},
            )
        ),
        (json.dumps({"type": "session.update", "tools": [TOOL, TOOL]}), "tool_name_conflict"),
    ],
)
def test_anything_else_is_refused(frame: str | bytes, code: str) -> None:
    with pytest.raises(ClientFault) as caught:
        read_message(frame)
    assert caught.value.code == code
    assert len(str(caught.value)) < 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "audio", "text", "tools", "name", "parameters", "call_id"]),
            inner | st.sampled_from(["function", "object", "session.update", "input_text.send"]),
            max_size=4,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=30)
@given(JSON)
def test_nothing_but_a_fault_comes_of_anything(said: object) -> None:
    try:
        read = read_message(json.dumps(said))
    except ClientFault as fault:
        assert fault.code
    else:
        assert isinstance(said, dict)
        assert read is not None
