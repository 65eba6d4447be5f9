"""A voice agent's session: how it is made, and what it shows."""

from __future__ import annotations

from functools import partial

import pytest

from tests.agent.stage import AGENT, KEY, staged
from utd_rx import UTDErrorCode, UTDStreamException
from utd_rx.agent.session import AtomsAgentSession
from utd_rx.models.agent import AgentRole


async def test_no_secret_is_told() -> None:
    async with staged() as stage:
        await stage.start()
        texts: list[str] = []
        stage.session.events.subscribe(lambda event: texts.append(f"{event!r} {event}"))
        stage.tell(
            {"type": "error", "code": "internal_error", "message": f"bad key {KEY}"},
            {"type": "oops", "token": KEY},
            {"type": "transcript", "role": "assistant", "text": f"your key is {KEY}"},
        )
        stage.socket.end(4401)
        texts += [repr(stage.session.state.value), repr(stage.session), str(stage.session)]
        texts += [turn.text for turn in stage.session.transcript.value]
        assert len(texts) == 7
        assert not [text for text in texts if KEY in text]


async def test_a_user_without_a_microphone_talks_while_the_server_hears_words() -> None:
    async with staged() as stage:
        await stage.start()
        talking: list[bool] = []
        stage.session.user_talking.subscribe(talking.append)
        stage.tell({"type": "transcript.delta", "role": "user", "text": "well"})
        stage.tell({"type": "transcript", "role": "user", "text": "well, hello"})
        assert talking == [False, True, False]
        [turn] = stage.session.transcript.value
        assert (turn.role, turn.text, turn.is_final) == (AgentRole.USER, "well, hello", True)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"api_key": KEY},
        {"token_source": "wct_1"},
        {"api_key": KEY, "agent_id": AGENT, "microphone": object()},
        {"api_key": KEY, "agent_id": AGENT, "speaker": 5},
        {"api_key": KEY, "agent_id": AGENT, "mute_while_agent_speaks": 1},
        {"api_key": KEY, "agent_id": AGENT, "tools": [len]},
        {"api_key": KEY, "agent_id": AGENT, "sample_rate": 24_000.0},
        {"api_key": KEY, "agent_id": AGENT, "mode": "phone"},
        {"api_key": KEY, "agent_id": AGENT, "base_url": "http://example.com"},
    ],
)
async def test_what_cannot_be_is_refused_when_it_is_made(options: dict[str, object]) -> None:
    with pytest.raises(UTDStreamException) as refused:
        partial(AtomsAgentSession, **options)()  # type: ignore[arg-type] # what is tested
    assert refused.value.code is UTDErrorCode.VALIDATION
