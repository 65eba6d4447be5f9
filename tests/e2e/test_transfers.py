"""Texts and files on both SFUs, between a session and a client that is LiveKit's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from livekit import rtc
from reactivex import operators as ops

from tests.e2e.bare import Pair, meeting
from tests.rtc.bench import PATIENCE
from tests.support.sfu import RunningSfu
from utd_rx import IncomingFile, IncomingText, TransferProgress, UTDErrorCode, UTDStreamException

SIZE = 1_000_000


@pytest.fixture
async def pair(sfu: RunningSfu) -> AsyncIterator[Pair]:
    async with meeting(sfu) as pair:
        yield pair


def first(stream: Any) -> asyncio.Future[Any]:
    """The first item of a stream, when it has come."""
    come = asyncio.get_running_loop().create_future()
    stream.pipe(ops.first()).subscribe(come.set_result)
    return come


async def test_texts_and_files_of_a_bare_client_and_to_it(pair: Pair, tmp_path: Path) -> None:
    text, blob = "ü\N{GRINNING FACE}" * 20_000, bytes(range(256)) * (SIZE // 256)
    path = tmp_path / "blob.bin"
    path.write_bytes(blob)
    await asyncio.wait_for(to_it(pair, text, path, blob), PATIENCE)
    texts, files = pair.ana.text_streams("words"), pair.ana.files("things")
    coming: asyncio.Future[IncomingText] = first(texts)
    come: asyncio.Future[IncomingFile] = first(files)
    async with asyncio.timeout(PATIENCE):
        await pair.ben.local_participant.send_text(text, topic="words", attributes={"a": "b"})
        sent = await coming
        assert (sent.info.sender, dict(sent.info.attributes)) == ("ben", {"a": "b"})
        assert await sent.read() == text
        await pair.ben.local_participant.send_file(str(path), topic="things")
        file = await come
        (tmp_path / "in").mkdir()
        assert file.info.name == "blob.bin"
        saved = await file.save(tmp_path / "in")
        assert (saved, saved.read_bytes()) == (tmp_path / "in" / "blob.bin", blob)


async def to_it(pair: Pair, text: str, path: Path, blob: bytes) -> None:
    """Send both to the bare client."""
    loop = asyncio.get_running_loop()
    words, things = loop.create_future(), loop.create_future()
    pair.ben.register_text_stream_handler("words", lambda reader, who: words.set_result(reader))
    pair.ben.register_byte_stream_handler("things", lambda reader, who: things.set_result(reader))
    await pair.ana.send_text(text, topic="words", to=["ben"], attributes={"a": "b"})
    reader = await words
    assert (await reader.read_all(), reader.info.attributes) == (text, {"a": "b"})
    sending = pair.ana.send_file(path, topic="things")
    told: list[TransferProgress] = []
    sending.progress.subscribe(told.append)
    await sending
    assert told[0].sent == 0
    assert told[-1] == TransferProgress(len(blob), len(blob))
    reader = await things
    assert reader.info.name == "blob.bin"
    assert b"".join([part async for part in reader]) == blob


@pytest.mark.parametrize("how", ["stops", pytest.param("leaves", marks=pytest.mark.long)])
async def test_a_sender_that_stops_or_leaves_is_a_failure_of_that_item_only(
    pair: Pair, how: str
) -> None:
    coming = first(pair.ana.files("things"))
    words = first(pair.ana.text_streams("words"))
    local = pair.ben.local_participant
    async with asyncio.timeout(PATIENCE):
        writer = await local.stream_bytes("half", topic="things", total_size=100)
        await writer.write(b"x" * 50)
        file: IncomingFile = await coming
        reading = asyncio.ensure_future(file.read())
        if how == "stops":
            await writer.aclose(reason="enough")
        else:
            await pair.ben.disconnect()
        with pytest.raises(UTDStreamException) as failed:
            await reading
        assert failed.value.code is UTDErrorCode.NETWORK
        assert file.failure is failed.value
        if how == "stops":
            await local.send_text("still here", topic="words")
            assert await (await words).read() == "still here"


@pytest.mark.long
async def test_what_is_given_up_fails_for_who_receives_it(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    path.write_bytes(b"x" * 20_000_000)
    things = asyncio.get_running_loop().create_future()
    pair.ben.register_byte_stream_handler("things", lambda reader, who: things.set_result(reader))
    async with asyncio.timeout(PATIENCE):
        sending = pair.ana.send_file(path, topic="things")
        reader: rtc.ByteStreamReader = await things
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        with pytest.raises(rtc.data_stream.StreamError):
            async for _ in reader:
                pass
