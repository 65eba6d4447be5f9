"""What ends while a reconnect is under way does not come back (docs/livekit.md, "Tracks that come
back")."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from livekit import rtc
from livekit.rtc.participant import UnpublishTrackError

from tests.rtc.bench import Party, Tone, eventually
from tests.rtc.test_publisher import Bench, Native
from tests.rtc.test_translate import FakeRoom, participant, publication
from utd_rx.models import events as ev
from utd_rx.models.participant import ParticipantPermission, TrackSource
from utd_rx.rtc.translate import Translator

MAY = ParticipantPermission(can_publish=True)


class Remembering(Native):
    """It refuses to unpublish what it does not know, and knows what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[str] = []

    async def unpublish_track(self, sid: str) -> None:
        self.ended.append(sid)
        if self.track_publications.pop(sid, None) is None:
            raise UnpublishTrackError("track not found")

    def republish(self, bench: Bench, previous: str, sid: str) -> None:
        """Do with a track what a full reconnect does."""
        self.track_publications[sid] = self.track_publications.pop(previous, None)
        bench.publisher.republished(previous, sid)


@pytest.fixture
async def bench() -> Bench:
    """A microphone is published, and the connection is being made again."""
    bench = Bench(Remembering())
    bench.native.answer.set_result("TR_1")
    await bench.publisher.publish(Tone(), TrackSource.MICROPHONE)
    bench.publisher.interrupted()
    return bench


def ended(bench: Bench) -> list[str]:
    return cast("Remembering", bench.native).ended


@pytest.mark.parametrize("is_full", [False, True])
async def test_it_is_over_at_once_and_unpublished_with_the_connection(
    bench: Bench, is_full: bool
) -> None:
    await bench.publisher.unpublish("TR_1")
    assert (bench.unpublished, ended(bench)) == (["TR_1"], [])  # nothing is asked meanwhile
    if is_full:
        cast("Remembering", bench.native).republish(bench, "TR_1", "TR_2")
    sid = "TR_2" if is_full else "TR_1"
    assert bench.publisher.is_over(sid)
    bench.publisher.reconnected(MAY)
    await eventually(lambda: bench.native.track_publications == {})
    assert ended(bench) == [sid]
    await eventually(lambda: not bench.publisher.is_over(sid))
    assert bench.unpublished == ["TR_1"]
    await bench.aclose()


async def test_what_ended_before_it_was_known_is_taken_back(bench: Bench) -> None:
    """LiveKit has taken it out already, to publish it again."""
    bench.publisher.reconnected(MAY)
    taken = bench.native.track_publications.pop("TR_1")
    await bench.publisher.unpublish("TR_1")
    assert (bench.unpublished, ended(bench)) == (["TR_1"], ["TR_1"])
    bench.native.track_publications["TR_1"] = taken
    bench.publisher.interrupted()
    cast("Remembering", bench.native).republish(bench, "TR_1", "TR_2")
    bench.publisher.reconnected(MAY)
    await eventually(lambda: bench.native.track_publications == {})
    assert ended(bench) == ["TR_1", "TR_2"]
    await bench.aclose()


async def test_what_ends_as_it_is_published_again_is_taken_back(bench: Bench) -> None:
    bench.publisher.reconnected(MAY)
    ending = asyncio.create_task(bench.publisher.unpublish("TR_1"))
    while bench.publisher.find(TrackSource.MICROPHONE):  # noqa: ASYNC110 - nobody says so
        await asyncio.sleep(0)  # its input is being closed
    cast("Remembering", bench.native).republish(bench, "TR_1", "TR_2")
    bench.publisher.reconnected(MAY)
    await ending
    await eventually(lambda: bench.native.track_publications == {})
    assert ended(bench) == ["TR_2"]
    await bench.aclose()


async def test_who_did_not_end_goes_on_under_the_new_sid(bench: Bench) -> None:
    cast("Remembering", bench.native).republish(bench, "TR_1", "TR_2")
    bench.publisher.reconnected(MAY)
    await bench.publisher.unpublish("TR_1")
    assert (bench.unpublished, ended(bench)) == (["TR_2"], ["TR_2"])
    await bench.aclose()


def test_the_snapshot_of_a_reconnect_has_no_track_that_is_over() -> None:
    room: Any = FakeRoom()
    translator = Translator(cast("rtc.Room", room), lambda sid: sid == "TR_over")
    sids = ("TR_over", "TR_on")
    room.local_participant = participant(
        "me", track_publications={sid: publication(sid) for sid in sids}
    )
    [reconnected] = translator.translate("reconnected", ())
    assert isinstance(reconnected, ev.Reconnected)
    assert [track.sid for track in reconnected.snapshot.local.tracks] == ["TR_on"]
    assert list(translator.translate("local_track_unpublished", (publication("TR_over"),))) == []


async def test_on_either_server_nobody_sees_it_again(party: Party) -> None:
    ann, ear = await party.join("ann")
    sids = [(await ann.publish(Tone())).sid for _ in range(4)]
    assert ann.room is not None
    cutting = ann.room.simulate_scenario(rtc.SimulateScenarioKind.SIMULATE_FULL_RECONNECT)
    cut = asyncio.create_task(cutting)
    await ear.wait(ev.Reconnecting)
    for sid in sids:
        await ann.unpublish(sid)
    again = await ear.wait(ev.Reconnected)
    assert again.snapshot.local.tracks == ()
    await cut
    local = ann.room.local_participant
    await eventually(lambda: not local.track_publications)
    bob = (await party.join("bob"))[0].room
    assert bob is not None
    await eventually(
        lambda: [who.track_publications for who in bob.remote_participants.values()] == [{}]
    )
    assert len(ear.of(ev.LocalTrackUnpublished)) == 4
