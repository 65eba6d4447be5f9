"""The three plays: what is done in an audio room, in a live stream, and with calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from random import Random
from typing import Any, Final, TypeAlias

from attrs import frozen

from tests.differential.scripts import Play, Verb
from utd_rx import ConflictReason, UTDStreamClient, UTDStreamException

Draw: TypeAlias = Callable[[Random], Any]


def among(*values: object) -> Draw:
    return lambda random: random.choice(values)


ROOM: Final = ("anna", "ben", "cleo")
SEAT: Final = among(0, 1, 2, 3)
OTHERS: Final = among(*ROOM)
ON: Final = among(True, True, False)
FIRST: Final = among(0, 0, 1)

MODERATING: Final = {
    "kick": Verb(1, (OTHERS,), lead=8, then=(("join", "other"),)),
    "ban": Verb(1, (OTHERS,), lead=8, then=(("join", "other"), ("unban", "lead"))),
    "unban": Verb(2, (OTHERS,), lead=8),
    "mute": Verb(2, (OTHERS,), lead=6),
    "set_role": Verb(2, (OTHERS, among("admin", "guest", "audience")), lead=8),
    "lock_chat": Verb(1, (ON,), lead=6),
}
PRESENCE: Final = {
    "leave": Verb(1, lead=0, then=(("join", "same"),)),
    "join": Verb(4, lead=0),
    "say": Verb(2, (among("hello", "", "good night"),)),
    "send": Verb(1, (among(b"rose", b"heart"),)),
    "set_microphone": Verb(3, (ON,)),
}

AUDIO_ROOM: Final = Play(
    "audio room",
    ROOM,
    {
        "take_seat": Verb(
            7, (SEAT,), lead=1, then=(("mute_seat", "lead"), ("set_microphone", "same"))
        ),
        "leave_seat": Verb(2),
        "move_seat": Verb(3, (SEAT,)),
        "lock_seat": Verb(2, (SEAT,), lead=6),
        "unlock_seat": Verb(1, (SEAT,), lead=6),
        "kick_seat": Verb(2, (SEAT,), lead=6),
        "mute_seat": Verb(2, (SEAT,), lead=6),
        "unmute_seat": Verb(2, (SEAT,), lead=6),
        "setup_seats": Verb(
            4,
            (among(2, 4), among("free", "request", "request")),
            lead=8,
            then=(("request_to_speak", "lead"), ("take_seat", "lead")),
        ),
        "request_to_speak": Verb(
            4, lead=0, then=(("approve_speaker", "lead"), ("reject_speaker", "lead"))
        ),
        "cancel_request": Verb(1, lead=0),
        "approve_speaker": Verb(4, (FIRST,), lead=8),
        "reject_speaker": Verb(1, (FIRST,), lead=8),
        "invite_to_speak": Verb(
            3,
            (OTHERS, among(None, 0, 1, 2)),
            lead=8,
            then=(("accept_invitation", "other"), ("decline_invitation", "other")),
        ),
        "accept_invitation": Verb(3, lead=0),
        "decline_invitation": Verb(1, lead=0),
        **PRESENCE,
        **MODERATING,
    },
    gap=61.0,
)

LIVE_STREAM: Final = Play(
    "live stream",
    ROOM,
    {
        "go_live": Verb(4, (among(True, False),), lead=8, then=(("invite_to_stage", "same"),)),
        "stop_live": Verb(2, lead=8),
        "request_stage": Verb(4, lead=0, then=(("invite_to_stage", "lead"),)),
        "cancel_stage_request": Verb(1, lead=0),
        "dismiss_stage_request": Verb(2, (OTHERS,), lead=8),
        "invite_to_stage": Verb(
            5,
            (OTHERS,),
            lead=8,
            then=(("set_camera", "other"), ("set_microphone", "other"), ("leave_stage", "other")),
        ),
        "remove_from_stage": Verb(2, (OTHERS,), lead=8),
        "leave_stage": Verb(2, lead=0),
        "refresh_stage": Verb(1),
        "set_camera": Verb(3, (ON,)),
        **PRESENCE,
        **MODERATING,
    },
    gap=61.0,
)

CALLS: Final = Play(
    "calls",
    ROOM,
    {
        "start": Verb(
            8,
            (OTHERS,),
            then=(
                *(("accept", "other"),) * 3,
                ("ringing", "other"),
                ("reject", "other"),
                ("busy", "other"),
                ("end", "same"),
            ),
        ),
        "accept": Verb(2, lead=0, then=(("set_microphone", "same"), ("end", "same"))),
        "ringing": Verb(1, lead=0, then=(("accept", "same"), ("end", "same"))),
        "reject": Verb(1, lead=0),
        "busy": Verb(1, lead=0),
        "end": Verb(3),
        "set_microphone": Verb(2, (ON,)),
        "set_camera": Verb(2, (ON,)),
        "join": Verb(1),
    },
    gap=31.0,
)

PLAYS: Final = (AUDIO_ROOM, LIVE_STREAM, CALLS)


@frozen(eq=False)
class Actor:
    """Somebody who acts: a client, and their session."""

    client: UTDStreamClient
    session: Any

    async def do(self, verb: str, *args: Any) -> object:
        """Do it; return what the app is answered with, as it is the same everywhere."""
        own = OWN_WAYS.get(verb)
        try:
            answer = await (own(self, *args) if own else getattr(self.session, verb)(*args))
        except UTDStreamException as error:
            if verb == "kick" and error.reason is ConflictReason.LEFT:
                return None  # who kicks themselves is answered, or out before
            raise
        return answer if isinstance(answer, int | None) else None

    def ring(self) -> str:
        """The id of the call that rings, or the one on hand, or that of none."""
        ringing = self.client.ringing_calls.value
        return ringing[0].call_id if ringing else (self.session.call_id.value or NO_CALL)


NO_CALL: Final = f"call_{0:024x}"


def _nth(found: tuple[Any, ...], number: int) -> int:
    """The id of the n-th, or one that nobody has."""
    return int(found[number].id) if number < len(found) else 0


OWN_WAYS: Final[Mapping[str, Callable[..., Awaitable[object]]]] = {
    "setup_seats": lambda one, count, mode: one.session.setup_seats(
        seat_count=count, seat_mode=mode
    ),
    "approve_speaker": lambda one, number: one.session.approve_speaker(
        _nth(one.session.pending_requests.value, number)
    ),
    "reject_speaker": lambda one, number: one.session.reject_speaker(
        _nth(one.session.pending_requests.value, number)
    ),
    "invite_to_speak": lambda one, whom, seat: one.session.invite_to_speak(whom, seat_index=seat),
    "accept_invitation": lambda one: one.session.accept_invitation(
        _nth(one.session.invitations.value, 0)
    ),
    "decline_invitation": lambda one: one.session.decline_invitation(
        _nth(one.session.invitations.value, 0)
    ),
    "say": lambda one, text: one.session.chat.send(text),
    "send": lambda one, payload: one.session.send_data(payload, topic="gift"),
    "go_live": lambda one, with_video: one.session.go_live(with_video=with_video),
    "accept": lambda one: one.session.accept(one.ring()),
    "ringing": lambda one: one.session.ringing(one.ring()),
    "reject": lambda one: one.session.reject(one.ring()),
    "busy": lambda one: one.session.busy(one.ring()),
}
"""What is more than a method of the session."""
