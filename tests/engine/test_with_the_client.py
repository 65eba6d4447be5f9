"""This engine and this SDK's REST client, two implementations of one contract, together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from attrs import frozen

from tests.engine.fakes import FakeMedia
from utd_rx.engine import LocalEngine
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.seats import UTDSeatMode
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.ports.engine import JoinRequest
from utd_rx.rest import UTDApi, UTDApiClient

AUDIO = UTDStreamType.AUDIO_ROOM


@pytest.fixture
async def client() -> AsyncIterator[UTDApiClient]:
    """A client of an engine with a fake media server."""
    async with LocalEngine(media=FakeMedia()) as engine:
        client = UTDApiClient(engine.base_url, app_id=engine.app_id, app_key=engine.app_key)
        try:
            yield client
        finally:
            await client.aclose()


@pytest.fixture
def api(client: UTDApiClient) -> UTDApi:
    """The client's API, in which nobody acts yet."""
    return UTDApi(client)


@frozen
class People:
    """Members of the room who are connected, as far as the engine knows."""

    api: UTDApi
    engine: LocalEngine
    media: FakeMedia

    async def join(
        self,
        identity: str,
        *,
        role: str = "audience",
        seat_count: int | None = None,
        seat_mode: str | None = None,
    ) -> UTDApi:
        who = JoinRequest(
            identity, "friday", AUDIO, role=role, seat_count=seat_count, seat_mode=seat_mode
        )
        acting = self.api.acting_as(who)
        await self.media.connect(self.engine.core, (await acting.mint()).token)
        return acting


@pytest.fixture
async def people() -> AsyncIterator[People]:
    """An engine on a fake media server that people can connect to."""
    media = FakeMedia()
    async with LocalEngine(media=media) as engine:
        client = UTDApiClient(engine.base_url, app_id=engine.app_id, app_key=engine.app_key)
        try:
            yield People(UTDApi(client), engine, media)
        finally:
            await client.aclose()


async def member(
    api: UTDApi, identity: str, *, seat_count: int | None = None, host_seat: int | None = None
) -> UTDApi:
    """Mint for the room and return the API in which `identity` acts."""
    role = "audience" if seat_count is None else "host"
    who = JoinRequest(
        identity,
        "friday",
        AUDIO,
        role=role,
        name=identity,
        seat_count=seat_count,
        host_seat=host_seat,
    )
    acting = api.acting_as(who)
    assert (await acting.mint()).role == role
    return acting


async def test_every_seat_call(api: UTDApi) -> None:
    sara = await member(api, "sara", seat_count=4, host_seat=0)
    mona = await member(api, "李雷")
    await mona.take_seat("friday", 1)
    await mona.move_seat("friday", 2)
    grid = await mona.get_seats("friday")
    assert grid.seats[2].identity == "李雷"
    assert grid.seats[2].attributes == {"name": "李雷"}
    assert grid.seats[0].reserved_for == "sara"
    await sara.mute_seat("friday", 2)
    await sara.unmute_seat("friday", 2)
    await sara.kick_seat("friday", 2)
    await sara.lock_seat("friday", 3)
    await sara.unlock_seat("friday", 3)
    await mona.leave_seat("friday")
    changed = await sara.setup_seats("friday", seat_count=2, seat_mode="request", mode_id="duo")
    assert (changed.count, changed.mode, changed.mode_id) == (2, UTDSeatMode.REQUEST, "duo")
    assert changed.revision is not None
    assert grid.revision is not None
    assert changed.revision > grid.revision


async def test_moderation(api: UTDApi) -> None:
    sara = await member(api, "sara", seat_count=4)
    await member(api, "a/b ?")
    await sara.kick_participant("friday", "a/b ?")
    await sara.ban("omar", room="friday", reason="spam", duration=60)
    (ban,) = await sara.bans()
    assert (ban.identity, ban.room_name, ban.reason) == ("omar", "friday", "spam")
    assert not ban.is_permanent
    with pytest.raises(UTDStreamException) as caught:
        await member(api, "omar")
    assert caught.value.is_banned
    await sara.unban("omar", room="friday")
    await member(api, "omar")
    assert (await api.mint_session(identity="omar")).user_token


async def test_every_speaker_call(people: People) -> None:
    sara = await people.join("sara", role="host", seat_count=2, seat_mode="request")
    mona = await people.join("李雷")
    id_ = await mona.request_to_speak("friday")
    assert id_ is not None
    (request,) = await sara.speak_requests("friday")
    assert (request.id, request.identity) == (id_, "李雷")
    assert request.created_at is not None
    await sara.reject_speaker("friday", id_)
    await mona.request_to_speak("friday")
    await mona.cancel_request("friday")
    await mona.cancel_request("friday")
    id_ = await mona.request_to_speak("friday")
    assert id_ is not None
    assert await sara.approve_speaker("friday", id_) == 0
    await mona.leave_seat("friday")
    for seat_index in (1, None):
        id_ = await sara.invite_to_speak("friday", "李雷", seat_index=seat_index)
        assert id_ is not None
        if seat_index is None:
            await mona.decline_invitation("friday", id_)
        else:
            assert await mona.accept_invitation("friday", id_) == 1
            await mona.leave_seat("friday")
    await sara.mute_participant("friday", "李雷", audio=True, video=True, muted=True)


async def test_who_has_no_bearer_of_the_engines_is_unauthorized(client: UTDApiClient) -> None:
    with pytest.raises(UTDStreamException) as caught:
        await UTDApi(client, bearer="x").get_seats("friday")
    assert (caught.value.code, caught.value.status_code) == (UTDErrorCode.UNAUTHORIZED, 401)


@pytest.mark.parametrize(
    ("call", "code", "status"),
    [
        (lambda api: api.take_seat("friday", 9), UTDErrorCode.VALIDATION, 422),
        (lambda api: api.take_seat("friday", 1), UTDErrorCode.CONFLICT, 409),
        (lambda api: api.take_seat("friday", 2), UTDErrorCode.FORBIDDEN, 403),
        (lambda api: api.take_seat("nowhere", 1), UTDErrorCode.NOT_FOUND, 404),
        (lambda api: api.setup_seats("friday", seat_count=2), UTDErrorCode.FORBIDDEN, 403),
        (lambda api: api.bans(), UTDErrorCode.FORBIDDEN, 403),
    ],
)
async def test_bad_input_is_the_right_exception(
    api: UTDApi, call: Callable[[UTDApi], Awaitable[object]], code: UTDErrorCode, status: int
) -> None:
    sara = await member(api, "sara", seat_count=4)
    await sara.take_seat("friday", 1)
    await sara.lock_seat("friday", 2)
    mona = await member(api, "mona")
    with pytest.raises(UTDStreamException) as caught:
        await call(mona)
    assert (caught.value.code, caught.value.status_code) == (code, status)
    assert caught.value.message
