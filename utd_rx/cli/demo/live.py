"""`utd-rx demo live`: hana goes live, vera raises her hand and comes on the stage, theo watches."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from math import inf
from pathlib import Path
from typing import Final

import numpy as np
from attrs import frozen
from reactivex.disposable import CompositeDisposable

from utd_rx import ArraySource, AudioComparison, TestPattern, WavSource
from utd_rx.audio import read_wav
from utd_rx.cli.demo.journal import DemoJournal
from utd_rx.cli.demo.report import (
    Finding,
    Step,
    connects,
    covered,
    hears,
    in_order,
    sees,
    stays,
    stops,
)
from utd_rx.cli.demo.sight import Show, Sighting, tinted
from utd_rx.cli.demo.sound import LEAD, Speech, Way, silence
from utd_rx.cli.demo.story import PATIENCE, TAIL, Story, join_all, leave_all, start_engine

HOST: Final = "hana"
GUEST: Final = "vera"
VIEWER: Final = "theo"
USERS: Final = (HOST, GUEST, VIEWER)

HOST_SAYS: Final = Way("hana says", ("vera hears hana", "theo hears hana"))
GUEST_SAYS: Final = Way("vera says", ("hana hears vera", "theo hears vera"))
HOST_SHOWS: Final = Way("hana shows", ("vera sees hana", "theo sees hana"))
GUEST_SHOWS: Final = Way("vera shows", ("hana sees vera", "theo sees vera"))

CAMERA: Final = tinted(TestPattern(640, 360, fps=15.0), (44, 118, 190))
PHONE: Final = tinted(TestPattern(360, 640, fps=15.0), (226, 106, 44))
"""Held upright, and of another colour: nobody takes the guest's pictures for the host's."""

HESITATION: Final = 1.0
"""Seconds between what people do, for the picture to show."""

MAX_FIRST: Final = 3.0
"""Seconds from going live to what others see of it."""

INTERRUPTED: Final = 1.5
"""Seconds that the guest goes on speaking after her word, when she is taken off the stage."""

AUDIBLE: Final = -50.0
"""dBFS; a pause in speech is below it."""

PROMISED: Final[Mapping[str, tuple[Step, ...]]] = {
    **connects(USERS),
    "vera sees hana go live": ((GUEST, "remote_participants", "hana is seen and speaks"),),
    "theo sees hana go live": ((VIEWER, "remote_participants", "hana is seen and speaks"),),
    "hana sees the hand that vera raises, and it goes down": (
        (HOST, "stage_requests", [GUEST]),
        (HOST, "stage_requests", []),
    ),
    "vera sees her hand go up and down": (
        (GUEST, "hand_raised", True),
        (GUEST, "hand_raised", False),
    ),
    "vera is on the stage first, then on air": (
        (GUEST, "can_publish", False),
        (GUEST, "can_publish", True),
        (GUEST, "camera_enabled", True),
        (GUEST, "can_publish", False),
    ),
    "theo sees vera on air, and no more": (
        (VIEWER, "remote_participants", "vera is seen and speaks"),
        (VIEWER, "remote_participants", "vera listens"),
    ),
    "the audience is two, one, and two": (
        (HOST, "viewer_count", 2),
        (HOST, "viewer_count", 1),
        (HOST, "viewer_count", 2),
    ),
    **{
        f"{who} sees the stage, and the end of the broadcast": (
            (who, "stage", [HOST]),
            (who, "stage", [HOST, GUEST]),
            (who, "stage", [HOST]),
            (who, "live_ended", True),
        )
        for who in USERS
    },
}


@frozen
class Airing:
    """What the story leaves to be judged; seconds of the journal's clock.

    `heard` and `seen` are by the ends of the ways.
    """

    live_at: float
    taken_off_at: float
    stopped_at: float
    heard: Mapping[str, AudioComparison]
    seen: Mapping[str, Sighting]

    @property
    def figures(self) -> Mapping[str, object]:
        return {
            "live_at": self.live_at,
            "taken_off_at": self.taken_off_at,
            "stopped_at": self.stopped_at,
            "heard": self.heard,
            "seen": self.seen,
        }


async def play(sfu: str, journal: DemoJournal, speech: WavSource, out: Path) -> Airing:
    """Play the story: the host says `speech`, the guest the same backwards; all is recorded."""
    speech_format, samples = read_wav(speech.path)
    rate = speech_format.sample_rate
    lead = silence(samples, rate, LEAD)
    host_word, guest_word = (np.concatenate((lead, one)) for one in (samples, samples[::-1]))
    word = len(host_word) / rate
    quiet = silence(samples, rate, len(samples) / rate + 3 * PATIENCE)
    on_and_on = np.concatenate((host_word, quiet)), np.concatenate((guest_word, samples, quiet))
    host_says, guest_says = (
        Speech(journal, way, ArraySource(one, rate), out)
        for way, one in zip((HOST_SAYS, GUEST_SAYS), on_and_on, strict=True)
    )
    host_shows = Show(journal, HOST_SHOWS, CAMERA)
    guest_shows = Show(journal, GUEST_SHOWS, PHONE)
    async with AsyncExitStack() as stack:
        _, make_client = await start_engine(stack, journal, sfu)
        clients = [await make_client() for _ in USERS]
        host = clients[0].live_stream(
            HOST,
            "demo",
            as_host=True,
            name="Hana",
            microphone=host_says.mouth,
            camera=host_shows.camera,
        )
        guest = clients[1].live_stream(
            GUEST,
            "demo",
            name="Vera",
            microphone=guest_says.mouth,
            camera=guest_shows.camera,
        )
        viewer = clients[2].live_stream(VIEWER, "demo", name="Theo")
        sessions = dict(zip(USERS, (host, guest, viewer), strict=True))
        await join_all(stack, journal, sessions, LIVE.watched)
        following = CompositeDisposable(
            host_says.listen(stack, HOST, guest, viewer),
            guest_says.listen(stack, GUEST, host, viewer),
            host_shows.watch(HOST, guest, viewer),
            guest_shows.watch(GUEST, host, viewer),
        )

        live_at = journal.elapsed()
        await host.go_live()
        journal.say(f"{HOST} is live")
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(host_shows.until_seen(), host_says.until_heard())
        journal.say(f"{GUEST} and {VIEWER} see and hear her")
        # The media server tells of who only watches now and then.
        await host.viewer_count.until(len(USERS) - 1, timeout=PATIENCE)
        journal.say(f"{HOST} counts two viewers")
        await asyncio.sleep(HESITATION)
        await guest.request_stage()
        journal.say(f"{GUEST} raises her hand")
        await host.stage_requests.until(bool, timeout=PATIENCE)
        journal.say(f"{HOST} sees it")
        await asyncio.sleep(HESITATION)
        await host.invite_to_stage(GUEST)
        await guest.can_publish.until(True, timeout=PATIENCE)
        journal.say(f"{GUEST} is on the stage")
        async with asyncio.timeout(PATIENCE + word):
            await host_says.until_said(word)
        await asyncio.gather(guest.set_camera(True), guest.set_microphone(True))
        journal.say(f"{GUEST} shows herself and speaks")
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(guest_shows.until_seen(), guest_says.until_heard())
        journal.say(f"{HOST} and {VIEWER} see and hear her")
        async with asyncio.timeout(PATIENCE + word):
            await guest_says.until_said(word + INTERRUPTED)
        taken_off_at = journal.elapsed()
        await host.remove_from_stage(GUEST)
        journal.say(f"{HOST} takes {GUEST} off the stage")
        for enabled in (guest.camera_enabled, guest.microphone_enabled):
            await enabled.until(False, timeout=PATIENCE)
        journal.say(f"{GUEST} is off air")
        await asyncio.sleep(HESITATION)
        stopped_at = journal.elapsed()
        await host.stop_live()
        journal.say(f"{HOST} stops the live")
        for session in sessions.values():
            await session.live_ended.until(True, timeout=PATIENCE)
        journal.say("all know that it is over")
        await asyncio.sleep(TAIL)
        following.dispose()
        await leave_all(journal, sessions)
    return Airing(
        live_at,
        taken_off_at,
        stopped_at,
        host_says.compare(host_word, rate) | guest_says.compare(guest_word, rate),
        host_shows.sightings() | guest_shows.sightings(),
    )


def judge(journal: DemoJournal, airing: Airing) -> tuple[Finding, ...]:
    """Return every promise of the demo with its verdict."""
    frames = {end: [entry.at for entry in journal.frames.get(end, [])] for end in airing.seen}
    sound = {
        end: [entry.at for entry in journal.levels.get(end, []) if entry.value > AUDIBLE]
        for end in airing.heard
    }
    first = {end: min(frames[end], default=inf) - airing.live_at for end in HOST_SHOWS.ends}
    return (
        *(Finding(promise, *in_order(journal, steps)) for promise, steps in PROMISED.items()),
        stays(journal, GUEST),
        *(sees(f"{end}, in order", seen) for end, seen in airing.seen.items()),
        *(hears(end, heard) for end, heard in airing.heard.items()),
        Finding(
            "nobody is on air without the grant",
            *covered(
                journal, USERS, {"can_publish": True}, ("camera_enabled", "microphone_enabled")
            ),
        ),
        Finding(
            f"the first picture comes within {MAX_FIRST:g} s",
            max(first.values()) <= MAX_FIRST,
            ", ".join(f"{end} after {after * 1e3:.0f} ms" for end, after in first.items()),
        ),
        stops(
            f"{GUEST} is neither seen nor heard once she is off the stage",
            airing.taken_off_at,
            *(frames[end] for end in GUEST_SHOWS.ends),
            *(sound[end] for end in GUEST_SAYS.ends),
        ),
        stops(
            f"{HOST} is not seen once the live is over",
            airing.stopped_at,
            *(frames[end] for end in HOST_SHOWS.ends),
        ),
    )


LIVE: Final = Story(
    name="live",
    users=USERS,
    watched=(
        *("connection_state", "connected", "can_publish", "camera_enabled", "microphone_enabled"),
        *("stage", "stage_requests", "hand_raised", "viewer_count", "live_ended"),
        *("remote_participants", "camera_failure", "microphone_failure", "failure"),
    ),
    lanes={
        HOST: (
            *("connection_state", "camera_enabled", "microphone_enabled"),
            *("stage_requests", "viewer_count", "live_ended"),
        ),
        GUEST: (
            *("connection_state", "hand_raised", "can_publish"),
            *("camera_enabled", "microphone_enabled", "live_ended"),
        ),
        VIEWER: ("connection_state", "stage", "live_ended"),
    },
    columns={
        "connection": "connection_state",
        "hand": "hand_raised",
        "may publish": "can_publish",
        "camera": "camera_enabled",
        "microphone": "microphone_enabled",
        "stage": "stage",
        "viewers": "viewer_count",
        "over": "live_ended",
    },
    ways=(HOST_SAYS, GUEST_SAYS),
    play=play,
    judge=judge,
    sights=(HOST_SHOWS, GUEST_SHOWS),
)
