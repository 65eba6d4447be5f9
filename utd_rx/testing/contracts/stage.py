"""What every engine port promises a live stream's session."""

from __future__ import annotations

import pickle
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeAlias

import pytest

from utd_rx.errors import UTDErrorCode
from utd_rx.models.stage import UTDStageMember
from utd_rx.ports.engine import StageCalls, StageReply
from utd_rx.testing.contracts import refusal

NO_IDENTITY: Final = ("", 5, None, "a" * 129, "a\n")

Change: TypeAlias = Callable[[StageCalls, str, str], Awaitable[StageReply | None]]

CHANGES: Final[tuple[Change, ...]] = (
    lambda engine, room, who: engine.add_to_stage(room, who),
    lambda engine, room, who: engine.remove_from_stage(room, who),
    lambda engine, room, who: engine.dismiss_stage_request(room, who),
)


class StageBench(Protocol):
    """A live stream in which `me`, who hosts, and `other` are; nobody else ever was.

    `host` acts for `me`, `viewer` for `other`.
    """

    host: StageCalls
    viewer: StageCalls
    room: str
    me: str
    other: str


@pytest.mark.asyncio
class StageContract:
    """Derive from it, with a fixture `bench` that is a `StageBench`."""

    async def test_the_host_is_on_the_stage_and_nobody_else(self, bench: StageBench) -> None:
        for engine in (bench.host, bench.viewer):
            assert await self._members(engine, bench) == [bench.me]
        assert (await bench.host.get_stage(bench.room)).requests == ()

    async def test_a_promotion_lasts_until_it_is_taken_back(self, bench: StageBench) -> None:
        room, other = bench.room, bench.other
        for step_down in (
            bench.host.remove_from_stage(room, other),
            bench.viewer.leave_stage(room),
        ):
            before = (await bench.host.get_stage(room)).stage.revision
            added = await bench.host.add_to_stage(room, other)
            assert await self._members(bench.viewer, bench) == [bench.me, other]
            after = await bench.host.get_stage(room)
            assert added in (None, after)
            if before is not None and after.stage.revision is not None:
                assert after.stage.revision > before
            await step_down
            assert await self._members(bench.viewer, bench) == [bench.me]

    async def test_off_the_stage_stays_off(self, bench: StageBench) -> None:
        for _ in range(2):
            await bench.host.remove_from_stage(bench.room, bench.other)
            await bench.viewer.leave_stage(bench.room)
        assert await self._members(bench.host, bench) == [bench.me]

    async def test_a_hand_is_up_once_until_it_is_down(self, bench: StageBench) -> None:
        host, viewer, room, other = bench.host, bench.viewer, bench.room, bench.other
        ways: tuple[Callable[[], Awaitable[object]], ...] = (
            lambda: viewer.cancel_stage_request(room),
            lambda: host.dismiss_stage_request(room, other),
            lambda: host.add_to_stage(room, other),
        )
        for lower in ways:
            await viewer.request_stage(room)
            await viewer.request_stage(room)
            hands = (await host.get_stage(room)).requests
            assert hands is not None
            assert [asked.identity for asked in hands] == [other]
            await lower()
            assert (await host.get_stage(room)).requests == ()
        await viewer.cancel_stage_request(room)

    async def test_the_end_of_a_broadcast_leaves_the_host_alone(self, bench: StageBench) -> None:
        await bench.host.add_to_stage(bench.room, bench.other)
        for _ in range(2):
            await bench.host.end_live(bench.room)
            told = await bench.host.get_stage(bench.room)
            assert [member.identity for member in told.stage.members] == [bench.me]
            assert not told.stage.is_live

    async def test_what_cannot_be_is_refused(self, bench: StageBench) -> None:
        host, viewer, room, other = bench.host, bench.viewer, bench.room, bench.other
        missing = (
            host.add_to_stage(room, "nobody"),
            host.dismiss_stage_request(room, other),
        )
        for call in missing:
            assert (await refusal(call)).code is UTDErrorCode.NOT_FOUND
        await host.add_to_stage(room, other)
        conflicts = (
            host.add_to_stage(room, other),
            host.add_to_stage(room, bench.me),
            host.remove_from_stage(room, bench.me),
            host.leave_stage(room),
            viewer.request_stage(room),
        )
        for conflicting in conflicts:
            assert (await refusal(conflicting)).code is UTDErrorCode.CONFLICT

    async def test_what_cannot_be_an_identity_is_refused_before_anything_is_done(
        self, bench: StageBench
    ) -> None:
        before = await bench.host.get_stage(bench.room)
        for change in CHANGES:
            for value in NO_IDENTITY:
                error = await refusal(change(bench.host, bench.room, value))  # type: ignore[arg-type] # wrong on purpose
                assert error.code is UTDErrorCode.VALIDATION, value
        assert await bench.host.get_stage(bench.room) == before

    async def test_what_comes_back_is_a_value(self, bench: StageBench) -> None:
        await bench.viewer.request_stage(bench.room)
        told = await bench.host.get_stage(bench.room)
        assert isinstance(told.stage.members[0], UTDStageMember)
        assert pickle.loads(pickle.dumps(told)) == told
        hash(told)

    async def _members(self, engine: StageCalls, bench: StageBench) -> list[str]:
        stage = (await engine.get_stage(bench.room)).stage
        return [member.identity for member in stage.members]
