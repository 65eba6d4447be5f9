"""What an open page hears: at most so often, never an old state, and nothing without bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from tests.engine.fakes import FakeClock, FakeMedia, settle
from utd_rx.engine.core import EngineCore
from utd_rx.engine.media import MediaParticipant
from utd_rx.engine.page import feed as pages
from utd_rx.engine.page.feed import KEPT, MAX_PAGES, MAX_ROOMS, PAUSE, PageFeed
from utd_rx.engine.page.shown import MAX_PEOPLE
from utd_rx.engine.rules.refusal import Reason, Refusal
from utd_rx.engine.rules.roles import Role
from utd_rx.engine.rules.room_state import Admission
from utd_rx.engine.rules.seat_state import SetUpSeats
from utd_rx.models.stream_type import UTDStreamType

HOSTILE = "<b>eve</b>\u202e\x1b[2J eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJldmUifQ.sig"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def feed(clock: FakeClock) -> PageFeed:
    return PageFeed(clock)


@pytest.fixture
async def core(clock: FakeClock, feed: PageFeed) -> AsyncIterator[EngineCore]:
    core = EngineCore("1", FakeMedia(), clock, poster=feed, watch=feed.room_changed)
    yield core
    await core.rooms.aclose()


async def admit(core: EngineCore, room: str, identity: str, **asked: Any) -> None:
    await core.mint(room, Admission(identity, UTDStreamType.AUDIO_ROOM, Role.HOST, **asked))


async def come(core: EngineCore, room: str, identity: str) -> None:
    await core.participant_joined(room, MediaParticipant(identity, f"PA_{identity}"))


async def next_look(page: AsyncGenerator[dict[str, Any]], clock: FakeClock) -> asyncio.Future[Any]:
    """What the page sees next; its pause is over."""
    later = asyncio.ensure_future(anext(page, None))
    await settle()
    await clock.advance(PAUSE)
    return later


def words(news: dict[str, Any]) -> list[str]:
    return [text for _, _, text in news.get("happened", ())]


async def test_a_page_sees_all_at_first_and_then_what_changed(
    core: EngineCore, feed: PageFeed, clock: FakeClock
) -> None:
    await admit(core, "friday", "sara", seats=SetUpSeats(2))
    await admit(core, "monday", "mona")
    async with aclosing(feed.watch(core)) as page:
        first: dict[str, Any] = await anext(page)
        assert [seat["index"] for seat in first["rooms"]["friday"]["seats"]] == [0, 1]
        assert words(first)[:3] == [
            *("the room begins, audio room", "sara is the host", "there are 2 seats")
        ]
        later = await next_look(page, clock)
        assert not later.done()
        await come(core, "friday", "sara")
        news: dict[str, Any] = await later
        assert list(news) == ["rooms", "happened"]
        assert list(news["rooms"]) == ["friday"]
        assert [one["id"] for one in news["rooms"]["friday"]["people"]] == ["sara"]
        assert words(news) == ["sara comes"]
        await core.room_finished("friday", None)
        later = await next_look(page, clock)
        assert (await later)["rooms"] == {"friday": None}


async def test_a_thousand_changes_are_one_look(
    core: EngineCore, feed: PageFeed, clock: FakeClock
) -> None:
    await admit(core, "friday", "sara")
    async with aclosing(feed.watch(core)) as page:
        await anext(page)
        later = asyncio.ensure_future(anext(page))
        await settle()
        for number in range(KEPT + 50):
            await come(core, "friday", f"p{number}")
        assert not later.done()
        await clock.advance(PAUSE)
        news: dict[str, Any] = await later
        shown = news["rooms"]["friday"]
        assert (len(shown["people"]), shown["count"]) == (MAX_PEOPLE, KEPT + 50)
        assert words(news) == [f"p{number} comes" for number in range(50, KEPT + 50)]


async def test_what_others_wrote_is_one_line_without_tokens(
    core: EngineCore, feed: PageFeed
) -> None:
    await admit(core, "friday", HOSTILE, name=HOSTILE)
    await come(core, "friday", HOSTILE)
    async with aclosing(feed.watch(core)) as page:
        news: dict[str, Any] = await anext(page)
    (person,) = news["rooms"]["friday"]["people"]
    assert person["id"] == HOSTILE
    for text in (person["name"], person["identity"], *words(news)):
        assert not {"\u202e", "\x1b"} & set(text)
        assert "eyJ" not in text
    assert words(news)[-1] == "<b>eve</b>\ufffd\ufffd[2J … comes"


async def test_rooms_and_pages_are_bounded(core: EngineCore, feed: PageFeed) -> None:
    for number in range(MAX_ROOMS + 2):
        await admit(core, f"room-{number}", "sara")
    open_ = [feed.watch(core) for _ in range(MAX_PAGES)]
    try:
        for page in open_:
            news: dict[str, Any] = await anext(page)
            assert (len(news["rooms"]), news["more"]) == (MAX_ROOMS, 2)
        with pytest.raises(Refusal) as caught:
            await anext(feed.watch(core))
        assert caught.value.reason is Reason.RATE_LIMITED
        await open_.pop().aclose()
        async with aclosing(feed.watch(core)) as page:
            assert "rooms" in await anext(page)
    finally:
        for page in open_:
            await page.aclose()


async def test_a_page_is_told_now_and_then_that_there_is_nothing(
    core: EngineCore, feed: PageFeed, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "BEAT", 0.0)
    async with aclosing(feed.watch(core)) as page:
        await anext(page)
        later = await next_look(page, clock)
        assert await later == {}


async def test_it_ends_with_the_feed(core: EngineCore, feed: PageFeed, clock: FakeClock) -> None:
    async with aclosing(feed.watch(core)) as page:
        await anext(page)
        later = await next_look(page, clock)
        feed.close()
        assert await later is None
    async with aclosing(feed.watch(core)) as page:
        assert await anext(page, None) is None
