"""A voice agent's session: what is said and heard, on virtual time."""

from __future__ import annotations

import asyncio
import json
from functools import partial

import numpy as np
import pytest

from tests.agent.stage import AGENT, KEY, RATE, noise, sound, staged
from utd_rx import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.agent.session import AtomsAgentSession
from utd_rx.agent.tool_calls import MAX_RUNNING
from utd_rx.agent.tools import agent_tool
from utd_rx.models.agent import AgentRole, AgentStatus
from utd_rx.models.agent_events import AgentAudio, AgentEvent, UnknownAgentEvent
from utd_rx.models.audio import AudioFormat, AudioInputStream, FrameSink

START, STOP, CUT = "agent_start_talking", "agent_stop_talking", "interruption"


# --- connecting ---------------------------------------------------------------------------------


async def test_a_start_is_over_when_the_agent_listens() -> None:
    async with staged(sample_rate=16_000, variables={"name": "Ada"}) as stage:
        starting = asyncio.create_task(stage.session.start())
        await stage.socket.until(lambda socket: socket.is_open)
        assert not starting.done()
        stage.create()
        await starting
        assert stage.statuses == ["idle", "connecting", "listening"]
        assert stage.session.session_id.value == "s1"
        assert stage.session.call_id.value == "CALL-1"
        [address] = stage.socket.addresses
        assert KEY not in address.url
        assert address.headers["Authorization"] == f"Bearer {KEY}"
        for part in (f"agent_id={AGENT}", "sample_rate=16000", "mode=webcall", "variables="):
            assert part in address.url


async def test_a_second_start_is_refused_and_harms_nothing() -> None:
    async with staged() as stage:
        await stage.start()
        with pytest.raises(UTDStreamException) as refused:
            await stage.session.start()
        assert refused.value.reason is ConflictReason.ALREADY
        assert stage.session.connected.value


async def test_what_is_final_is_raised_at_once() -> None:
    async with staged() as stage:
        stage.socket.refuse(401)
        with pytest.raises(UTDStreamException) as refused:
            await stage.session.start()
        assert (refused.value.code, refused.value.status_code) == (UTDErrorCode.UNAUTHORIZED, 401)
        assert stage.session.status.value is AgentStatus.CLOSED
        failure = stage.session.failure.value
        assert failure is not None
        assert (failure.code, failure.retryable) == ("401", False)
        assert len(stage.socket.addresses) == 1


async def test_what_may_pass_is_tried_again_until_it_does() -> None:
    async with staged() as stage:
        stage.socket.refuse(503)
        starting = asyncio.create_task(stage.session.start())
        await stage.clock.advance(5.0)
        tried = len(stage.socket.addresses)
        assert 3 <= tried <= 6
        assert not starting.done()
        stage.socket.end_of_all = None
        await stage.clock.advance(10.0)
        stage.create()
        await starting
        assert len(stage.socket.addresses) == tried + 1
        assert stage.session.failure.value is None


async def test_a_start_that_is_cancelled_stops() -> None:
    async with staged() as stage:
        starting = asyncio.create_task(stage.session.start())
        await stage.socket.until(lambda socket: socket.is_open)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert stage.session.status.value is AgentStatus.CLOSED
        await stage.start()


async def test_a_token_is_minted_for_each_attempt() -> None:
    tokens = (f"wct_{number}" for number in range(1, 9))

    async def mint() -> str:
        return next(tokens)

    async with staged(token_source=mint) as stage:
        await stage.start()
        stage.socket.lose()
        await stage.clock.advance(1.0)
        stage.create()
        assert await stage.session.session_id.until("s2") == "s2"
        bearers = [address.headers["Authorization"] for address in stage.socket.addresses]
        assert bearers == ["Bearer wct_1", "Bearer wct_2"]
        assert stage.statuses[-3:] == ["listening", "reconnecting", "listening"]
        assert stage.session.statistics.value.reconnects == 1


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (UTDStreamException("no", code=UTDErrorCode.UNAUTHORIZED, status_code=401), "401"),
        (UTDStreamException("no", code=UTDErrorCode.NOT_FOUND, status_code=404), "404"),
        (KeyError("sk_secret"), "unknown"),
    ],
)
async def test_a_source_that_fails_for_good_ends_the_start(raised: Exception, code: str) -> None:
    async def mint() -> str:
        raise raised

    async with staged(token_source=mint) as stage:
        with pytest.raises(UTDStreamException) as failed:
            await stage.session.start()
        assert "sk_secret" not in str(failed.value)
        failure = stage.session.failure.value
        assert failure is not None
        assert failure.code == code
        assert stage.socket.addresses == []


async def test_a_source_that_fails_for_now_is_asked_again() -> None:
    answers: list[Exception | str] = [
        OSError("no network"),
        UTDStreamException("drains", code=UTDErrorCode.SERVER, status_code=503),
        "wct_1",
    ]

    async def mint() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with staged(token_source=mint) as stage:
        starting = asyncio.create_task(stage.session.start())
        await stage.clock.advance(3.0)
        stage.create()
        await starting
        assert answers == []


# --- going --------------------------------------------------------------------------------------


async def test_a_stop_says_goodbye_and_tolerates_everything() -> None:
    async with staged() as stage:
        await stage.session.stop()
        assert stage.statuses == ["idle"]
        await stage.start()
        await asyncio.gather(stage.session.stop(), stage.session.stop())
        assert stage.sent == [{"type": "session.close"}]
        assert stage.socket.goodbyes == [1000]
        assert stage.statuses[-1] == "closed"
        assert stage.session.failure.value is None
        await stage.session.stop()
        await stage.start()  # a new session
        assert stage.session.session_id.value == "s2"


async def test_what_a_socket_tells_after_its_goodbye_is_nobodys() -> None:
    async with staged() as stage:
        await stage.start()
        events: list[AgentEvent] = []
        stage.session.events.subscribe(events.append)
        stage.socket.is_stuck = True
        stopping = asyncio.create_task(stage.session.stop())
        await asyncio.sleep(0)
        stage.tell(START, {"type": "transcript", "role": "user", "text": "one"})
        await stage.clock.advance(3.5)
        await stopping
        assert (events, stage.session.transcript.value) == ([], ())
        assert stage.session.statistics.value.late_events == 0


async def test_a_stop_is_silent_at_once() -> None:
    async with staged() as stage:
        await stage.start()
        stage.tell(START, sound(noise(5.0)), STOP)
        await stage.clock.advance(1.0)
        assert stage.session.status.value is AgentStatus.SPEAKING
        await stage.session.stop()
        before = len(stage.heard)
        await stage.clock.advance(2.0)
        assert len(stage.heard) <= before + 0.02 * RATE
        assert not stage.session.agent_talking.value


async def test_a_pause_is_a_new_session_with_the_same_transcript() -> None:
    async with staged(noise(9.0)) as stage:
        with pytest.raises(UTDStreamException) as refused:
            await stage.session.pause()
        assert refused.value.reason is ConflictReason.NOT_JOINED
        await stage.start()
        stage.tell({"type": "transcript", "role": "user", "text": "one"})
        await stage.session.pause()
        assert stage.socket.goodbyes == [1000]
        assert stage.session.status.value is AgentStatus.PAUSED
        with pytest.raises(UTDStreamException) as refused:
            await stage.session.start()
        assert refused.value.reason is ConflictReason.ALREADY
        resuming = asyncio.create_task(stage.session.resume())
        await stage.socket.until(lambda socket: socket.is_open)
        stage.create()
        await resuming
        stage.tell({"type": "transcript", "role": "user", "text": "two"})
        assert [turn.text for turn in stage.session.transcript.value] == ["one", "two"]
        with pytest.raises(UTDStreamException) as refused:
            await stage.session.resume()
        assert refused.value.reason is ConflictReason.NOT_JOINED


async def test_after_closing_commands_raise_and_streams_stay_readable() -> None:
    async with staged() as stage:
        await stage.start()
        completed: list[bool] = []
        stage.session.events.subscribe(on_completed=lambda: completed.append(True))
        await stage.session.aclose()
        await stage.session.aclose()
        assert completed == [True]
        assert stage.session.status.value is AgentStatus.CLOSED
        for command in (stage.session.start, stage.session.stop, stage.session.mute):
            with pytest.raises(UTDStreamException) as refused:
                await command()
            assert refused.value.reason is ConflictReason.CLOSED


async def test_a_peer_that_takes_nothing_holds_up_no_stop() -> None:
    async with staged() as stage:
        await stage.start()
        stage.socket.is_stuck = True
        stopping = asyncio.create_task(stage.session.stop())
        await stage.clock.advance(3.5)
        await stopping
        assert stage.socket.dropped == 1


# --- what is heard ------------------------------------------------------------------------------


async def test_the_agent_talks_until_it_was_heard_and_not_until_it_was_sent() -> None:
    async with staged() as stage:
        await stage.start()
        said = noise(3.0)
        stage.tell(START, *map(sound, np.array_split(said, 150)), STOP)
        await stage.clock.advance(2.9)
        assert stage.session.agent_talking.value
        await stage.clock.advance(0.3)
        assert not stage.session.agent_talking.value
        assert np.array_equal(stage.heard, said)


async def test_an_interruption_is_silent_at_once_and_what_is_late_is_dropped() -> None:
    async with staged() as stage:
        await stage.start()
        first, late, second = noise(3.0), noise(0.5), noise(0.5)
        stage.tell(START, sound(first))
        await stage.clock.advance(1.0)
        stage.tell(CUT, sound(late))
        assert not stage.session.agent_talking.value
        cut_at = len(stage.heard)
        stage.tell(sound(late))
        await stage.clock.advance(1.0)
        heard = stage.heard
        assert cut_at <= len(heard) <= cut_at + 0.02 * RATE
        assert np.array_equal(heard[:cut_at], first[:cut_at])
        assert 0.9 * RATE <= cut_at <= 1.02 * RATE
        stage.tell(START, sound(second), STOP)
        await stage.clock.advance(1.0)
        assert np.array_equal(stage.heard[-len(second) :], second)
        assert not np.isin(stage.heard[len(heard) :], late[:100]).all()


async def test_all_of_it_may_come_in_one_turn_of_the_loop() -> None:
    """Sound is judged by what came before it, not by what was known before the batch."""
    async with staged() as stage:
        await stage.start()
        void, said = noise(0.3), noise(0.3)
        stage.tell(START, sound(void), CUT, sound(void), START, sound(said), STOP)
        await stage.clock.advance(1.0)
        assert np.array_equal(stage.heard[-len(said) :], said)
        assert len(stage.heard) <= len(said) + 0.02 * RATE


async def test_what_arrived_before_a_loss_is_heard_to_its_end_and_marked() -> None:
    async with staged() as stage:
        await stage.start()
        first, second = noise(2.0), noise(0.2)
        told = {"type": "transcript.delta", "role": "assistant", "text": "I was about"}
        stage.tell(START, sound(first), told)
        await stage.clock.advance(0.1)
        stage.socket.lose()
        await stage.clock.advance(1.0)
        stage.create()
        stage.tell(START, sound(second), STOP)
        await stage.clock.advance(3.0)
        assert np.array_equal(stage.heard, np.concatenate([first, second]))
        assert [turn.was_cut for turn in stage.session.transcript.value] == [True]


async def test_events_are_told_after_what_they_changed() -> None:
    async with staged() as stage:
        await stage.start()
        seen: list[tuple[AgentEvent, bool]] = []
        session = stage.session
        session.events.subscribe(lambda event: seen.append((event, session.agent_talking.value)))
        stage.tell(START, sound(noise(0.1)), {"type": "weather", "sky": "blue"})
        assert [told for _, told in seen] == [True, True, True]
        assert isinstance(seen[1][0], AgentAudio)
        assert isinstance(seen[2][0], UnknownAgentEvent)
        assert session.statistics.value.unknown_events == 1
        stage.socket.tell("{", "[]", json.dumps({"type": "output_audio.delta", "audio": "!"}))
        stage.socket.babble()
        assert session.statistics.value.malformed_messages == 4
        assert session.connected.value


# --- what is said -------------------------------------------------------------------------------


async def test_the_microphone_is_sent_when_the_session_is_there_and_to_the_sample() -> None:
    said = noise(0.4)
    async with staged(said) as stage:
        starting = asyncio.create_task(stage.session.start())
        await stage.clock.advance(1.0)
        assert stage.socket.sent == []
        stage.create()
        await starting
        await stage.clock.advance(1.0)
        assert np.array_equal(np.trim_zeros(stage.said), said)


async def test_who_is_muted_sends_silence() -> None:
    async with staged(noise(9.0)) as stage:
        await stage.start()
        await stage.session.mute()
        await stage.clock.advance(1.0)
        assert stage.session.muted.value
        assert len(stage.said) > 0.9 * RATE
        assert not stage.said[round(0.1 * RATE) :].any()
        await stage.session.unmute()
        before = len(stage.said)
        await stage.clock.advance(1.0)
        assert stage.said[before + round(0.1 * RATE) :].all()


async def test_the_microphone_is_shut_until_the_agent_was_heard() -> None:
    async with staged(noise(9.0), mute_while_agent_speaks=True) as stage:
        await stage.start()
        await stage.clock.advance(0.5)
        stage.tell(START, sound(noise(2.0)), STOP)  # the server is done; the speaker is not
        before = len(stage.said)
        await stage.clock.advance(1.9)
        assert not stage.said[before + round(0.05 * RATE) :].any()
        await stage.clock.advance(0.4)
        before = len(stage.said)
        await stage.clock.advance(0.5)
        assert stage.said[before:].all()


async def test_what_the_peer_does_not_take_is_dropped_but_no_message() -> None:
    async with staged(noise(30.0)) as stage:
        await stage.start()
        stage.socket.is_stuck = True
        await stage.clock.advance(10.0)
        writing = asyncio.create_task(stage.session.send_text("hello"))
        await stage.clock.advance(0.5)
        statistics = stage.session.statistics.value
        assert statistics.audio_dropped > 400
        assert 800 <= statistics.queue_ms <= 1_100
        stage.socket.unstick()
        await writing
        assert {"type": "input_text.send", "text": "hello"} in stage.sent


async def test_what_is_said_between_two_sessions_is_for_nobody() -> None:
    async with staged(noise(9.0)) as stage:
        await stage.start()
        await stage.clock.advance(0.5)
        stage.socket.is_stuck = True
        await stage.clock.advance(0.1)  # some of it waits
        stage.socket.refuse(503)
        stage.socket.lose()
        stage.socket.unstick()
        await stage.clock.advance(4.0)
        stage.socket.end_of_all = None
        await stage.clock.advance(8.0)
        before = len(stage.said)
        stage.create()
        await stage.clock.advance(0.5)
        assert len(stage.said) - before <= 0.55 * RATE
        assert stage.session.statistics.value.audio_dropped == 0


async def test_who_speaks_is_heard_here_and_cuts_the_agent_off_if_told_so() -> None:
    silence = np.zeros(2 * RATE, np.int16)
    said = np.concatenate([silence, noise(1.0), silence])
    async with staged(said, local_barge_in=True) as stage:
        await stage.start()
        talking: list[bool] = []
        stage.session.user_talking.subscribe(talking.append)
        stage.tell(START, sound(noise(9.0)))
        await stage.clock.advance(1.9)
        assert stage.session.agent_talking.value
        await stage.clock.advance(0.6)
        assert talking == [False, True]
        assert not stage.session.agent_talking.value
        heard = len(stage.heard)
        assert heard < 2.5 * RATE
        stage.tell(sound(noise(1.0)))  # the server has not noticed yet
        await stage.clock.advance(2.5)
        assert len(stage.heard) == heard
        assert talking == [False, True, False]


@pytest.mark.parametrize("rate", [8_000, 48_000])
async def test_the_wire_has_the_rate_that_the_server_says(rate: int) -> None:
    async with staged(np.full(RATE, 1_000, np.int16)) as stage:
        await stage.start(rate)
        stage.tell(START, sound(np.full(rate, 500, np.int16)), STOP)
        await stage.clock.advance(2.0)
        assert len(np.trim_zeros(stage.said)) == pytest.approx(rate, rel=0.01)
        assert len(stage.heard) == pytest.approx(RATE, rel=0.01)  # the sink keeps its own
        assert np.median(stage.heard) == 500


async def test_a_microphone_that_does_not_open_ends_the_session_and_says_why() -> None:
    class Broken:
        format = AudioFormat(RATE)

        async def open(self, sink: FrameSink) -> AudioInputStream:
            raise UTDStreamException("it is on fire", code=UTDErrorCode.NOT_FOUND)

    async with staged(microphone=Broken()) as stage:
        await stage.start()
        await stage.session.status.until(AgentStatus.CLOSED)
        failure = stage.session.failure.value
        assert failure is not None
        assert (failure.message, failure.retryable) == ("it is on fire", False)
        await stage.session.stop()
        assert stage.socket.goodbyes == [1000]


# --- texts and tools ----------------------------------------------------------------------------


async def test_a_text_waits_for_the_session() -> None:
    async with staged() as stage:
        with pytest.raises(UTDStreamException) as refused:
            await stage.session.send_text("hello")
        assert refused.value.reason is ConflictReason.NOT_JOINED
        await stage.start()
        await stage.session.send_text("one")
        stage.socket.lose()
        writing = asyncio.create_task(stage.session.send_text("two"))
        await stage.clock.advance(1.0)
        stage.create()
        await writing
        assert [one["text"] for one in stage.sent] == ["one", "two"]
        stage.socket.lose()
        stage.socket.refuse(503)
        writing = asyncio.create_task(stage.session.send_text("three"))
        await stage.clock.advance(11.0)
        with pytest.raises(UTDStreamException) as late:
            await writing
        assert late.value.code is UTDErrorCode.TIMEOUT


@pytest.mark.parametrize("text", ["", "x" * (64 * 1024 + 1), None, b"hello"])
async def test_what_is_no_text_is_refused(text: str) -> None:
    async with staged() as stage:
        await stage.start()
        with pytest.raises(UTDStreamException) as refused:
            await stage.session.send_text(text)
        assert refused.value.code is UTDErrorCode.VALIDATION


async def test_a_tool_is_declared_called_and_answered_once() -> None:
    asked: list[str] = []

    async def weather(city: str) -> str:
        asked.append(city)
        return f"sunny in {city}"

    async def note(text: str) -> None:
        asked.append(text)

    tools = weather, agent_tool(note, expects_response=False)
    async with staged(tools=tools) as stage:
        await stage.start()
        [declared] = stage.sent
        assert declared["type"] == "session.update"
        assert [tool["name"] for tool in declared["tools"]] == ["weather", "note"]
        call = {"type": "function_call", "name": "weather", "arguments": {"city": "Wien"}}
        written = {"type": "function_call", "name": "note", "arguments": {"text": "a"}}
        stage.tell({**call, "call_id": "1"}, {**call, "call_id": "1"}, {**written, "call_id": "2"})
        stage.tell({**call, "name": "climate", "call_id": "3"})
        await stage.clock.advance(0.1)
        assert sorted(asked) == ["Wien", "a"]
        told = {one["call_id"]: one["output"] for one in stage.sent[1:]}
        assert told["1"] == "sunny in Wien"
        assert json.loads(told["3"]) == {"error": "LookupError: no tool is called climate"}
        assert sorted(told) == ["1", "3"]


async def test_a_result_is_for_the_session_that_asked() -> None:
    go_on = asyncio.Event()

    async def slow() -> str:
        await go_on.wait()
        return "late"

    async with staged(tools=[slow]) as stage:
        await stage.start()
        stage.tell({"type": "function_call", "name": "slow", "arguments": {}, "call_id": "1"})
        stage.socket.lose()
        await stage.clock.advance(1.0)
        stage.create()
        await stage.session.session_id.until("s2")
        go_on.set()
        await stage.clock.advance(0.1)
        assert [one["type"] for one in stage.sent] == ["session.update", "session.update"]


async def test_calls_beyond_a_bound_are_answered_with_an_error() -> None:
    go_on = asyncio.Event()

    async def slow() -> None:
        await go_on.wait()

    async with staged(tools=[slow]) as stage:
        await stage.start()
        call = {"type": "function_call", "name": "slow", "arguments": {}}
        stage.tell(*({**call, "call_id": str(number)} for number in range(MAX_RUNNING + 1)))
        await stage.clock.advance(0.1)
        [told] = stage.sent[1:]
        assert told["call_id"] == str(MAX_RUNNING)
        assert json.loads(told["output"]) == {"error": "RuntimeError: 32 calls are running"}
        go_on.set()
        await stage.clock.advance(0.1)
        assert len(stage.sent) == MAX_RUNNING + 2


# --- what is shown ------------------------------------------------------------------------------


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
        partial(AtomsAgentSession, **options)()  # type: ignore[arg-type]
    assert refused.value.code is UTDErrorCode.VALIDATION
