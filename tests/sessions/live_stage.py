"""A live stream's session on the fakes: a room, an engine and a clock that the test plays."""

from __future__ import annotations

from attrs import evolve

from tests.sessions.stage import TONE
from utd_rx.models.audio import AudioInput
from utd_rx.models.events import ParticipantConnected
from utd_rx.models.participant import ParticipantPermission, RemoteParticipant
from utd_rx.models.role import UTDRole
from utd_rx.models.video import VideoInput
from utd_rx.sessions.live_stream import UTDLiveStreamSession
from utd_rx.testing.clock import FakeClock
from utd_rx.testing.room import FakeRoom
from utd_rx.testing.stage import FakeStageEngine
from utd_rx.video import TestPattern

PATTERN = TestPattern()
GRANTED = ParticipantPermission(can_subscribe=True, can_publish=True, can_publish_data=True)


class LiveStage:
    """One session of "me", who hosts or watches sara."""

    def __init__(
        self,
        *,
        is_host: bool = False,
        role: UTDRole | None = None,
        microphone: AudioInput | None = TONE,
        camera: VideoInput | None = PATTERN,
        clock: FakeClock | None = None,
        writes: bool = True,
    ) -> None:
        self.clock = clock or FakeClock(100.0)
        self.room = FakeRoom("me")
        self.engine = FakeStageEngine(self.room)
        self.engine.writes = writes
        role = UTDRole.HOST if is_host else role
        self.engine.role = None if role is None else role.value
        snapshot = self.room.snapshot
        local = evolve(snapshot.local, metadata=metadata_of(role))
        if is_host:
            local = evolve(local, permission=GRANTED)
        self.room.snapshot = evolve(snapshot, local=local)
        if not is_host:
            self.come("sara", UTDRole.HOST)
        self.engine.promote("me" if is_host else "sara", UTDRole.HOST)
        self.session = UTDLiveStreamSession(
            "me",
            "room",
            is_host=is_host,
            room=self.room,
            engine=self.engine,
            microphone=microphone,
            camera=camera,
            screen=PATTERN,
            clock=self.clock,
        )

    def come(self, identity: str, role: UTDRole = UTDRole.AUDIENCE) -> None:
        """Have somebody come into the room."""
        remote = RemoteParticipant(identity, f"PA_{identity}", metadata=metadata_of(role))
        snapshot = self.room.snapshot
        self.engine.there.people.add(identity)
        self.room.snapshot = evolve(snapshot, remotes=(*snapshot.remotes, remote))
        self.room.emit(ParticipantConnected(remote))

    @property
    def stage(self) -> list[str]:
        """Who is on the stage, as the session shows it."""
        return [member.identity for member in self.session.stage.value]

    @property
    def hands(self) -> list[str]:
        """Whose hand is up, as the session shows it."""
        return [asked.identity for asked in self.session.stage_requests.value]

    @property
    def published(self) -> list[str]:
        """What is published and not muted, by name."""
        return [track.name for track in self.room.tracks if not track.is_muted]


def metadata_of(role: UTDRole | None) -> str:
    return "" if role is None else f'{{"role": "{role.value}"}}'
