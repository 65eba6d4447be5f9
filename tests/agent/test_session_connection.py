"""A voice agent's session comes and goes, on virtual time."""

from __future__ import annotations

import asyncio

import pytest

from tests.agent.stage import AGENT, KEY, RATE, START, STOP, noise, sound, staged
from utd_rx import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.agent import AgentStatus
from utd_rx.models.agent_events import AgentEvent

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


@pytest.mark.parametrize(("error", "passes"), [(OSError("no route"), True), (KeyError(), False)])
async def test_a_socket_that_fails_by_itself_is_told_and_tried_again_where_it_may_pass(
    error: Exception, passes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise error

    async with staged() as stage:
        with monkeypatch.context() as broken:
            broken.setattr(stage.socket, "run", fail)
            starting = asyncio.create_task(stage.session.start())
            await stage.clock.advance(1.0)
            assert starting.done() is not passes
            failure = stage.session.failure.value
            assert failure is not None
            assert "the agent's socket failed" in failure.message
        if not passes:
            with pytest.raises(UTDStreamException, match="the agent's socket failed"):
                await starting
            starting = asyncio.create_task(stage.session.start())
        await stage.clock.advance(10.0)
        stage.create()
        await starting


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
