"""`AgentCall`: one session as the agent's side sees it: what it hears, and what it can do.

Theory of operation: what the client sends is read all the time. What the protocol answers by itself
(faults, tools, the goodbye) is answered at once, the rest is kept for the agent: a coroutine that
runs beside it and calls the methods below. When the agent returns, the session stays; when the line
is over, the agent is cancelled. An agent may do what a real one never would: tests need that.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import secrets
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from math import ceil, inf
from sys import getsizeof
from typing import Final

import numpy as np

from utd_rx.engine.agent.gate import AgentAdmission
from utd_rx.engine.agent.line import AgentLine
from utd_rx.engine.agent.messages import (
    ClientFault,
    CloseAsked,
    DeclaredTool,
    SoundSent,
    TextSent,
    ToolAnswered,
    ToolsDeclared,
    read_message,
)
from utd_rx.engine.agent.voice import spoken
from utd_rx.engine.engine_clock import EngineClock
from utd_rx.engine.newest import Newest
from utd_rx.engine.web_socket import WebSocket
from utd_rx.models.audio import Samples

CHUNK_SECONDS: Final = 0.02
"""Of sound in an `output_audio.delta`, as the vendor's server was seen to send it."""

MAX_WAITING: Final = 3_000
"""Messages kept for an agent that does not listen, a minute of sound; the oldest are dropped."""

MAX_WAITING_BYTES: Final = 8 * 1024 * 1024
"""Of them together, and of `texts`."""

MAX_HEARD: Final = 30_000
"""Pieces of sound that `heard` remembers, ten minutes of 20 ms; the oldest are dropped."""

MAX_HEARD_BYTES: Final = 64 * 1024 * 1024
"""Of them together: ten minutes of 48 kHz, and some."""

_log = logging.getLogger(__name__)


class AgentCall:
    """One session; made by `LocalAgent`, given to its agent.

    Attributes:
        admission: Whom it is with, mode, sample rate, variables.
        query: The parameters that the client connected with; of a token nothing but its kind.
        session_id: What `create` tells.
        call_id: What `create` tells.
        tools: The client's, by name, as last declared.
        texts: What was typed to it, the last 3,000 and 8 MiB.
        heard_seconds: How much sound the client sent.
        faults: The codes of the messages that were refused.
    """

    def __init__(
        self,
        ws: WebSocket,
        query: Mapping[str, str],
        admission: AgentAdmission,
        clock: EngineClock,
    ) -> None:
        self.admission = admission
        self.query = dict(query)
        if "token" in self.query:
            self.query["token"] = self.query["token"][:4]
        self.session_id = f"sess_{secrets.token_hex(12)}"
        self.call_id = f"CALL-{secrets.token_hex(8)}"
        self.tools: dict[str, DeclaredTool] = {}
        self.texts: Newest[str] = Newest(MAX_WAITING, MAX_WAITING_BYTES, getsizeof)
        self.heard_seconds = 0.0
        self.faults: deque[str] = deque(maxlen=MAX_WAITING)
        self._clock = clock
        self._line = AgentLine(ws)
        self._heard: Newest[bytes] = Newest(MAX_HEARD, MAX_HEARD_BYTES, getsizeof)
        self._waiting: Newest[SoundSent | TextSent] = Newest(
            MAX_WAITING, MAX_WAITING_BYTES, _size_of
        )
        self._answers: dict[str, asyncio.Future[str]] = {}
        self._news = asyncio.Event()
        self._said: str | None = None
        self._played_until = -inf

    def __repr__(self) -> str:
        return f"<AgentCall {self.call_id}{'' if self.is_open else ' over'}>"

    @property
    def sample_rate(self) -> int:
        """Hz, of both directions."""
        return self.admission.sample_rate

    @property
    def is_open(self) -> bool:
        """Whether the client is still there, as far as this side knows."""
        return self._line.is_open

    @property
    def end(self) -> int | None:
        """The close code that the client ended it with, None before and otherwise."""
        return self._line.end

    @property
    def is_talking(self) -> bool:
        """Whether a turn is under way, or would still be heard by who plays it at once."""
        return self._said is not None or self._clock.monotonic() < self._played_until

    @property
    def heard(self) -> Samples:
        """What the client's microphone sent, at most the last ten minutes of it."""
        return np.frombuffer(b"".join(self._heard), dtype="<i2").astype(np.int16)

    # --- hearing --------------------------------------------------------------------------------

    async def messages(self) -> AsyncIterator[SoundSent | TextSent]:
        """Yield the sound and the texts of the client, for as long as the session lasts."""
        while self.is_open:
            while self._waiting:
                yield self._waiting.popleft()
            await self._changed()

    async def until(self, is_so: Callable[[AgentCall], object]) -> None:
        """Wait until something holds of this session; asked after whatever the client sends."""
        while not is_so(self):
            await self._changed()

    async def ended(self) -> None:
        """Wait for the end of the session."""
        await self._line.ended()

    # --- speaking -------------------------------------------------------------------------------

    async def create(self, sample_rate: int | None = None) -> None:
        """Say that the session is there, at another `sample_rate` than was agreed on if given."""
        rate = sample_rate or self.sample_rate
        names = {"session_id": self.session_id, "call_id": self.call_id}
        await self.send("session.created", **names, sample_rate=rate, channels=1)

    async def say(
        self,
        text: str,
        samples: Samples | None = None,
        *,
        speed: float = inf,
        cut_after: float | None = None,
        dotted: bool = False,
    ) -> None:
        """Say something as one turn: start, sound with its transcript as it grows, stop, the final.

        Args:
            text: What is said.
            samples: How it sounds, int16 at the session's rate; None for a hum of its length.
            speed: How much faster than it is heard the sound is sent.
            cut_after: Seconds of its sound after which it is interrupted.
            dotted: Whether start and stop are spelled with a dot.
        """
        await self._tell_talking("start", dotted)
        self._said = ""
        if self.admission.mode == "webcall":
            sound = spoken(text, self.sample_rate) if samples is None else samples
            count = len(sound) if cut_after is None else round(cut_after * self.sample_rate)
            async for sent in self._pace(sound[:count], speed):
                await self._grow(text, sent / len(sound))
        if cut_after is not None:
            await self.interrupt(dotted=dotted)
            return
        self._said = None
        await self._tell_talking("stop", dotted)
        await self.send("transcript", role="assistant", text=text)

    async def sound(self, samples: Samples, *, speed: float = inf) -> None:
        """Send bare sound, int16 at the session's rate, in pieces of 20 ms."""
        async for _ in self._pace(samples, speed):
            pass

    async def interrupt(self, *, dotted: bool = False) -> None:
        """Say that the user spoke over the agent; a turn under way ends as far as it came."""
        said, self._said, self._played_until = self._said, None, -inf
        await self.send("interruption")
        if said is not None:
            await self._tell_talking("stop", dotted)
            await self.send("transcript", role="assistant", text=said)

    async def hear(self, text: str, *, is_final: bool = True) -> None:
        """Tell what the user said, or has said so far."""
        await self.send("transcript" if is_final else "transcript.delta", role="user", text=text)

    async def call_tool(self, name: str, arguments: dict[str, object]) -> str | None:
        """Have the client run a tool; return its answer, None when none is awaited or none came."""
        tool, call_id = self.tools[name], f"fc_{secrets.token_hex(8)}"
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        if tool.answers:
            self._answers[call_id] = answer
        await self.send("function_call", call_id=call_id, name=name, arguments=arguments)
        if not tool.answers:
            return None
        timer = self._clock.call_at(
            self._clock.monotonic() + tool.timeout, lambda: _give_up(answer)
        )
        try:
            await asyncio.wait((answer,))
        finally:
            timer.cancel()
            self._answers.pop(call_id, None)
        if answer.cancelled():
            await self.fail("tool_timeout", f"no answer of {name} in {tool.timeout:g} s")
            return None
        return answer.result()

    async def fail(self, code: str, message: str) -> None:
        """Tell an error; the session goes on."""
        await self.send("error", code=code, message=message)

    async def send(self, kind: str, **fields: object) -> None:
        """Send an event of any type, known or not."""
        await self.send_raw(json.dumps({"type": kind, **fields}))

    async def send_raw(self, frame: str | bytes) -> None:
        """Send a frame with anything in it; once the session is over it is lost."""
        await self._line.send(frame)

    async def wait(self, seconds: float) -> None:
        """Let time pass."""
        await self._clock.sleep(seconds)

    # --- ending ---------------------------------------------------------------------------------

    async def finish(self, reason: str = "ended") -> None:
        """End the session as a server does: `session.closed`, then 1000."""
        await self.send("session.closed", reason=reason)
        await self.close()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the socket with any code, without another word."""
        await self._line.close(code, reason)

    async def cut(self) -> None:
        """Break the connection, without a goodbye."""
        self._line.cut()

    async def vanish(self) -> None:
        """Be gone without a word, as after a power cut: no FIN, no answer to a ping."""
        self._line.vanish()

    # --- serving --------------------------------------------------------------------------------

    async def serve(self, agent: Callable[[AgentCall], Awaitable[object]]) -> None:
        """Open the line, and serve the session to its end."""
        await self._line.open()
        serving = asyncio.create_task(self._line.serve(self._take), name="agent-line")
        acting = asyncio.create_task(self._act(agent), name="agent")
        try:
            await self._line.ended()
            self._news.set()
            acting.cancel()
            await serving
        finally:
            for task in (acting, serving):
                task.cancel()
            await asyncio.gather(acting, serving, return_exceptions=True)

    async def _act(self, agent: Callable[[AgentCall], Awaitable[object]]) -> None:
        try:
            await agent(self)
        except Exception:  # noqa: BLE001 - the agent is the user's; its client is told, and the log
            _log.exception("an agent failed; its session ends")
            await self.close(1011, "the agent failed")

    async def _take(self, frame: str | bytes) -> None:
        try:
            await self._answer(frame)
        except ClientFault as fault:
            self.faults.append(fault.code)
            await self.fail(fault.code, str(fault))
        self._news.set()

    async def _answer(self, frame: str | bytes) -> None:
        match read_message(frame):
            case SoundSent(pcm) as sound:
                self.heard_seconds += len(pcm) / 2 / self.sample_rate
                self._heard.append(pcm)
                self._waiting.append(sound)
            case TextSent(text) as typed:
                self.texts.append(text)
                self._waiting.append(typed)
            case ToolsDeclared(tools) if tools is not None:
                self.tools = {tool.name: tool for tool in tools}
                await self.send("session.updated", tools=list(self.tools))
            case ToolAnswered(call_id, output):
                if (answer := self._answers.pop(call_id, None)) is None or answer.done():
                    raise ClientFault("unknown_call_id", "no answer of that id is awaited")
                answer.set_result(output)
            case CloseAsked():
                await self.finish("client_requested")

    async def _pace(self, samples: Samples, speed: float) -> AsyncIterator[int]:
        """Send sound in pieces; yield behind each how many samples were sent."""
        clock, rate = self._clock, self.sample_rate
        began, size = clock.monotonic(), round(CHUNK_SECONDS * rate)
        for at in range(0, len(samples), size):
            # Also when it is late: others want to run.
            await clock.sleep(max(0.0, began + at / rate / speed - clock.monotonic()))
            piece = samples[at : at + size]
            audio = base64.b64encode(piece.astype("<i2").tobytes()).decode()
            await self.send("output_audio.delta", audio=audio)
            heard_from = max(self._played_until, clock.monotonic())
            self._played_until = heard_from + len(piece) / rate
            yield at + len(piece)

    async def _grow(self, text: str, share: float) -> None:
        """Tell the transcript of a turn of which a share was sent, once it has another word."""
        words = text.split(" ")
        said = " ".join(words[: ceil(share * len(words))])
        if said != self._said:
            self._said = said
            await self.send("transcript.delta", role="assistant", text=said)

    async def _tell_talking(self, what: str, dotted: bool) -> None:
        """Tell that a turn starts or stops, in one of the two spellings there are of it."""
        if dotted:
            await self.send(f"agent.{what}_talking")
            return
        now = datetime.fromtimestamp(self._clock.wall(), UTC).replace(tzinfo=None)
        timestamp = now.isoformat(timespec="microseconds")  # without a zone, as the vendor's
        await self.send(f"agent_{what}_talking", timestamp=timestamp)

    async def _changed(self) -> None:
        self._news.clear()
        await self._news.wait()


def _size_of(message: SoundSent | TextSent) -> int:
    return getsizeof(message.pcm if isinstance(message, SoundSent) else message.text)


def _give_up(answer: asyncio.Future[str]) -> None:
    answer.cancel()
