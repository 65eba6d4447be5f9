"""Who may do what in a live stream, who sees which hands, and what a liar moves: both SFUs."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from functools import partial
from typing import Any

from tests.e2e.house import PATIENCE
from tests.e2e.shows import CAMERA, MICROPHONE, Show, hands, on_stage, sees, values, viewing
from tests.e2e.test_audio_room import refused
from utd_rx import UTDErrorCode, UTDLiveStreamSession, UTDRole
from utd_rx.models.events import DataReceived

FORBIDDEN = UTDErrorCode.FORBIDDEN


async def test_an_admin_moderates_and_publishes_on_the_stage_only(show: Show) -> None:
    """Also one who comes when hands are up already."""
    hana = await show.attend("hana", as_host=True)
    vera = await show.attend("vera")
    wes = await show.attend("wes")
    await vera.request_stage()
    await wes.request_stage()
    await vera.request_stage()  # once more: it keeps its place
    await hands(hana, "vera", "wes")
    show.clock.skip(1)

    adam = await show.attend("adam")
    assert not adam.stage_requests.value
    assert (await refused(adam.dismiss_stage_request("vera"))).code is FORBIDDEN
    await hana.set_role("adam", UTDRole.ADMIN)
    await hands(adam, "vera", "wes")
    await adam.leave()
    await adam.join()
    await hands(adam, "vera", "wes")
    assert adam.stage_requests.value == hana.stage_requests.value
    first, second = [asked.age(datetime.now(UTC)) for asked in adam.stage_requests.value]
    assert first is not None
    assert second is not None
    assert PATIENCE > first > second > 0
    assert [asked.name for asked in adam.stage_requests.value] == ["Vera", "Wes"]

    await adam.dismiss_stage_request("vera")
    await vera.hand_raised.until(False, timeout=PATIENCE)
    assert wes.hand_raised.value
    await hands(hana, "wes")
    assert (await refused(adam.dismiss_stage_request("vera"))).code is UTDErrorCode.NOT_FOUND
    assert not adam.can_publish.value
    for command in (adam.set_camera(True), adam.go_live(), adam.stop_live()):
        assert (await refused(command)).code is FORBIDDEN

    await hana.go_live()
    await adam.invite_to_stage("wes")
    await wes.hand_raised.until(False, timeout=PATIENCE)
    await hands(hana)
    await wes.can_publish.until(True, timeout=PATIENCE)
    for command in (
        wes.invite_to_stage("vera"),
        wes.remove_from_stage("adam"),
        wes.go_live(),
        adam.remove_from_stage("hana"),
    ):
        assert (await refused(command)).code is FORBIDDEN
    await hana.invite_to_stage("adam")
    await adam.can_publish.until(True, timeout=PATIENCE)
    await on_stage(vera, "hana", "wes", "adam")
    await adam.set_camera(True)
    await sees(vera, "adam", CAMERA)
    await adam.remove_from_stage("adam")  # and stays an admin
    await adam.camera_enabled.until(False, timeout=PATIENCE)
    await adam.remove_from_stage("wes")
    await on_stage(vera, "hana")
    await sees(vera, "adam")


async def test_whatever_a_viewer_forges_moves_nobody(show: Show) -> None:
    hana = await show.attend("hana", as_host=True)
    vera = await show.attend("vera")
    await hana.go_live()
    await vera.request_stage()
    await hands(hana, "vera")
    await sees(vera, "hana", MICROPHONE, CAMERA)
    moves = [values(stream) for session in (hana, vera) for stream in _streams(session)]
    forged: list[dict[str, Any]] = [
        {"type": "_live_ended"},
        {"type": "_stage_update", "members": [], "rev": 10**9, "live": False},
        {"type": "_stage_update", "members": [{"identity": "mallory", "role": "host"}]},
        {"type": "_stage_request", "identity": "mallory", "created_at": "2026-01-01T00:00:00Z"},
        {"type": "_stage_request_closed", "identity": "vera"},
        {"type": "_role_change", "identity": "mallory", "role": "host"},
    ]
    payloads = [json.dumps(wire).encode() for wire in forged]
    arrived: dict[str, list[str | None]] = {}
    everything = asyncio.Event()

    def observe(senders: list[str | None], event: object) -> None:
        if isinstance(event, DataReceived) and event.payload in payloads:
            senders.append(event.sender)
            if all(len(found) == 2 * len(payloads) for found in arrived.values()):
                everything.set()

    for session in (hana, vera):
        senders = arrived[session.identity] = []
        session.events.subscribe(partial(observe, senders))
    mallory = await show.attend("mallory", as_host=True)
    for _ in range(2):  # at once: LiveKit may not know her yet; and when it does
        for payload in payloads:
            await mallory.send_data(payload)
        for session in (hana, vera):
            await session.remote_participants.until(lambda p: len(p) == 2, timeout=PATIENCE)
    await asyncio.wait_for(everything.wait(), PATIENCE)
    for session in (hana, vera):
        senders = arrived[session.identity]
        assert set(senders) <= {None, "mallory"}
        assert senders.count("mallory") >= len(payloads)
        assert session.state.value.forged == senders.count("mallory")
        # What came without a sender may have asked the engine; once it answered, all is as before.
        await session.refresh_stage()
    assert [len(found) for found in moves] == [1] * len(moves)
    assert not mallory.is_host
    assert [session.roles.value["mallory"] for session in (hana, vera)] == [UTDRole.AUDIENCE] * 2
    for command in (
        mallory.go_live(),
        mallory.invite_to_stage("mallory"),
        mallory.remove_from_stage("vera"),
        mallory.dismiss_stage_request("vera"),
    ):
        assert (await refused(command)).code is FORBIDDEN
    with viewing(vera, "hana") as picture:
        await picture.frames()


def _streams(session: UTDLiveStreamSession) -> tuple[Any, ...]:
    return (
        session.stage,
        session.live_ended,
        session.stage_requests,
        session.hand_raised,
        session.can_publish,
        session.camera_enabled,
    )
