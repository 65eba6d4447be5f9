"""`utd-rx demo call`: anna calls ben, each says a word, anna hangs up."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import numpy as np
from attrs import frozen

from utd_rx import (
    ArraySource,
    AudioComparison,
    IncomingCall,
    UTDCallEndReason,
    UTDCallStatus,
    UTDStreamType,
    WavSource,
)
from utd_rx.audio import read_wav
from utd_rx.cli.demo.journal import DemoJournal
from utd_rx.cli.demo.report import Finding, Step, connects, covered, hears, in_order
from utd_rx.cli.demo.sound import LEAD, Speech, Way, silence
from utd_rx.cli.demo.story import PATIENCE, TAIL, Story, spoken, start_engine, until_over
from utd_rx.engine import LocalEngine
from utd_rx.engine.livekit_media import LiveKitMedia
from utd_rx.models.audio import Samples

CALLER: Final = "anna"
CALLEE: Final = "ben"
USERS: Final = (CALLER, CALLEE)
TO_BEN: Final = Way("anna says", ("ben hears",))
TO_ANNA: Final = Way("ben says", ("anna hears",))
SUBJECT: Final = "lunch"
"""What the callee's phone shows with the call: metadata of the caller's."""

HESITATION: Final = 1.2
"""Seconds that ben lets it ring, for the picture to show."""

MAX_RINGING: Final = 2.0
"""Seconds from dialling to a ringing phone: two requests to the engine and one frame."""

MAX_ANSWER: Final = 2.0
"""Seconds between the two becoming `ACTIVE`, and between the two hearing of the end."""

PROMISED: Final[Mapping[str, tuple[Step, ...]]] = {
    "anna sees it ring, active and ended": (
        (CALLER, "status", "initiating"),
        (CALLER, "status", "ringing"),
        (CALLER, "status", "active"),
        (CALLER, "status", "ended"),
    ),
    "ben sees it ring, active and ended": (
        (CALLEE, "status", "ringing"),
        (CALLEE, "status", "active"),
        (CALLEE, "status", "ended"),
    ),
    **connects(USERS),
}


@frozen
class Talk:
    """What the story leaves to be judged; seconds."""

    incoming: IncomingCall
    rang_after: float
    heard_by_ben: AudioComparison
    heard_by_anna: AudioComparison
    left_behind: tuple[str, ...]

    @property
    def figures(self) -> Mapping[str, object]:
        return {
            "rang_after": self.rang_after,
            "heard_by_ben": self.heard_by_ben,
            "heard_by_anna": self.heard_by_anna,
        }


async def play(sfu: str, journal: DemoJournal, speech: WavSource, out: Path) -> Talk:
    """Play the story: anna says `speech`, ben the same backwards; both are recorded."""
    speech_format, samples = read_wav(speech.path)
    rate = speech_format.sample_rate
    anna_word, ben_word = words(samples, rate)
    said = ArraySource(anna_word, rate)
    to_ben = Speech(journal, TO_BEN, said, out)
    to_anna = Speech(journal, TO_ANNA, ArraySource(ben_word, rate), out)
    async with AsyncExitStack() as stack:
        engine, make_client = await start_engine(stack, journal, sfu)
        clients = [await make_client() for _ in USERS]
        sessions = []
        for who, client, mouth in zip(USERS, clients, (to_ben.mouth, to_anna.mouth), strict=True):
            await client.authenticate(who, name=who.capitalize())
            journal.watch(who, "signal_connected", client.signal_connected)
            session = client.call_session(UTDStreamType.AUDIO_CALL, microphone=mouth)
            sessions.append(await stack.enter_async_context(session))
            for name in CALL.watched:
                journal.watch(who, name, getattr(session, name))
            await client.signal_connected.until(True, timeout=PATIENCE)
            journal.say(f"{who} can be called")
        anna, ben = sessions
        listening = (to_ben.listen(stack, CALLER, ben), to_anna.listen(stack, CALLEE, anna))
        over = (spoken(anna), spoken(ben))
        rings: asyncio.Future[tuple[IncomingCall, float]] = (
            asyncio.get_running_loop().create_future()
        )

        def ring(call: IncomingCall) -> None:
            rings.set_result((call, journal.elapsed()))
            told = f"{call.caller_name}, about {call.metadata.get('subject')}"
            journal.say(f"{CALLEE}'s phone rings: {told}")

        clients[1].incoming_calls.subscribe(ring)

        dialled_at = journal.elapsed()
        await anna.start(CALLEE, metadata={"subject": SUBJECT})
        journal.say(f"{CALLER} waits in the call's room")
        async with asyncio.timeout(PATIENCE):
            incoming, rang_at = await rings
        await ben.ringing(incoming.call_id)
        await anna.status.until(UTDCallStatus.RINGING, timeout=PATIENCE)
        journal.say(f"{CALLER} hears it ring")
        await asyncio.sleep(HESITATION)
        await ben.accept(incoming.call_id)
        journal.say(f"{CALLEE} answered")
        await anna.status.until(UTDCallStatus.ACTIVE, timeout=PATIENCE)
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(to_ben.until_heard(), to_anna.until_heard())
        journal.say("they hear each other")
        for one in over:
            await until_over(one, said)
        await asyncio.sleep(TAIL)
        for subscription in listening:
            subscription.dispose()
        await anna.end()
        journal.say(f"{CALLER} hung up")
        await ben.end_reason.until(lambda reason: reason is not None, timeout=PATIENCE)
        journal.say(f"{CALLEE} is told: {journal.latest(CALLEE, 'end_reason')}")
        left_behind = await rooms(engine)
    return Talk(
        incoming,
        rang_at - dialled_at,
        to_ben.compare(anna_word, rate)[TO_BEN.ends[0]],
        to_anna.compare(ben_word, rate)[TO_ANNA.ends[0]],
        left_behind,
    )


def words(samples: Samples, rate: int) -> tuple[Samples, Samples]:
    """Return what each says, of equal length: while one speaks, the other is silent."""
    lead, pause = silence(samples, rate, LEAD), samples * 0
    first = np.concatenate((lead, samples, pause))
    return first, np.concatenate((lead, pause, samples[::-1]))


async def rooms(engine: LocalEngine) -> tuple[str, ...]:
    """Return the rooms that the media server still has, once it had time to delete them."""
    url, key, secret = engine.livekit_api_url, engine.livekit_api_key, engine.livekit_api_secret
    media = LiveKitMedia(url, key, secret)
    try:
        for _ in range(20):
            found = await media.list_rooms()
            if not found:
                break
            await asyncio.sleep(0.1)
        return tuple(room.name for room in found)
    finally:
        await media.aclose()


def judge(journal: DemoJournal, talk: Talk) -> tuple[Finding, ...]:
    """Return every promise of the demo with its verdict."""
    told = (talk.incoming.caller_name, dict(talk.incoming.metadata))
    return (
        Finding(
            f"{CALLEE}'s phone rings within {MAX_RINGING:g} s",
            talk.rang_after <= MAX_RINGING,
            f"after {talk.rang_after * 1e3:.0f} ms",
        ),
        Finding(
            "it shows who calls, and about what",
            told == (CALLER.capitalize(), {"subject": SUBJECT}),
            f"{told[0]}, {told[1]}",
        ),
        *(Finding(promise, *in_order(journal, steps)) for promise, steps in PROMISED.items()),
        Finding("both are in the call", *_together(journal, "active")),
        Finding(
            "nobody is on air before and after it", *covered(journal, USERS, {"status": "active"})
        ),
        hears(f"{CALLEE} heard {CALLER}", talk.heard_by_ben),
        hears(f"{CALLER} heard {CALLEE}", talk.heard_by_anna),
        Finding("both ended", *_together(journal, "ended")),
        Finding("… for the same reason", *_same_reason(journal)),
        Finding("nobody is left in the room", not talk.left_behind, ", ".join(talk.left_behind)),
    )


def _together(journal: DemoJournal, status: str) -> tuple[bool, str]:
    """Check that both came to `status`, not far apart."""
    times = []
    for who in USERS:
        entries = journal.streams.get((who, "status"), [])
        at = next((entry.at for entry in entries if entry.value == status), None)
        if at is None:
            return False, f"{who} never was {status}"
        times.append(at)
    apart = abs(times[0] - times[1])
    return apart <= MAX_ANSWER, f"{apart * 1e3:.0f} ms apart"


def _same_reason(journal: DemoJournal) -> tuple[bool, str]:
    """Check that both were told that the caller hung up."""
    reasons = [journal.latest(who, "end_reason") for who in USERS]
    return reasons == [UTDCallEndReason.CALLER_HANGUP.value] * 2, ", ".join(map(str, reasons))


CALL: Final = Story(
    name="call",
    users=USERS,
    watched=(
        *("status", "connection_state", "connected", "microphone_enabled"),
        *("peer", "peer_name", "duration", "end_reason", "remote_participants", "failure"),
    ),
    lanes=dict.fromkeys(
        USERS, ("status", "connection_state", "microphone_enabled", "remote_participants")
    ),
    columns={
        "call": "status",
        "with": "peer",
        "seconds": "duration",
        "connection": "connection_state",
        "microphone": "microphone_enabled",
        "ended by": "end_reason",
    },
    ways=(TO_BEN, TO_ANNA),
    play=play,
    judge=judge,
)
