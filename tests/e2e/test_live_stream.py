"""A live stream end to end: a host, two viewers, a promotion, both SFUs."""

from __future__ import annotations

import pytest

from tests.e2e.house import PATIENCE, House
from utd_rx import (
    TestPattern,
    TrackSource,
    UTDErrorCode,
    UTDLiveStreamSession,
    UTDStreamException,
)
from utd_rx.models.participant import RemoteParticipant

PATTERN = TestPattern(160, 90, 10.0)


async def join(
    house: House, identity: str, *, as_host: bool = False, name: str | None = None
) -> UTDLiveStreamSession:
    client = await house.client()
    session = client.live_stream(identity, "show", as_host=as_host, name=name, camera=PATTERN)
    await session.join()
    return await house.enter(session)


async def sees(session: UTDLiveStreamSession, whom: str, *sources: TrackSource) -> None:
    """Wait until `session` receives exactly these sources of somebody, none of them muted."""

    def is_so(remotes: tuple[RemoteParticipant, ...]) -> bool:
        shown = {
            track.source
            for remote in remotes
            if remote.identity == whom
            for track in remote.tracks
            if track.is_subscribed and not track.is_muted
        }
        return shown == set(sources)

    await session.remote_participants.until(is_so, timeout=PATIENCE)


async def on_stage(session: UTDLiveStreamSession, *identities: str) -> None:
    await session.stage.until(
        lambda stage: tuple(member.identity for member in stage) == identities, timeout=PATIENCE
    )


async def test_a_broadcast_from_going_live_to_its_end(house: House) -> None:
    host = await join(house, "hana", as_host=True, name="Hana")
    viewer = await join(house, "vera", name="Vera")
    claimant = await join(house, "carl", as_host=True)
    assert (host.is_host, claimant.is_host) == (True, False), "who claims and is not the owner"
    with pytest.raises(UTDStreamException) as raised:
        await claimant.go_live()
    assert raised.value.code is UTDErrorCode.FORBIDDEN

    await host.go_live()
    both = (TrackSource.MICROPHONE, TrackSource.CAMERA)
    await sees(viewer, "hana", *both)
    await on_stage(viewer, "hana")
    await host.viewer_count.until(2, timeout=PATIENCE)

    await viewer.request_stage()
    await host.stage_requests.until(
        lambda hands: [(one.identity, one.name) for one in hands] == [("vera", "Vera")],
        timeout=PATIENCE,
    )
    await host.invite_to_stage("vera")
    await viewer.can_publish.until(True, timeout=PATIENCE)
    await viewer.hand_raised.until(False, timeout=PATIENCE)
    await on_stage(claimant, "hana", "vera")
    await viewer.set_camera(True)
    await viewer.set_microphone(True)
    await sees(host, "vera", *both)
    await sees(claimant, "vera", *both)
    await claimant.viewer_count.until(1, timeout=PATIENCE)

    await host.remove_from_stage("vera")
    await viewer.camera_enabled.until(False, timeout=PATIENCE)
    await sees(host, "vera")
    await sees(claimant, "vera")

    await host.stop_live()
    for watching in (viewer, claimant):
        await watching.live_ended.until(True, timeout=PATIENCE)
        await sees(watching, "hana")
    await host.go_live(with_video=False)
    for watching in (viewer, claimant):
        await watching.live_ended.until(False, timeout=PATIENCE)
        await sees(watching, "hana", TrackSource.MICROPHONE)
    await host.leave()
    for watching in (viewer, claimant):
        await watching.live_ended.until(True, timeout=PATIENCE)
        assert watching.state.value.forged == 0
