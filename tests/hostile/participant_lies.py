"""What a participant tells a media server, by the kind of what is made up; and mallory, who does.

A row is told again and again for as long as one wants, in a room of mallory's own, where eve takes
part and hears; strangers in another room may suffer nothing of it.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from enum import Flag, auto
from pathlib import Path
from random import Random
from typing import Any, Final

from aiortc import rtcsctptransport as sctp
from livekit.protocol import models, rtc

from tests.hostile import raw_sctp
from tests.hostile.judging import Found
from tests.hostile.lies import Lie
from tests.hostile.raw_participant import RawParticipant

Tell = Callable[[RawParticipant, Random], Awaitable[None]]

_ROOT: Final = Path(__file__).resolve().parents[2]
_MANY: Final = 1_000


class Comes(Flag):
    """What comes of a lie for who tells it, at the embedded media server."""

    CUT_OFF = auto()
    REFUSED = auto()
    NOTHING = auto()
    """She stays, and what she says is dropped, comes late, or is as good as anybody's."""
    LITTLE = REFUSED | NOTHING
    """As fast as it is told."""
    ANYTHING = CUT_OFF | REFUSED | NOTHING
    """As chance has it."""


def _request(**field: Any) -> rtc.SignalRequest:
    return rtc.SignalRequest(**field)


# -- SCTP ---------------------------------------------------------------------------------------


async def _gaps(one: RawParticipant, _random: Random) -> None:
    for _ in range(9):
        one.sctp.send(one.sctp.sack(*[(1, 65_535)] * 280))


async def _few_gaps(one: RawParticipant, random: Random) -> None:
    for _ in range(20):
        gaps = sorted(random.sample(range(2, 9_000), 60))
        one.sctp.send(one.sctp.sack(*zip(gaps[::2], gaps[1::2], strict=True)))
    await asyncio.sleep(0.005)


async def _hole(one: RawParticipant, _random: Random) -> None:
    one.sctp.send(*(one.sctp.data(b"x", leave_out=n == 0) for n in range(60)))
    await asyncio.sleep(0.001)


async def _far_ahead(one: RawParticipant, random: Random) -> None:
    one.sctp.send(one.sctp.data(b"x", leave_out=random.randrange(100, 2**30)))
    await asyncio.sleep(0.001)


async def _endless(one: RawParticipant, _random: Random) -> None:
    one.sctp.send(*(one.sctp.data(b"x", flags=raw_sctp.FIRST) for _ in range(60)))
    await asyncio.sleep(0.001)


async def _empty(one: RawParticipant, _random: Random) -> None:
    one.sctp.send(*(one.sctp.data(b"", flags=0) for _ in range(60)))


async def _streams(one: RawParticipant, random: Random) -> None:
    one.sctp.send(*(one.sctp.data(b"x", stream=random.randrange(1024)) for _ in range(30)))
    await asyncio.sleep(0.001)


async def _answers(one: RawParticipant, random: Random) -> None:
    """Chunks that are answered one by one."""
    beat = sctp.HeartbeatChunk()
    beat.params = [(1, random.randbytes(4))]
    reset = sctp.ReconfigChunk()
    one.sctp.reset_number += 60
    reset.params = [
        (13, struct.pack("!LLLH", one.sctp.reset_number + n, 0, 0, 9)) for n in range(60)
    ]
    one.sctp.send(*[beat] * 60)
    one.sctp.send(reset)
    await asyncio.sleep(0.001)


async def _no_length(one: RawParticipant, random: Random) -> None:
    """A parameter that whoever walks them never gets past."""
    kinds = (sctp.AbortChunk, sctp.ErrorChunk, sctp.HeartbeatChunk, sctp.ReconfigChunk)
    one.sctp.send(_Bytes(struct.pack("!BBHHH", random.choice(kinds).type, 0, 8, 1, 0)))
    await asyncio.sleep(0.001)


async def _forward(one: RawParticipant, random: Random) -> None:
    chunk = sctp.ForwardTsnChunk()
    chunk.cumulative_tsn = (one.sctp.next + random.randrange(2**20)) & 0xFFFFFFFF
    chunk.streams = [(random.randrange(1024), 0) for _ in range(250)]
    one.sctp.send(chunk)
    await asyncio.sleep(0.01)


async def _sctp_garbage(one: RawParticipant, random: Random) -> None:
    for _ in range(50):
        one.transport.send_data(random.randbytes(random.randrange(1, 1_100)))
        chunks = [sctp.DataChunk(), sctp.SackChunk(), sctp.ReconfigChunk(), sctp.InitChunk()]
        body = bytearray(bytes(random.choice(chunks)) + random.randbytes(random.randrange(200)))
        body[random.randrange(len(body))] = random.randrange(256)
        one.sctp.send(_Bytes(bytes(body)))
    await asyncio.sleep(0.005)


class _Bytes(sctp.Chunk):
    """A chunk that is any bytes."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = data

    def __bytes__(self) -> bytes:
        return self._data


# -- data messages ------------------------------------------------------------------------------


def _packet(payload: bytes, **about: Any) -> bytes:
    return models.DataPacket(user=models.UserPacket(payload=payload), **about).SerializeToString()


async def _small(one: RawParticipant, _random: Random) -> None:
    one.sctp.messages([_packet(b"hi")] * 1_000)
    await asyncio.sleep(0.01)


async def _small_lossy(one: RawParticipant, _random: Random) -> None:
    one.sctp.messages([_packet(b"hi")] * 1_000, stream=raw_sctp.LOSSY)
    await asyncio.sleep(0.01)


async def _large(one: RawParticipant, random: Random) -> None:
    one.sctp.messages([_packet(random.randbytes(60_000))])
    await asyncio.sleep(0.005)


async def _data_garbage(one: RawParticipant, random: Random) -> None:
    speaker = models.DataPacket(speaker=models.ActiveSpeakerUpdate()).SerializeToString()
    sender = _packet(b"x", participant_identity="ann", destination_identities=["?"] * 1_000)
    one.sctp.messages([random.randbytes(random.randrange(100)) for _ in range(50)])
    one.sctp.messages([speaker, sender, b"", _packet(b"x", sequence=2**32 - 1)])
    await asyncio.sleep(0.01)


# -- signalling ---------------------------------------------------------------------------------


async def _toggles(one: RawParticipant, _random: Random) -> None:
    if not one.track:
        await one.publish()
    mutes = [_request(mute=rtc.MuteTrackRequest(sid=one.track, muted=n % 2 == 0)) for n in range(2)]
    await one.signal(*mutes * (_MANY // 2))


async def _toggles_unread(one: RawParticipant, random: Random) -> None:
    one.reading.clear()
    await _toggles(one, random)
    await one.signal(*[_request(ping_req=rtc.Ping(timestamp=1))] * _MANY)


async def _long_names(one: RawParticipant, random: Random) -> None:
    name = "n" * random.choice((257, 1_000, 1_000_000))
    track = rtc.AddTrackRequest(cid=name, name=name, type=models.TrackType.AUDIO)
    metadata = rtc.UpdateParticipantMetadata(name=name, metadata="m" * 600_000)
    await one.signal(_request(add_track=track), _request(update_metadata=metadata))
    await asyncio.sleep(0.01)


async def _many_allowed(one: RawParticipant, random: Random) -> None:
    count = random.choice((1_000, 100_000))
    entries = [rtc.TrackPermission() for _ in range(count)]
    named = [rtc.TrackPermission(participant_sid=f"PA_{n}") for n in range(1_000)]
    await one.signal(
        _request(subscription_permission=rtc.SubscriptionPermission(track_permissions=entries)),
        _request(subscription_permission=rtc.SubscriptionPermission(track_permissions=named)),
    )
    await asyncio.sleep(0.02)


async def _many_wishes(one: RawParticipant, random: Random) -> None:
    sids = [f"TR_{random.randrange(10**6)}" for _ in range(4_000)]
    await one.signal(
        _request(subscription=rtc.UpdateSubscription(track_sids=sids, subscribe=True)),
        _request(track_setting=rtc.UpdateTrackSettings(track_sids=sids, disabled=True)),
    )
    await asyncio.sleep(0.02)


async def _nested_wishes(one: RawParticipant, random: Random) -> None:
    """Lists in lists, none of which is long."""
    people = [models.ParticipantTracks(track_sids=[""] * 250)] * 4_096
    wishes = rtc.UpdateSubscription(participant_tracks=people)
    await one.signal(
        _request(subscription=wishes)
        if random.random() < 0.5
        else _request(sync_state=rtc.SyncState(subscription=wishes))
    )
    await asyncio.sleep(0.02)


async def _sources(one: RawParticipant, random: Random) -> None:
    """Publish and unpublish sixty at a time, on the same sections and on others."""
    cids = [secrets.token_hex(4) for _ in range(60)]
    tracks = [rtc.AddTrackRequest(cid=one, type=models.TrackType.AUDIO) for one in cids]
    first = random.choice((0, random.randrange(10_000)))
    await one.signal(
        *(_request(add_track=track) for track in tracks),
        one.offering(sending=cids, first=first),
        one.offering(receiving=62, first=first),
    )
    await asyncio.sleep(0.02)


async def _many_sections(one: RawParticipant, _random: Random) -> None:
    await one.signal(one.offering(receiving=600))
    await asyncio.sleep(0.02)


async def _bad_offers(one: RawParticipant, random: Random) -> None:
    good = bytearray(one.offer().encode())
    for _ in range(3):
        good[random.randrange(len(good))] = random.randrange(32, 127)
    sdp = good.decode(errors="replace")
    offer = rtc.SessionDescription(type=random.choice(("offer", "answer", "")), sdp=sdp)
    await one.signal(_request(offer=offer), _request(answer=offer))
    await asyncio.sleep(0.005)


async def _signal_garbage(one: RawParticipant, random: Random) -> None:
    await one.signal(random.randbytes(random.randrange(1, 200)))


_FIELDS: Final[list[Any]] = [*rtc.SignalRequest.DESCRIPTOR.fields]


async def _odd_requests(one: RawParticipant, random: Random) -> None:
    """Any request there is, with nothing or one odd value in it."""
    field = random.choice(_FIELDS)
    request = rtc.SignalRequest()
    if field.message_type is None:
        setattr(request, field.name, random.choice((0, 1, 2**31 - 1, -1)))
    else:
        part = getattr(request, field.name)
        part.SetInParent()
        for inner in part.DESCRIPTOR.fields:
            if not inner.is_repeated and random.random() < 0.5:
                if inner.type == inner.TYPE_STRING:
                    setattr(part, inner.name, random.choice(("", "TR_x", "\x00", "\u202e" * 9)))
                elif inner.type == inner.TYPE_UINT32:
                    setattr(part, inner.name, random.choice((0, 1, 2**32 - 1)))
    if field.name not in ("leave", "offer"):  # either ends it
        await one.signal(request)


async def _resets(one: RawParticipant, _random: Random) -> None:
    """Ask for an upgrade, and reset the connection while it is made."""
    _upgrades(one, 1)
    await asyncio.sleep(0.02)


async def _crowd(one: RawParticipant, _random: Random) -> None:
    """The same, with hundreds of connections at once."""
    _upgrades(one, 300)
    await asyncio.sleep(0.2)


def _upgrades(one: RawParticipant, many: int) -> None:
    head, _, path = one.upgrade_url(one.spare).partition("/rtc")
    host, _, port = head.rpartition("/")[2].partition(":")
    lines = (
        f"GET /rtc{path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    )
    with ExitStack() as stack:
        made = [socket.create_connection((host, int(port))) for _ in range(many)]
        for connection in made:
            stack.enter_context(connection)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for connection in made:
            connection.sendall("\r\n".join(lines).encode())


# -- media and ICE ------------------------------------------------------------------------------


async def _much_sound(one: RawParticipant, random: Random) -> None:
    if not one.track:
        await one.publish()
    for _ in range(200):
        one.rtp(random.randbytes(100))
    await asyncio.sleep(0.01)


async def _odd_sound(one: RawParticipant, random: Random) -> None:
    if not one.track:
        await one.publish()
    for _ in range(50):
        words = random.randrange(4)
        profile = random.choice((0xBEDE, 0x1000, 0x1001, 0))
        head = struct.pack("!HH", profile, words) + random.randbytes(4 * words)
        one.rtp(random.randbytes(random.randrange(20)), head=head)
        one.rtp(ssrc=random.randrange(2**32))
        one.rtp(head=struct.pack("!HH", 0x1000, 1) + b"\x01\x00\x00\x00")  # a level of no byte
    await asyncio.sleep(0.01)


async def _sound_while_muted(one: RawParticipant, random: Random) -> None:
    if not one.track:
        await one.publish()
        await one.signal(_request(mute=rtc.MuteTrackRequest(sid=one.track, muted=True)))
    for _ in range(5):
        one.rtp(random.randbytes(100))
    await asyncio.sleep(0.01)


async def _feedback(one: RawParticipant, random: Random) -> None:
    """What asks for something: packets, key frames, a clock; as often as a datagram holds it."""
    if not one.track:
        await one.publish()
        one.rtp()
    ssrc = random.choice((4242, random.randrange(2**32)))
    lost = struct.pack("!HH", 17, 0xFFFF) * 300
    nack = struct.pack("!BBHII", 0x81, 205, 302, 1, ssrc) + lost
    pli = struct.pack("!BBHII", 0x81, 206, 2, 1, ssrc)
    fir = struct.pack("!BBHII", 0x84, 206, 2 + 250, 1, 0) + struct.pack("!II", ssrc, 0) * 125
    report = struct.pack("!BBHIQIII", 0x80, 200, 6, ssrc, random.randrange(2**63), 0, 1, 1)
    for datagram in (nack, pli * 100, fir, report * 45):
        one.transport.send_media(datagram)
    await asyncio.sleep(0.002)


async def _rtcp_garbage(one: RawParticipant, random: Random) -> None:
    for _ in range(50):
        kind = random.randrange(192, 224)
        first = 0x80 | random.randrange(32)
        body = random.randbytes(4 * random.randrange(60))
        one.transport.send_media(struct.pack("!BBH", first, kind, len(body) // 4) + body)
    await asyncio.sleep(0.005)


async def _datagrams(one: RawParticipant, random: Random) -> None:
    for _ in range(100):
        head = bytes([random.choice((0, 1, 20, 22, 25, 63, 64, 128, 191, 255))])
        one.transport.send_raw(head + random.randbytes(random.randrange(1_300)))
        check = bytearray(one.transport.a_check())
        check[random.randrange(len(check))] ^= 1 << random.randrange(8)
        one.transport.send_raw(bytes(check))
    await asyncio.sleep(0.01)


LIES: Final[tuple[Lie[Tell, Comes], ...]] = (
    Lie("gaps of all numbers there are", _gaps, Comes.CUT_OFF),
    Lie("gaps of what never went out", _few_gaps, Comes.NOTHING),
    Lie("one number left out", _hole, Comes.NOTHING),
    Lie("numbers far ahead", _far_ahead, Comes.NOTHING),
    Lie("messages that never end", _endless, Comes.CUT_OFF),
    Lie("messages of nothing", _empty, Comes.CUT_OFF),
    Lie("a thousand streams", _streams, Comes.CUT_OFF),
    Lie("chunks that ask for answers", _answers, Comes.LITTLE),
    Lie("a parameter of no length", _no_length, Comes.CUT_OFF),
    Lie("numbers and streams left out", _forward, Comes.CUT_OFF),
    Lie("garbage instead of SCTP", _sctp_garbage, Comes.ANYTHING),
    Lie("small messages without end", _small, Comes.LITTLE),
    Lie("small lossy messages without end", _small_lossy, Comes.LITTLE),
    Lie("large messages without end", _large, Comes.LITTLE),
    Lie("garbage instead of messages", _data_garbage, Comes.LITTLE),
    Lie("mute and unmute without end", _toggles, Comes.NOTHING),
    Lie("mute and unmute without reading", _toggles_unread, Comes.NOTHING),
    Lie("names of a megabyte", _long_names, Comes.REFUSED),
    Lie("permissions for nobody", _many_allowed, Comes.LITTLE),
    Lie("wishes for tracks there are none of", _many_wishes, Comes.REFUSED),
    Lie("wishes in lists of lists", _nested_wishes, Comes.LITTLE),
    Lie("sixty sources that come and go", _sources, Comes.NOTHING),
    Lie("offers of many sections", _many_sections, Comes.NOTHING),
    Lie("offers that are broken", _bad_offers, Comes.CUT_OFF),
    Lie("garbage instead of requests", _signal_garbage, Comes.CUT_OFF),
    Lie("requests with odd values", _odd_requests, Comes.LITTLE),
    Lie("upgrades that are reset", _resets, Comes.NOTHING),
    Lie("hundreds of upgrades at once", _crowd, Comes.NOTHING),
    Lie("sound twenty times too fast", _much_sound, Comes.NOTHING),
    Lie("sound with odd headers", _odd_sound, Comes.NOTHING),
    Lie("sound of a muted track", _sound_while_muted, Comes.NOTHING),
    Lie("feedback that asks again and again", _feedback, Comes.NOTHING),
    Lie("garbage instead of RTCP", _rtcp_garbage, Comes.NOTHING),
    Lie("garbage instead of datagrams", _datagrams, Comes.NOTHING),
)


class Mallory:
    """Her process; `tell` has her join, lie and vanish."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def say(self, line: dict[str, Any]) -> dict[str, Any]:
        """Send a line, and return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(line).encode() + b"\n")
        answer = await asyncio.wait_for(self._process.stdout.readline(), 60.0)
        assert answer, "mallory's process ended"
        told: dict[str, Any] = json.loads(answer)
        return told

    async def tell(self, lie: str, seed: int, seconds: float) -> dict[str, Any]:
        """Have her tell a lie for so long; what came of it."""
        return await self.say({"lie": lie, "seed": seed, "seconds": seconds})


@asynccontextmanager
async def mallory(url: str, token: Callable[[str], str]) -> AsyncIterator[Mallory]:
    """Have mallory, and eve who hears her, at the media server at `url`, in a room of their own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.hostile.raw_participant"),
        cwd=_ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    try:
        made = Mallory(process)
        await made.say({"url": url, **{who: token(who) for who in ("mallory", "eve", "trudy")}})
        yield made
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 20.0)
        except TimeoutError:
            process.kill()
            await process.wait()


def came(told: dict[str, Any]) -> Comes:
    """Read what mallory says came of a lie."""
    if told["is_cut_off"]:
        return Comes.CUT_OFF
    return Comes.REFUSED if told["refusals"] else Comes.NOTHING


def wrong(lie: Lie[Tell, Comes], told: dict[str, Any]) -> Found:
    """Return what is not as the table says, of what came to whom tells it."""
    found, beside = [], []
    if came(told) not in lie.comes:
        beside.append(f"{lie.name}: {came(told)} came of it, not {lie.comes}: {told}")
    # Nobody is sent much more for having sent something.
    if told["received"] > 2 * told["sent"] + 100_000:
        found.append(f"{lie.name}: {told['received']} bytes came for {told['sent']}")
    return found, beside
