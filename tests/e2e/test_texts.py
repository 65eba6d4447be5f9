"""Chat and transcriptions on both SFUs, as LiveKit's own components and agents write them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from livekit import rtc

from tests.e2e.bare import Pair, meeting
from tests.rtc.bench import PATIENCE
from tests.support.sfu import RunningSfu
from utd_rx import LocalParticipant, ToneSource


@pytest.fixture
async def pair(sfu: RunningSfu) -> AsyncIterator[Pair]:
    async with meeting(sfu, ToneSource(), agent=True) as pair:
        yield pair


def sid_in(me: LocalParticipant | None) -> str:
    return me.tracks[0].sid if me is not None and me.tracks else ""


async def test_chat_and_transcriptions_of_a_bare_client_and_to_it(pair: Pair) -> None:
    ana, ben = pair.ana, pair.ben
    texts = asyncio.Queue[tuple[str, rtc.TextStreamReader]]()
    copies = asyncio.Queue[rtc.DataPacket]()
    ben.register_text_stream_handler("lk.chat", lambda reader, who: texts.put_nowait((who, reader)))
    ben.on("data_received", copies.put_nowait)
    local = ben.local_participant
    async with asyncio.timeout(PATIENCE):
        sent = await ana.chat.send("hello \N{GRINNING FACE}")
        who, reader = await texts.get()
        assert (who, await reader.read_all(), reader.info.stream_id) == ("ana", sent.text, sent.id)
        copy = await copies.get()
        assert (copy.topic, json.loads(copy.data)["ignoreLegacy"]) == ("lk-chat-topic", True)

        await local.send_text("as newer ones write", topic="lk.chat")
        older = {"id": "o", "timestamp": 8_500, "message": "as older ones"}
        await local.publish_data(json.dumps(older).encode(), topic="lk-chat-topic")
        told = await ana.chat_history.until(lambda history: len(history) == 3)
        assert {(one.sender, one.text) for one in told[1:]} == {
            ("ben", "as newer ones write"),
            ("ben", "as older ones"),
        }

        await ana.set_microphone(True)
        sid = await ana.select(lambda state: sid_in(state.session.roster.local)).until(bool)
        marks = {
            "lk.segment_id": "1",
            "lk.transcription_final": "false",
            "lk.transcribed_track_id": sid,
        }
        writer = await local.stream_text(topic="lk.transcription", attributes=marks)
        await writer.write("good ")
        await ana.transcript.until(lambda turns: [one.text for one in turns] == ["good "])
        await writer.write("morning")
        await writer.aclose(attributes={"lk.transcription_final": "true"})
        turns = await ana.transcript.until(lambda turns: turns[0].is_final)
        assert [(one.speaker, one.text, one.told_by) for one in turns] == [
            ("ana", "good morning", "ben")
        ]
        segment = rtc.TranscriptionSegment("s", "older", 0, 0, "en", True)
        await local.publish_transcription(rtc.Transcription("ben", "TR_x", [segment]))
        turns = await ana.transcript.until(lambda turns: len(turns) == 2)
        assert (turns[1].text, turns[1].is_final, turns[1].told_by) == ("older", True, None)
