"""What a lying media server says, and what comes of it for the client that it is said to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from random import Random
from typing import Any, Final, TypeAlias

from google.protobuf.message import Message
from livekit.protocol import models, rtc

from tests.hostile.lies import Lie

Said: TypeAlias = rtc.SignalResponse | bytes | None
"""A message, bytes that are none, or None to hang up."""

Tell: TypeAlias = Callable[[rtc.SignalResponse, Random], Iterator[Said]]
"""Returns what is said instead of what the server says."""


class Comes(Enum):
    """What comes of a lie for the client's process."""

    JOINS = "it joins, and leaves when it wants to"
    TYPED = "it is refused, or the room ends, with a typed error"
    LATE = "its join is given up, and nobody told it why"
    ABORTS = 'native code aborts it: docs/livekit.md, "Native panics"'


ARRIVALS: Final = 10_000
_ACTIVE: Final = models.ParticipantInfo.ACTIVE
_GONE: Final = models.ParticipantInfo.DISCONNECTED


def somebody(number: int, **more: Any) -> models.ParticipantInfo:
    """Return a participant who is not there."""
    told: dict[str, Any] = {"sid": f"PA_{number}", "identity": f"user-{number}", "state": _ACTIVE}
    told |= more
    permission = models.ParticipantPermission(can_subscribe=True, can_publish=True)
    return models.ParticipantInfo(version=1, permission=permission, **told)


def say(**message: Any) -> rtc.SignalResponse:
    """Return a message."""
    return rtc.SignalResponse(**message)


def update(*people: models.ParticipantInfo) -> rtc.SignalResponse:
    """Return the news of participants."""
    return say(update=rtc.ParticipantUpdate(participants=people))


def unchanged(said: rtc.SignalResponse, _: Random) -> Iterator[Said]:
    """Say what the server says."""
    yield said


def _instead(kind: str, change: Callable[[Any], object]) -> Tell:
    """Change what each message of a kind holds."""

    def tell(said: rtc.SignalResponse, _: Random) -> Iterator[Said]:
        if said.WhichOneof("message") == kind:
            change(getattr(said, kind))
        yield said

    return tell


def _behind(kind: str, *more: Said) -> Tell:
    """Say more behind each message of a kind: `join` is the first, `answer` ends a join."""

    def tell(said: rtc.SignalResponse, _: Random) -> Iterator[Said]:
        yield said
        if said.WhichOneof("message") == kind:
            yield from more

    return tell


def _noise(said: rtc.SignalResponse, random: Random) -> Iterator[Said]:
    yield random.randbytes(random.randrange(1, 200))
    yield said


def _cut(said: rtc.SignalResponse, random: Random) -> Iterator[Said]:
    data = said.SerializeToString()
    if said.WhichOneof("message") not in ("join", "answer", "leave"):
        yield data[: random.randrange(len(data))]
    yield said


def _row(name: str, tell: Tell, comes: Comes = Comes.JOINS) -> Lie[Tell, Comes]:
    return Lie(name, tell, comes)


def _join(name: str, comes: Comes, change: Callable[[rtc.JoinResponse], object]) -> Any:
    return _row(name, _instead("join", change), comes)


def _later(name: str, *more: Said, comes: Comes = Comes.JOINS, is_apart: bool = False) -> Any:
    return Lie(name, _behind("answer", *more), comes, is_apart=is_apart)


def _strange() -> models.ParticipantInfo:
    """Return somebody all of whose numbers are those of another release."""
    track = models.TrackInfo(sid="TR_1", name="\u202e")
    who = somebody(1, tracks=[track])
    numbers: list[tuple[Any, str]] = [(who, "state"), (who, "kind"), (who, "disconnect_reason")]
    numbers += [(who.tracks[0], name) for name in ("type", "source", "encryption")]
    for where, name in numbers:
        setattr(where, name, 99)
    return who


def _leave(reason: int) -> rtc.SignalResponse:
    leave: Any = rtc.LeaveRequest(action=rtc.LeaveRequest.DISCONNECT)
    leave.reason = reason
    return say(leave=leave)


_NO_SID: Final = somebody(1, sid="")
_NOBODY: Final = "PA_x"
_NOTHING: Final = "TR_x"
_HUGE: Final = somebody(1, identity="x" * 10**6, name="\u202e" * 10**5, metadata="{" * 10**6)
_TRACK_WITHOUT_SID: Final = somebody(1, tracks=[models.TrackInfo(name="x")])
_NO_CANDIDATE: Final = say(trickle=rtc.TrickleRequest(candidateInit='{"candidate": 7}'))
_NO_SDP: Final = "v=0\r\ngarbage"
_ICE: Final = rtc.ICEServer(urls=["http://x", "turn:", ""])
_CODEC: Final = models.Codec(mime="x/\u202e", fmtp_line="=" * 1000)
_SPEAKER: Final = models.SpeakerInfo(sid=_NOBODY, level=float("nan"), active=True)
_QUALITY: Final = rtc.ConnectionQualityUpdate(
    updates=[rtc.ConnectionQualityInfo(participant_sid=_NOBODY)]
)
_STREAMS: Final = rtc.StreamStateUpdate(
    stream_states=[rtc.StreamStateInfo(participant_sid=_NOBODY, track_sid=_NOTHING)]
)
_PERMISSION: Final = rtc.SubscriptionPermissionUpdate(participant_sid=_NOBODY, track_sid=_NOTHING)
_DATA_TRACK: Final = rtc.PublishDataTrackResponse()
_SECTIONS: Final = rtc.MediaSectionsRequirement(num_audios=50, num_videos=50)

_A, _T = Comes.ABORTS, Comes.TYPED

LIES: Final[tuple[Lie[Tell, Comes], ...]] = (
    _row("nothing", unchanged),
    # The first word.
    _join("no room", _A, lambda join: join.ClearField("room")),
    _join("no pings", _A, lambda join: join.ClearField("ping_interval")),
    _join("nobody", _T, lambda join: join.ClearField("participant")),
    _join("no sid", _T, lambda join: join.participant.ClearField("sid")),
    _join("no identity", Comes.JOINS, lambda join: join.participant.ClearField("identity")),
    _join("another's", Comes.JOINS, lambda join: setattr(join.participant, "identity", "eve")),
    _join("no room's sid", Comes.JOINS, lambda join: join.room.ClearField("sid")),
    _join("others without a sid", _A, lambda join: join.other_participants.append(_NO_SID)),
    _join("no ice servers", _T, lambda join: join.ice_servers.append(_ICE)),
    _join("no codecs", Comes.JOINS, lambda join: join.enabled_publish_codecs.append(_CODEC)),
    _row("no answer", _instead("answer", lambda answer: setattr(answer, "sdp", _NO_SDP)), _A),
    _row("an empty answer", _instead("answer", lambda answer: setattr(answer, "sdp", "")), _A),
    _row("an answer to nothing", _instead("answer", lambda answer: setattr(answer, "id", 99))),
    Lie("hangs up at once", _behind("join", None), Comes.TYPED, is_apart=True),
    Lie("sends away at once", _behind("join", _leave(2), None), Comes.TYPED, is_apart=True),
    # No words.
    _row("noise", _noise),
    _row("messages cut off", _cut),
    # Later.
    _later("a leave, a client's own", _leave(1), comes=_T),
    _later("a leave of no reason there is", _leave(99), comes=_T),
    _later("somebody without a sid", update(_NO_SID), comes=_A),
    _later("somebody without an identity", update(somebody(1, identity=""))),
    _later("somebody of another release", update(_strange())),
    _later("somebody huge", update(_HUGE)),
    _later("a track without a sid", update(_TRACK_WITHOUT_SID), comes=_A),
    _later("no candidate", _NO_CANDIDATE, comes=_A),
    _later("an offer", say(offer=rtc.SessionDescription(type="offer", sdp=_NO_SDP, id=9))),
    _later("comes and goes", *[update(somebody(1, state=s)) for s in (_ACTIVE, _GONE) * 2_000]),
    _later(
        "10,000 arrive",
        *[update(*map(somebody, range(at, at + 100))) for at in range(0, ARRIVALS, 100)],
    ),
    _later("a hundred sections", say(media_sections_requirement=_SECTIONS), is_apart=True),
    _later("moved nowhere", say(room_moved=rtc.RoomMovedResponse())),
    _later("comes back", say(reconnect=rtc.ReconnectResponse())),
    _later("no token", say(refresh_token="no token")),
    # About who and what does not exist.
    _later("mutes nothing", say(mute=rtc.MuteTrackRequest(sid=_NOTHING, muted=True))),
    _later(
        "unpublishes nothing",
        say(track_unpublished=rtc.TrackUnpublishedResponse(track_sid=_NOTHING)),
    ),
    _later("publishes nothing", say(track_published=rtc.TrackPublishedResponse(cid="x"))),
    _later("nobody speaks", say(speakers_changed=rtc.SpeakersChanged(speakers=[_SPEAKER]))),
    _later("quality of nobody", say(connection_quality=_QUALITY)),
    _later("streams of nobody", say(stream_state_update=_STREAMS)),
    _later("subscribes to nothing", say(track_subscribed=rtc.TrackSubscribed(track_sid=_NOTHING))),
    _later("wants nothing", say(subscribed_quality_update=rtc.SubscribedQualityUpdate())),
    _later("permits nothing", say(subscription_permission_update=_PERMISSION)),
    _later("fails nothing", say(subscription_response=rtc.SubscriptionResponse())),
    _later("no room any more", say(room_update=rtc.RoomUpdate()), comes=_A),
    _later("answers to nothing", say(request_response=rtc.RequestResponse(request_id=99))),
    _later("a data track of nobody", say(publish_data_track_response=_DATA_TRACK)),
    _later("pongs", say(pong=2**62), say(pong_resp=rtc.Pong())),
)


_BY_CHANCE: Final = "by chance "
_EXTREMES: Final[dict[type, tuple[Any, ...]]] = {
    str: ("", "x", "\u202e" * 1_000, "\x00", "x" * 100_000),
    bytes: (b"", b"\xff" * 1_000),
    bool: (False, True),
    int: (0, 1, 2**31 - 1),
    float: (0.0, -1.0, float("nan"), float("inf")),
}


def by_chance(seed: int) -> Lie[Tell, Comes]:
    """Return a lie that is told by no row: a field of one message in three is made an extreme."""
    chance = Random(seed)

    def tell(said: rtc.SignalResponse, _: Random) -> Iterator[Said]:
        if chance.random() < 1 / 3:
            _spoil(said, chance)
        yield said

    return Lie(f"{_BY_CHANCE}{seed}", tell, Comes.JOINS)


def _spoil(message: Any, chance: Random) -> None:
    """Make a field of a message, or of one within it, an extreme, or take it away."""
    field, value = chance.choice(message.ListFields() or [(None, None)])
    if field is None:
        return
    several = value if not isinstance(value, Message) and hasattr(value, "append") else None
    inner = value if isinstance(value, Message) else None
    if several and isinstance(several[0], Message):
        inner = chance.choice(several)
    if inner is not None and inner.ListFields() and chance.random() < 0.8:
        _spoil(inner, chance)
    elif inner is None and several is None and type(value) in _EXTREMES:
        setattr(message, field.name, chance.choice(_EXTREMES[type(value)]))
    else:
        message.ClearField(field.name)


def tell_of(name: str) -> Tell:
    """Return how the lie of a name is told."""
    if name.startswith(_BY_CHANCE):
        return by_chance(int(name.removeprefix(_BY_CHANCE))).tell
    return next(lie.tell for lie in LIES if lie.name == name)
