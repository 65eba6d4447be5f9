"""What every room port promises of what is no track: messages, methods, texts and files."""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio
from attrs import evolve

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models import events as ev
from utd_rx.models.data_tracks import DataTrackFrame
from utd_rx.models.methods import MethodFailed, MethodInvocation
from utd_rx.ports.data import MAX_DATA, SelfDescription
from utd_rx.ports.data_tracks import MAX_DATA_FRAME, MAX_DATA_TRACK
from utd_rx.ports.methods import MethodRequest
from utd_rx.ports.transfers import (
    TransferBegan,
    TransferEnded,
    TransferHeader,
    TransferNews,
    TransferPart,
)
from utd_rx.testing.contracts import PATIENCE, Batches, refusal
from utd_rx.testing.contracts.room_bench import RoomBench


@pytest.mark.asyncio
class RoomDataPromises:
    """This part of the suite of room ports."""

    @pytest_asyncio.fixture
    async def joined(self, bench: RoomBench) -> RoomBench:
        """Return the bench, with its room connected."""
        await bench.connect()
        return bench

    async def test_what_is_no_message_or_too_large_with_its_destinations_is_refused(
        self, joined: RoomBench
    ) -> None:
        send, many = joined.room.send_data, [f"{n:064}" for n in range(20)]
        wrong = (
            send(b"x" * (MAX_DATA + 1)),
            send(b"x" * MAX_DATA, to=many),
            send(b"x", to="bob"),  # a bare string is not several identities
            send("x"),  # type: ignore[arg-type] # what is tested
            send([1, 2]),  # type: ignore[arg-type] # the same
            send(b"x", reliable="no"),  # type: ignore[arg-type] # the same
        )
        for sending in wrong:
            assert (await refusal(sending)).code is UTDErrorCode.VALIDATION
        await send(b"x" * 61_000, to=many)

    async def test_what_is_sent_reaches_those_it_is_for_once_and_in_order(
        self, joined: RoomBench
    ) -> None:
        other, heard = await joined.server.listen()
        send, numbers = joined.room.send_data, [b"%d" % n for n in range(1_000)]
        await send(b"for all", topic="news")
        await send(b"for nobody", to=[])
        await send(b"for somebody else", to=["nobody"])
        await send(b"for two", to=["nobody", other])
        await asyncio.gather(*map(send, numbers))  # more than there is room for at a time
        await send(b"end")
        async with asyncio.timeout(PATIENCE):
            while (b"end", "") not in heard():  # noqa: ASYNC110 - it is not the port's to tell
                await asyncio.sleep(0.01)
        sent = [b"for two", *numbers, b"end"]
        assert heard() == [(b"for all", "news"), *((data, "") for data in sent)]

    async def test_what_one_says_of_oneself_is_told_and_takes_the_grant(
        self, joined: RoomBench
    ) -> None:
        describe = joined.room.describe
        await describe(SelfDescription(attributes={"mood": "good", "old": "x"}))
        await asyncio.gather(
            describe(SelfDescription(name="Ana")),
            describe(SelfDescription(metadata="meta")),
            describe(SelfDescription(attributes={"old": ""})),
        )
        assert (await joined.seen(ev.ParticipantNameChanged)).name == "Ana"
        assert (await joined.seen(ev.ParticipantMetadataChanged)).metadata == "meta"
        await joined.until(
            lambda event: (
                isinstance(event, ev.ParticipantAttributesChanged)
                and dict(event.attributes) == {"mood": "good"}
            )
        )
        assert len(joined.all_of(ev.ParticipantNameChanged)) == 1
        await joined.granted()
        refused = await refusal(describe(SelfDescription(name="Ben")))
        assert refused.code is UTDErrorCode.FORBIDDEN

    async def test_a_method_of_somebody_elses_is_called(self, joined: RoomBench) -> None:
        who, _ = await joined.server.converse()
        call = joined.room.call
        payloads = "hello", "", "ü\N{GRINNING FACE}" * 1000
        asked = [call(MethodRequest("echo", payload, who)) for payload in payloads]
        assert await asyncio.gather(*asked) == list(payloads)
        refused = await refusal(call(MethodRequest("refuse", "", who)))
        assert isinstance(refused, MethodFailed)
        assert (refused.code, refused.message) == (UTDErrorCode.FORBIDDEN, "not you")
        unknown = await refusal(call(MethodRequest("unheard-of", "", who)))
        assert unknown.code is UTDErrorCode.NOT_FOUND
        late = await refusal(call(MethodRequest("silent", "", who, 0.1)))
        assert late.code is UTDErrorCode.TIMEOUT
        waiting = asyncio.ensure_future(call(MethodRequest("silent", "", who)))
        assert await call(MethodRequest("echo", "still", who)) == "still"
        await joined.room.disconnect()
        left = await refusal(waiting)
        assert left.reason is ConflictReason.LEFT, left
        nowhere = await refusal(call(MethodRequest("echo", "", who)))
        assert nowhere.reason is ConflictReason.NOT_JOINED

    async def test_a_method_is_served_until_it_is_not_and_in_the_next_connection(
        self, joined: RoomBench
    ) -> None:
        room = joined.room
        calls = Batches[MethodInvocation]()
        stop = room.serve("greet", lambda invocation: calls.take((invocation,)))
        for words in ("ready", "again"):
            who, call = await joined.server.converse()
            assert await room.call(MethodRequest("echo", "", who)) == ""  # its channels are open
            told = len(calls.told)
            asking = asyncio.ensure_future(call("greet", words))
            asked = await calls.until(lambda _: True, after=told)
            assert (asked.method, asked.caller, asked.payload) == ("greet", who, words)
            assert asked.timeout == pytest.approx(1, abs=0.2)
            await room.answer(asked.number, "ü" + asked.payload)
            await room.answer(asked.number, "twice")
            assert await asking == "ü" + words
            asking = asyncio.ensure_future(call("greet", ""))
            asked = await calls.until(lambda _: True, after=told + 1)
            busy = UTDStreamException("later", code=UTDErrorCode.RATE_LIMITED)
            await room.answer(asked.number, busy)
            refused = await refusal(asking)
            assert (refused.code, refused.message) == (UTDErrorCode.RATE_LIMITED, "later")
            if words == "ready":
                await room.disconnect()
                await joined.connect()
        assert len(calls.told) == 4
        stop()
        assert (await refusal(call("greet", ""))).code is UTDErrorCode.NOT_FOUND

    async def test_texts_and_files_come_whole_or_fail_and_are_told_apart(
        self, joined: RoomBench
    ) -> None:
        await self._come(joined, is_text=True)
        await self._come(joined, is_text=False)

    async def _come(self, joined: RoomBench, *, is_text: bool) -> None:
        server, came = joined.server, Batches[TransferNews]()
        stop = joined.room.receive_streams("t", is_text, lambda news: came.take((news,)))
        assert (await refusal(self._receive_twice(joined, is_text))).reason is (
            ConflictReason.ALREADY
        )
        who, _ = await server.converse()
        assert await joined.room.call(MethodRequest("echo", "", who)) == ""  # its channels are open
        name = "" if is_text else "a.bin"
        header = TransferHeader(is_text=is_text, topic="t", name=name, attributes={"a": "b"})
        whole = ["ü".encode() * 20_000, b"b"]
        await server.send(evolve(header, is_text=not is_text), [b"of another kind"], "")
        await server.send(header, whole, "")
        await server.send(header, [b"half"], "enough")
        failed = await came.until(
            lambda news: isinstance(news, TransferEnded) and news.failure is not None
        )
        began = [news for news in came.told if isinstance(news, TransferBegan)]
        assert [(one.info.sender, one.info.name) for one in began] == [(who, name)] * 2
        assert dict(began[0].info.attributes) == {"a": "b"}
        assert failed.number == began[1].number
        assert failed.failure.code is UTDErrorCode.NETWORK
        await came.until(lambda news: news == TransferEnded(began[0].number))
        assert b"".join(
            news.data
            for news in came.told
            if isinstance(news, TransferPart) and news.number == began[0].number
        ) == b"".join(whole)
        stop()

    async def test_what_has_begun_comes_to_its_end_when_nobody_receives_any_more(
        self, joined: RoomBench
    ) -> None:
        server, came = joined.server, Batches[TransferNews]()

        def take(news: TransferNews) -> None:
            came.take((news,))
            stop()  # as who waits for the first one does

        stop = joined.room.receive_streams("t", False, take)
        who, _ = await server.converse()
        assert await joined.room.call(MethodRequest("echo", "", who)) == ""  # its channels are open
        header = TransferHeader(is_text=False, topic="t", name="a.bin")
        await server.send(header, [b"a" * 20_000, b"b"], "")
        await came.until(lambda news: isinstance(news, TransferEnded))
        parts = [news.data for news in came.told if isinstance(news, TransferPart)]
        assert b"".join(parts) == b"a" * 20_000 + b"b"
        await server.send(header, [b"another"], "")
        assert await joined.room.call(MethodRequest("echo", "", who)) == ""
        assert sum(isinstance(news, TransferBegan) for news in came.told) == 1

    async def _receive_twice(self, joined: RoomBench, is_text: bool) -> None:
        joined.room.receive_streams("t", is_text, lambda news: None)

    async def test_texts_and_files_are_sent_in_parts_and_may_be_given_up(
        self, joined: RoomBench
    ) -> None:
        room = joined.room
        await joined.server.converse()
        for is_text in (True, False):
            collected = await joined.server.collect("t", is_text)
            header = TransferHeader(is_text=is_text, topic="t", size=None if is_text else 4)
            for parts, reason in ((["ü".encode(), b"xy"], ""), ([b"half"], "enough")):
                number = await room.open_stream(header)
                for part in parts:
                    await room.write_stream(number, part)
                await room.end_stream(number, reason)
                await room.end_stream(number, reason)
            async with asyncio.timeout(PATIENCE):
                while sum(isinstance(one, TransferEnded) for one in collected()) < 2:
                    assert await room.call(MethodRequest("echo", "", joined.server.other)) == ""
            ends = [one for one in collected() if isinstance(one, TransferEnded)]
            # Two transfers may overtake each other (docs/livekit.md, "Streams that overtake").
            assert sorted(one.failure is None for one in ends) == [False, True]
        number = await room.open_stream(header)
        await room.disconnect()
        assert (await refusal(room.write_stream(number, b"x"))).code is UTDErrorCode.CONFLICT
        assert (await refusal(room.open_stream(header))).reason is ConflictReason.NOT_JOINED

    async def test_a_data_track_of_somebody_elses_is_told_and_read_until_it_ends(
        self, joined: RoomBench
    ) -> None:
        room, server, frame = joined.room, joined.server, DataTrackFrame(b"\x00frame", 7)
        who, _ = await server.converse()
        await server.publish_data("pose", frame)
        told = await joined.seen(ev.DataTrackPublished)
        assert (told.identity, told.track.name) == (who, "pose")
        came = Batches[DataTrackFrame]()
        reading = await room.read_data_track(told.track.sid, lambda one: came.take((one,)))
        assert await came.until(lambda _: True) == frame
        await room.unread_data_track(reading)
        await room.unread_data_track(reading)
        before = len(came.told)
        still = Batches[DataTrackFrame]()
        await room.read_data_track(told.track.sid, lambda one: still.take((one,)))
        await still.until(lambda _: True)
        assert len(came.told) == before
        missing = await refusal(room.read_data_track("DTR_none", still.told.append))
        assert missing.code is UTDErrorCode.NOT_FOUND
        await server.unpublish_data()
        assert await joined.seen(ev.DataTrackUnpublished) == ev.DataTrackUnpublished(
            who, told.track
        )

    async def test_a_data_track_is_published_once_and_its_frames_reach_who_reads_it(
        self, joined: RoomBench
    ) -> None:
        room, frame = joined.room, DataTrackFrame(b"x" * 100_000)
        who, _ = await joined.server.converse()
        assert await room.call(MethodRequest("echo", "", who)) == ""  # its channels are open
        came = await joined.server.read_data("pose")
        number = await room.publish_data_track("pose")
        twice = await refusal(room.publish_data_track("pose"))
        assert twice.reason is ConflictReason.ALREADY
        for name in ("", "x" * (MAX_DATA_TRACK + 1)):
            assert (await refusal(room.publish_data_track(name))).code is UTDErrorCode.VALIDATION
        for payload in (b"", b"x" * (MAX_DATA_FRAME + 1)):
            wrong = room.push_data_frame(number, DataTrackFrame(payload))
            assert (await refusal(wrong)).code is UTDErrorCode.VALIDATION
        async with asyncio.timeout(PATIENCE):
            while not came():  # what is pushed before it is known who reads is lost
                await room.push_data_frame(number, frame)
                await asyncio.sleep(0.02)
        assert came()[0] == frame
        await room.unpublish_data_track(number)
        await room.unpublish_data_track(number)
        gone = await refusal(room.push_data_frame(number, frame))
        assert gone.reason is ConflictReason.LEFT
        number = await room.publish_data_track("pose")
        await room.push_data_frame(number, frame)
        await room.disconnect()
        for command in (room.publish_data_track("pose"), room.push_data_frame(number, frame)):
            assert (await refusal(command)).reason is ConflictReason.NOT_JOINED
        await joined.connect()
        gone = await refusal(room.push_data_frame(number, frame))
        assert gone.reason is ConflictReason.LEFT
