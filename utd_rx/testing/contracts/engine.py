"""What every engine port promises to a session."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeAlias

import pytest

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.role import UTDRole
from utd_rx.models.seats import UTDSeatGrid, UTDSeatMode
from utd_rx.ports.engine import EnginePort
from utd_rx.testing.contracts import refusal

AT_ONCE = 20

Command: TypeAlias = Callable[[EnginePort, str, Any], Awaitable[object]]

NO_INTEGER: Final = ("1", None, 1.0, True, -1)
NO_IDENTITY: Final = ("", 5, None, "a" * 129, "a\n")
WRONG: Final[tuple[tuple[tuple[Any, ...], Command], ...]] = (
    ((*NO_INTEGER, 99), lambda engine, room, value: engine.take_seat(room, value)),
    ((*NO_INTEGER, 99), lambda engine, room, value: engine.move_seat(room, value)),
    ((*NO_INTEGER, 99), lambda engine, room, value: engine.kick_seat(room, value)),
    ((*NO_INTEGER, 99), lambda engine, room, value: engine.lock_seat(room, value)),
    ((*NO_INTEGER, 99), lambda engine, room, value: engine.unlock_seat(room, value)),
    ((*NO_INTEGER, 99), lambda engine, room, value: engine.mute_seat(room, value)),
    ((*NO_INTEGER, 99), lambda engine, room, value: engine.unmute_seat(room, value)),
    (NO_INTEGER, lambda engine, room, value: engine.approve_speaker(room, value)),
    (NO_INTEGER, lambda engine, room, value: engine.reject_speaker(room, value)),
    (NO_INTEGER, lambda engine, room, value: engine.accept_invitation(room, value)),
    (NO_INTEGER, lambda engine, room, value: engine.decline_invitation(room, value)),
    (("4", 0, 101, True), lambda engine, room, value: engine.setup_seats(room, seat_count=value)),
    (("open", 5), lambda engine, room, value: engine.setup_seats(room, seat_mode=value)),
    (("1", -1), lambda engine, room, value: engine.invite_to_speak(room, "a", seat_index=value)),
    (NO_IDENTITY, lambda engine, room, value: engine.invite_to_speak(room, value)),
    (NO_IDENTITY, lambda engine, room, value: engine.kick_participant(room, value)),
    (NO_IDENTITY, lambda engine, room, value: engine.participant_metadata(room, value)),
    (NO_IDENTITY, lambda engine, room, value: engine.get_role(room, value)),
    (NO_IDENTITY, lambda engine, room, value: engine.set_role(room, value, "admin")),
    ((5, "king", None), lambda engine, room, value: engine.set_role(room, "a", value)),
    (NO_IDENTITY, lambda engine, room, value: engine.unban(value, room=room)),
    (
        NO_IDENTITY,
        lambda engine, room, value: engine.mute_participant(
            room, value, audio=True, video=False, muted=True
        ),
    ),
    (
        ("60", 0, 1.0),
        lambda engine, room, value: engine.ban("a", room=room, reason=None, duration=value),
    ),
    (("1", 0, None), lambda engine, room, value: engine.bans(page=value, per_page=1)),
    (("1", 0, 101), lambda engine, room, value: engine.bans(page=1, per_page=value)),
)
"""Arguments that cannot be, and the command that is to refuse them."""


class EngineBench(Protocol):
    """A port and what the suite asks of whoever is behind it.

    The port acts for `me`, who hosts `room`, is in it and sits nowhere; `other` is in it, too. The
    room has four seats, free to take.
    """

    engine: EnginePort
    room: str
    me: str
    other: str

    async def outlive(self) -> None:
        """Let every bearer there is end."""

    async def ask(self) -> int:
        """Have `other` ask to speak; return the request's id."""

    async def invite(self) -> int:
        """Have somebody invite `me` to a seat; return the invitation's id."""

    async def fail(self) -> None:
        """Have every command fail from now on."""


@pytest.mark.asyncio
class EngineContract:
    """Derive from it, with a fixture `bench` that is an `EngineBench`."""

    async def test_a_mint_repeats(self, bench: EngineBench) -> None:
        first, second = await bench.engine.mint(), await bench.engine.mint()
        assert (first.room_name, first.url) == (second.room_name, second.url)
        assert first.role == second.role
        for reply in (first, second):
            assert reply.token
            assert reply.user_token
            assert reply.token not in repr(reply)

    async def test_a_bearer_that_is_outlived_is_nobodys_concern(self, bench: EngineBench) -> None:
        await bench.engine.take_seat(bench.room, 0)
        await bench.outlive()
        grids = await asyncio.gather(*(self._seats(bench) for _ in range(AT_ONCE)))
        assert {grid.seats[0].identity for grid in grids} == {bench.me}
        await bench.engine.leave_seat(bench.room)

    async def test_what_comes_back_is_a_value(self, bench: EngineBench) -> None:
        await bench.engine.ban("mallory", room=bench.room, reason="spam", duration=60)
        values: tuple[object, ...] = (
            await bench.engine.mint(),
            await self._seats(bench),
            await bench.engine.setup_seats(bench.room, seat_count=3),
            await bench.engine.bans(page=1, per_page=10),
            await bench.engine.participant_metadata(bench.room, bench.me),
        )
        for value in values:
            hash(value)
            assert pickle.loads(pickle.dumps(value)) == value

    async def test_the_grid_tells_what_a_command_did(self, bench: EngineBench) -> None:
        engine, room = bench.engine, bench.room
        await engine.take_seat(room, 1)
        assert (await self._seats(bench)).seats[1].identity == bench.me
        await engine.move_seat(room, 2)
        seats = (await self._seats(bench)).seats
        assert (seats[1].identity, seats[2].identity) == (None, bench.me)
        await engine.kick_seat(room, 2)
        assert (await self._seats(bench)).seats[2].identity is None
        await engine.take_seat(room, 3)
        await engine.lock_seat(room, 3)
        seat = (await self._seats(bench)).seats[3]
        assert (seat.identity, seat.is_locked) == (None, True)
        await engine.unlock_seat(room, 3)
        assert not (await self._seats(bench)).seats[3].is_locked

    async def test_a_set_up_changes_what_it_names(self, bench: EngineBench) -> None:
        before = await self._seats(bench)
        grid = await bench.engine.setup_seats(bench.room, seat_count=2, mode_id="duo")
        assert (grid.count, grid.mode, grid.mode_id) == (2, before.mode, "duo")
        grid = await bench.engine.setup_seats(bench.room, seat_mode=UTDSeatMode.REQUEST)
        assert (grid.count, grid.mode, grid.mode_id) == (2, UTDSeatMode.REQUEST, "duo")

    async def test_what_is_not_there_is_taken_away_quietly(self, bench: EngineBench) -> None:
        for _ in range(2):
            await bench.engine.leave_seat(bench.room)
            await bench.engine.cancel_request(bench.room)
            await bench.engine.unban("nobody", room=bench.room)
        assert await bench.engine.bans(page=1, per_page=10) == ()

    async def test_a_request_is_answered_once(self, bench: EngineBench) -> None:
        await bench.engine.setup_seats(bench.room, seat_mode=UTDSeatMode.REQUEST)
        for answer in (bench.engine.approve_speaker, bench.engine.reject_speaker):
            request_id = await bench.ask()
            assert [r.id for r in (await self._seats(bench)).requests] == [request_id]
            await answer(bench.room, request_id)
            grid = await self._seats(bench)
            assert grid.requests == ()
            for seat in grid.seats:
                if seat.identity is not None:
                    await bench.engine.kick_seat(bench.room, seat.index)

    async def test_an_invitation_seats_where_it_says(self, bench: EngineBench) -> None:
        await bench.engine.decline_invitation(bench.room, await bench.invite())
        index = await bench.engine.accept_invitation(bench.room, await bench.invite())
        if index is not None:
            assert (await self._seats(bench)).seats[index].identity == bench.me
        assert await bench.engine.invite_to_speak(bench.room, bench.other) is not None

    async def test_bans_come_in_pages_the_newest_first(self, bench: EngineBench) -> None:
        for name in ("ann", "bob", "cem"):
            await bench.engine.ban(name, room=bench.room, reason=None, duration=None)
        first = await bench.engine.bans(page=1, per_page=2)
        last = await bench.engine.bans(page=2, per_page=2)
        assert [ban.identity for ban in (*first, *last)] == ["cem", "bob", "ann"]
        assert await bench.engine.bans(page=3, per_page=2) == ()
        await bench.engine.unban("bob", room=bench.room)
        left = await bench.engine.bans(page=1, per_page=100)
        assert [ban.identity for ban in left] == ["cem", "ann"]

    async def test_who_is_not_there_has_no_metadata(self, bench: EngineBench) -> None:
        assert isinstance(await bench.engine.participant_metadata(bench.room, bench.me), str)
        with pytest.raises(UTDStreamException) as caught:
            await bench.engine.participant_metadata(bench.room, "nobody")
        assert caught.value.code is UTDErrorCode.NOT_FOUND

    async def test_moderation_of_who_is_there(self, bench: EngineBench) -> None:
        engine, room, other = bench.engine, bench.room, bench.other
        await engine.mute_participant(room, other, audio=True, video=False, muted=True)
        await engine.lock_chat(room, True)
        await engine.lock_chat(room, True)
        await engine.set_role(room, other, UTDRole.ADMIN)
        assert await engine.get_role(room, other) is UTDRole.ADMIN
        await engine.kick_participant(room, other)

    @pytest.mark.parametrize(
        "command",
        [
            lambda bench: bench.engine.take_seat(bench.room, 0),
            lambda bench: bench.engine.kick_participant(bench.room, bench.other),
            lambda bench: bench.engine.set_role(bench.room, bench.other, "admin"),
        ],
    )
    async def test_a_failure_is_typed_and_a_value(
        self, bench: EngineBench, command: Callable[[EngineBench], Awaitable[object]]
    ) -> None:
        await bench.fail()
        with pytest.raises(UTDStreamException) as caught:
            await command(bench)
        error = caught.value
        copy = pickle.loads(pickle.dumps(error))
        assert error.message
        assert (copy.message, copy.code, copy.status_code, copy.reason) == (
            error.message,
            error.code,
            error.status_code,
            error.reason,
        )

    @pytest.mark.parametrize(("values", "command"), WRONG)
    async def test_what_cannot_be_is_refused_before_anything_is_done(
        self, bench: EngineBench, values: tuple[Any, ...], command: Command
    ) -> None:
        before = await self._seats(bench)
        for value in values:
            error = await refusal(command(bench.engine, bench.room, value))
            assert error.code is UTDErrorCode.VALIDATION, value
        assert await self._seats(bench) == before

    async def test_what_is_not_there_is_not_found(self, bench: EngineBench) -> None:
        engine, room = bench.engine, bench.room
        for answer in (
            engine.approve_speaker, engine.reject_speaker,
            engine.accept_invitation, engine.decline_invitation,
        ):  # fmt: skip
            assert (await refusal(answer(room, 999))).code is UTDErrorCode.NOT_FOUND

    async def test_calls_at_once_do_not_disturb_each_other(self, bench: EngineBench) -> None:
        replies = await asyncio.gather(
            *(self._seats(bench) for _ in range(AT_ONCE)),
            *(bench.engine.participant_metadata(bench.room, bench.me) for _ in range(AT_ONCE)),
            bench.engine.take_seat(bench.room, 0),
        )
        assert all(grid.count == 4 for grid in replies if isinstance(grid, UTDSeatGrid))
        assert (await self._seats(bench)).seats[0].identity == bench.me

    async def test_whoever_is_cancelled_leaves_the_port_as_it_was(self, bench: EngineBench) -> None:
        call = asyncio.ensure_future(self._seats(bench))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait([call])
        assert (await self._seats(bench)).count == 4

    async def _seats(self, bench: EngineBench) -> UTDSeatGrid:
        return await bench.engine.get_seats(bench.room)
