"""The desk: who is told, what the media server is made to do, and what happens at one moment."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from attrs import evolve, field, frozen

from tests.engine.fakes import FakeClock, FakeMedia, settle
from utd_rx.engine.call_room import PARTIES
from utd_rx.engine.calls import Admitted, CallDesk
from utd_rx.engine.media import MediaParticipant, MediaRoom, MediaUnavailable
from utd_rx.engine.rules.call_book import CallLimits, Dial
from utd_rx.engine.rules.calls import Deed
from utd_rx.engine.rules.refusal import Reason, Refusal, forbidden
from utd_rx.models.call import UTDCall, UTDCallEndReason, UTDCallStatus
from utd_rx.models.stream_type import UTDStreamType

AUDIO = UTDStreamType.AUDIO_CALL


class SlowMedia(FakeMedia):
    """One whose rooms take their time to open, once `pause` is cleared."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def open_room(self, room: str, metadata: str, most: int = 0) -> MediaRoom:
        await self.goes_on.wait()
        return await super().open_room(room, metadata, most)


class Told:
    """A hub and a sender of webhooks that write down what they hear."""

    def __init__(self) -> None:
        self.frames: list[tuple[str, str, str | None]] = []
        self.events: list[tuple[str, str]] = []

    def tell(
        self, identity: str, kind: str, call: UTDCall, *, except_device: str | None = None
    ) -> None:
        assert call.token is None
        self.frames.append((identity, kind, except_device))

    def post(self, event: str, **body: object) -> None:
        call = body["call"]
        assert isinstance(call, dict)
        self.events.append((event, call["status"]))


@frozen
class Office:
    """A desk and what it deals with."""

    desk: CallDesk
    media: SlowMedia
    clock: FakeClock
    told: Told
    banned: set[str] = field(factory=set)

    async def dial(self, call_id: str, caller: str = "sara", callee: str = "mona") -> Admitted:
        told = UTDCall(call_id, UTDCallStatus.INITIATING, AUDIO)
        told = evolve(told, caller_identity=caller, callee_identity=callee)
        return await self.desk.dial(Dial(told, caller, callee, f"{caller}-1"))

    def do(self, call_id: str, deed: Deed, who: str) -> UTDCallStatus:
        return self.desk.do(call_id, deed, who, f"{who}-1").status

    def join(self, call_id: str, who: str, serial: int | None, sid: str = "") -> None:
        """Have somebody in the room, with a token of that serial; None: of nobody's making."""
        wire = {} if serial is None else {"_mint": serial, "role": "guest", "type": "audio_call"}
        sid = sid or self.media.new_sid("PA")
        info = MediaParticipant(who, sid, metadata=json.dumps(wire))
        room = self.media.rooms.setdefault(f"lk_{call_id}", MediaRoom(f"lk_{call_id}", "RM_auto"))
        self.media.people.setdefault(room.name, {})[who] = info
        self.desk.participant_joined(call_id, info)

    async def answered(self, call_id: str = "call_1") -> tuple[int, int]:
        """A call with both in its room; returns the serials of their tokens."""
        return await self.answered_by(call_id, "sara", "mona")

    async def answered_by(self, call_id: str, caller: str, callee: str) -> tuple[int, int]:
        first = (await self.dial(call_id, caller, callee)).serial
        second = self.desk.accept(call_id, callee, f"{callee}-1").serial
        self.join(call_id, caller, first)
        self.join(call_id, callee, second)
        await settle()
        return first, second

    def people(self, call_id: str = "call_1") -> set[str]:
        return set(self.media.people.get(f"lk_{call_id}", {}))

    def status(self, call_id: str = "call_1") -> UTDCallStatus:
        return self.desk.find(call_id, None).status


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    media, clock, told, banned = SlowMedia(), FakeClock(), Told(), set[str]()

    def refuse(caller: str, callee: str) -> None:
        if banned & {caller, callee}:
            raise forbidden("banned")

    desk = CallDesk(
        media,
        clock,
        livekit_name=lambda name: f"lk_{name}",
        refuse=refuse,
        limits=CallLimits(),
        teller=told,
        poster=told,
    )
    yield Office(desk, media, clock, told, banned)
    await desk.aclose()


async def test_users_and_backend_are_told_in_order(office: Office) -> None:
    await office.dial("call_1")
    office.do("call_1", Deed.RINGING, "mona")
    office.do("call_1", Deed.RINGING, "mona")
    office.desk.accept("call_1", "mona", "mona-1")
    office.do("call_1", Deed.END, "sara")
    office.do("call_1", Deed.END, "mona")
    assert office.told.frames == [
        ("mona", "incoming", None),
        ("sara", "ringing", None),
        ("sara", "accepted", None),
        ("mona", "accepted", "mona-1"),
        ("sara", "ended", "sara-1"),
        ("mona", "ended", None),
    ]
    assert office.told.events == [
        ("call_initiated", "initiating"),
        ("call_ringing", "ringing"),
        ("call_accepted", "active"),
        ("call_ended", "ended"),
    ]


@pytest.mark.parametrize(
    ("deed", "event"), [(Deed.REJECT, "call_rejected"), (Deed.BUSY, "call_busy")]
)
async def test_a_refusal_is_told(office: Office, deed: Deed, event: str) -> None:
    await office.dial("call_1")
    office.do("call_1", deed, "mona")
    assert office.told.events[-1] == (event, deed.value + ("ed" if deed is Deed.REJECT else ""))


async def test_what_rings_for_somebody(office: Office) -> None:
    call = (await office.dial("call_1")).call.told
    assert office.desk.ringing_for("mona") == (call,)
    assert office.desk.ringing_for("sara") == office.desk.ringing_for("omar") == ()
    office.desk.accept("call_1", "mona", "mona-1")
    assert office.desk.ringing_for("mona") == ()


async def test_nobody_answers(office: Office) -> None:
    office.join("call_1", "sara", (await office.dial("call_1")).serial)
    await office.clock.advance(30.0)
    assert office.status() is UTDCallStatus.MISSED
    assert set(office.told.frames[1:]) == {("sara", "missed", None), ("mona", "missed", None)}
    assert office.told.events[-1] == ("call_missed", "missed")
    assert office.media.rooms == {}


@pytest.mark.parametrize("deed", [Deed.ACCEPT, Deed.END, Deed.REJECT])
async def test_at_the_moment_of_the_time_out_it_is_missed(office: Office, deed: Deed) -> None:
    """Whether or not its timer has come to run yet."""
    await office.dial("call_1")
    office.clock.now += 30.0
    if deed is Deed.END:
        assert office.do("call_1", deed, "mona") is UTDCallStatus.MISSED
    else:
        with pytest.raises(Refusal) as caught:
            office.do("call_1", deed, "mona")
        assert caught.value.status == 409
    assert office.status() is UTDCallStatus.MISSED
    await office.clock.advance(0.0)
    kinds = [kind for who, kind, _ in office.told.frames if who == "mona"]
    assert kinds == ["incoming", "missed"], "once"


async def test_a_timer_that_comes_late_makes_no_call_longer(office: Office) -> None:
    await office.answered()
    await office.clock.advance(3605.0)
    ended = office.desk.find("call_1", None)
    assert (ended.told.duration_seconds, ended.over_at) == (3600.0, office.clock.now)


async def test_a_dial_finds_a_call_that_is_due_over(office: Office) -> None:
    await office.dial("call_1")
    office.clock.now += 30.0
    assert (await office.dial("call_2", "sara", "omar")).is_new
    assert office.status("call_1") is UTDCallStatus.MISSED


async def test_answer_and_cancel_at_once_whichever_comes_first(office: Office) -> None:
    await office.dial("call_1")
    office.do("call_1", Deed.END, "sara")
    with pytest.raises(Refusal, match="over"):
        office.desk.accept("call_1", "mona", "mona-1")
    await office.dial("call_2")
    office.desk.accept("call_2", "mona", "mona-1")
    assert office.do("call_2", Deed.END, "sara") is UTDCallStatus.ENDED
    assert office.desk.find("call_2", None).told.end_reason is UTDCallEndReason.CALLER_HANGUP


async def test_both_dial_while_their_rooms_are_being_opened(office: Office) -> None:
    office.media.goes_on.clear()
    dials = [
        asyncio.create_task(office.dial("call_1", "sara", "mona")),
        asyncio.create_task(office.dial("call_2", "mona", "sara")),
    ]
    await settle()
    assert office.told.frames == [], "there is no call before there is a room"
    office.media.goes_on.set()
    first, second = await asyncio.gather(*dials)
    assert first.call.id == second.call.id
    assert {first.is_new, second.is_new} == {True, False}
    assert second.call.status is UTDCallStatus.ACTIVE
    assert first.serial != second.serial
    await settle()
    assert list(office.media.rooms) == [f"lk_{first.call.id}"]


async def test_one_who_dials_many_at_once_gets_one_room(office: Office) -> None:
    office.media.goes_on.clear()
    first = asyncio.create_task(office.dial("call_1"))
    await settle()
    for number in range(2, 9):
        with pytest.raises(Refusal) as caught:
            await office.dial(f"call_{number}", "sara", f"callee {number}")
        assert (caught.value.status, caught.value.cause) == (409, "caller_busy")
    office.media.goes_on.set()
    await first
    assert office.media.log.count("open_room") == 1


async def test_two_who_dial_one_at_once(office: Office) -> None:
    office.media.goes_on.clear()
    dials = [
        asyncio.create_task(office.dial("call_1", "sara", "mona")),
        asyncio.create_task(office.dial("call_2", "omar", "mona")),
    ]
    await settle()
    office.media.goes_on.set()
    first, second = await asyncio.gather(*dials, return_exceptions=True)
    assert isinstance(first, Admitted)
    assert isinstance(second, Refusal)
    assert second.cause == "callee_busy"
    await settle()
    assert list(office.media.rooms) == ["lk_call_1"]


async def test_who_is_banned_while_the_room_opens_makes_no_call(office: Office) -> None:
    office.media.goes_on.clear()
    dial = asyncio.create_task(office.dial("call_1"))
    await settle()
    office.banned.add("mona")
    office.media.goes_on.set()
    with pytest.raises(Refusal, match="banned"):
        await dial
    await settle()
    assert office.media.rooms == {}
    assert office.told.frames == []
    office.banned.clear()
    assert (await office.dial("call_2")).is_new


async def test_a_room_that_is_just_being_opened_is_nobodys_leftover(office: Office) -> None:
    office.media.goes_on.clear()
    dial = asyncio.create_task(office.dial("call_1"))
    await settle()
    await office.desk.compare(office.desk.sids(), {"call_1": "RM_1", "call_0": "RM_0"})
    await settle()
    assert office.media.log == ["list_participants", "close_room"], "that of call_0"
    office.media.goes_on.set()
    assert (await dial).is_new
    await settle()
    assert list(office.media.rooms) == ["lk_call_1"]


async def test_without_a_media_server_there_is_no_call(office: Office) -> None:
    office.media.is_down = True
    with pytest.raises(MediaUnavailable) as caught:
        await office.dial("call_1")
    assert caught.value.reason is Reason.UNAVAILABLE
    assert (office.told.frames, office.desk.calls(), office.desk.sids()) == ([], (), {})
    office.media.is_down = False
    assert (await office.dial("call_2")).is_new


async def test_a_dial_that_is_given_up_leaves_nobody_busy(office: Office) -> None:
    office.media.goes_on.clear()
    dial = asyncio.create_task(office.dial("call_1"))
    await settle()
    dial.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dial
    office.media.goes_on.set()
    assert (await office.dial("call_2")).is_new


async def test_a_silent_media_server_holds_nothing_up_and_is_caught_up_with(
    office: Office,
) -> None:
    await office.answered()
    office.media.is_down = True
    assert office.do("call_1", Deed.END, "sara") is UTDCallStatus.ENDED
    await settle()
    for _ in range(3):
        await office.clock.advance(5.0)
    assert set(office.media.rooms) == {"lk_call_1"}
    office.media.is_down = False
    await office.clock.advance(5.0)
    assert office.media.rooms == {}


async def test_the_metadata_is_written_as_soon_as_it_can_be(office: Office) -> None:
    await office.dial("call_1")
    office.media.is_down = True
    office.do("call_1", Deed.RINGING, "mona")
    await settle()
    office.desk.accept("call_1", "mona", "mona-1")
    office.media.is_down = False
    office.media.log.clear()
    await office.clock.advance(0.5)
    told = json.loads(office.media.rooms["lk_call_1"].metadata)["_call"]
    assert told["status"] == "active"
    assert office.media.log == ["set_room_metadata"], "what was overtaken is not written"


@pytest.mark.parametrize("who", ["eve", "sara", "mona"])
async def test_who_comes_without_a_token_of_ours_is_removed(office: Office, who: str) -> None:
    await office.dial("call_1")
    office.join("call_1", who, None)
    await settle()
    assert office.people() == set()
    assert office.status() is UTDCallStatus.INITIATING


async def test_a_stranger_does_not_disturb_a_call(office: Office) -> None:
    _, second = await office.answered()
    office.join("call_1", "eve", second)
    await settle()
    assert office.people() == {"sara", "mona"}
    assert office.media.removed == [("lk_call_1", "eve")]


async def test_of_two_with_one_identity_clients_find_out_who_is_the_later(office: Office) -> None:
    first, _ = await office.answered()
    newer = office.desk.join("call_1", "sara", "sara-1").serial
    for serial in (newer, first):
        office.join("call_1", "sara", serial)
        await settle()
        assert office.people() == {"sara", "mona"}, "or whoever was displaced finds nobody"


async def test_only_the_connection_that_must_not_be_there_is_removed(office: Office) -> None:
    first, _ = await office.answered()
    office.join("call_1", "sara", None)
    office.join("call_1", "sara", first)
    await settle()
    assert office.people() == {"sara", "mona"}


async def test_who_comes_to_a_call_that_is_over_finds_no_room(office: Office) -> None:
    first, _ = await office.answered()
    office.do("call_1", Deed.END, "mona")
    await settle()
    office.join("call_1", "sara", first)
    await settle()
    assert office.media.rooms == {}


@pytest.mark.parametrize("who", ["sara", "mona"])
async def test_a_party_that_is_away_for_30_s_ends_it(office: Office, who: str) -> None:
    await office.answered()
    sid = office.media.people["lk_call_1"].pop(who).sid
    office.desk.participant_left("call_1", who, sid)
    await office.clock.advance(29.9)
    assert office.status() is UTDCallStatus.ACTIVE
    await office.clock.advance(0.1)
    ended = office.desk.find("call_1", None).told
    assert (ended.status, ended.end_reason) == (UTDCallStatus.ENDED, UTDCallEndReason.PEER_LOST)
    assert ended.duration_seconds == 30.0
    assert office.media.rooms == {}


async def test_a_party_that_comes_back_in_time_goes_on(office: Office) -> None:
    first, _ = await office.answered()
    sid = office.media.people["lk_call_1"].pop("sara").sid
    office.desk.participant_left("call_1", "sara", sid)
    await office.clock.advance(29.0)
    office.join("call_1", "sara", first)
    await office.clock.advance(29.0)
    assert office.status() is UTDCallStatus.ACTIVE


async def test_a_room_that_the_media_server_lost_is_made_again(office: Office) -> None:
    first, _ = await office.answered()
    office.media.rooms.clear()
    office.media.people.clear()
    office.desk.room_finished("call_1", None)
    await settle()
    room = office.media.rooms["lk_call_1"]
    assert room.max_participants == PARTIES
    assert json.loads(room.metadata)["_call"]["status"] == "active"
    office.join("call_1", "sara", first)
    await office.clock.advance(30.0)
    assert office.status() is UTDCallStatus.ENDED, "mona did not come"


async def test_a_room_that_a_client_made_again_gets_its_metadata(office: Office) -> None:
    first, _ = await office.answered()
    office.media.rooms.clear()
    office.media.people.clear()
    office.media.rooms["lk_call_1"] = MediaRoom("lk_call_1", "RM_auto")
    office.media.people["lk_call_1"] = {}
    office.desk.room_started("call_1", "RM_auto")
    office.join("call_1", "sara", first)
    await settle()
    assert "_call" in json.loads(office.media.rooms["lk_call_1"].metadata)
    assert office.desk.sids() == {"call_1": "RM_auto"}


async def test_news_of_an_earlier_room_is_none(office: Office) -> None:
    await office.answered()
    office.desk.room_finished("call_1", "RM_earlier")
    await office.clock.advance(60.0)
    assert office.status() is UTDCallStatus.ACTIVE
    office.desk.room_started("call_9", "RM_9")
    office.desk.room_finished("call_9", "RM_9")
    office.desk.participant_left("call_9", "sara", "PA_9")
    assert office.desk.sids().keys() == {"call_1"}


# -- a media server that does not say who is gone


async def wait(office: Office, seconds: int) -> None:
    for _ in range(seconds):
        await office.clock.advance(1.0)


@pytest.mark.parametrize("gone", ["mona", "both", "room", "room made again"])
async def test_who_is_gone_without_a_report_is_missed(office: Office, gone: str) -> None:
    """As when their media server died."""
    await office.answered()
    people, name = office.media.people["lk_call_1"], "lk_call_1"
    match gone:
        case "mona":
            del people["mona"]
        case "both":
            people.clear()
        case "room":
            del office.media.rooms[name]
        case _:
            people.clear()
            office.media.rooms[name] = MediaRoom(name, "RM_again")
    await wait(office, 59)
    assert office.status() is UTDCallStatus.ACTIVE
    await wait(office, 62)
    ended = office.desk.find("call_1", None).told
    assert ended.end_reason is UTDCallEndReason.PEER_LOST


async def test_a_quiet_call_costs_a_question_a_minute_and_goes_on(office: Office) -> None:
    await office.answered()
    await office.answered_by("call_2", "omar", "nora")
    office.media.log.clear()
    await wait(office, 600)
    assert office.status() is UTDCallStatus.ACTIVE
    assert set(office.media.log) == {"list_rooms"}
    assert 5 <= len(office.media.log) <= 10


async def test_a_media_server_that_does_not_answer_loses_nobody(office: Office) -> None:
    await office.answered()
    office.media.is_down = True
    await wait(office, 200)
    assert office.status() is UTDCallStatus.ACTIVE
    office.media.is_down = False
    office.media.rooms.clear()
    await wait(office, 130)
    assert office.status() is UTDCallStatus.ENDED


async def test_who_comes_while_the_room_is_looked_at_has_not_left(office: Office) -> None:
    first, _ = await office.answered()
    lists = office.media.list_participants

    async def slow(room: str) -> tuple[MediaParticipant, ...]:
        found = await lists(room)
        office.join("call_1", "sara", first, "PA_new")
        return found

    office.media.list_participants = slow  # type: ignore[method-assign]
    office.desk.participant_left("call_1", "sara", office.media.people["lk_call_1"]["sara"].sid)
    del office.media.people["lk_call_1"]["sara"]
    await office.desk.compare({}, {"call_1": office.media.rooms["lk_call_1"].sid})
    await wait(office, 40)
    assert office.status() is UTDCallStatus.ACTIVE


async def test_calls_leave_nothing_behind(office: Office) -> None:
    """No timer that would run, no room, no task."""
    for number in range(50):
        await office.answered(f"call_{number}")
        office.do(f"call_{number}", Deed.END, "mona")
        await settle()
    assert office.media.rooms == {}
    assert office.desk.sids() == {}
    assert [timer for timer in office.clock.timers if not timer.is_cancelled] == []
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert not [name for name in names if name.startswith("engine-")]
