"""A participant of whom nothing is taken for granted: raw signalling, ICE, DTLS, SCTP and RTP.

As a program it is mallory's process: each line names a lie, a seed and for how long it is told; the
answer says what came of it. Which media server, and a token, come with the first line.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import struct
import sys
import time
from collections.abc import Iterable
from random import Random
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from livekit.protocol import models, rtc

from tests.hostile.lies import arguments
from tests.hostile.raw_sctp import RawSctp
from tests.hostile.raw_transport import Identity, RawTransport

_PATIENCE: Final = 20.0
_LAST_WORDS: Final = 0.1
"""Seconds for what comes of the last telling."""
_HEAD: Final = (
    "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {mids}\r\n"
    "a=msid-semantic: WMS\r\n"
)
_TRANSPORT: Final = (
    "c=IN IP4 0.0.0.0\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\n"
    "a=fingerprint:sha-256 {fingerprint}\r\na=setup:actpass\r\na=mid:{mid}\r\n"
)
_AUDIO: Final = (
    "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n{transport}a=extmap:1 {level}\r\na={direction}\r\n"
    "a=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n"
)
_DATA: Final = (
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n{transport}a=sctp-port:5000\r\n"
    "a=max-message-size:262144\r\n"
)
LEVEL: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
SSRC: Final = 4242


class RawParticipant:
    """One session; `signal` says anything on its signal connection."""

    def __init__(self, url: str, token: str, spare: str = "") -> None:
        self.spare = spare
        """A token of somebody else."""
        self.sid = ""
        self.refusals: list[int] = []
        """Reasons of what was refused on the signal connection."""
        self.track = ""
        """The sid of the microphone, once it is there."""
        self.reading = asyncio.Event()
        self.reading.set()
        self.identity = Identity()
        self.transport = RawTransport(self.identity)
        self.sctp = RawSctp(self.transport.send_data)
        self.transport.on_data = self.sctp.receive
        self.sequence = 0
        self._url, self._token = url, token
        self._http: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reading: asyncio.Task[None] | None = None
        self._answered: asyncio.Queue[str] = asyncio.Queue()
        self._published: asyncio.Queue[str] = asyncio.Queue()

    @property
    def is_cut_off(self) -> bool:
        """Whether the server ended the signal connection, or the association."""
        is_closed = self._socket is not None and self._socket.closed
        return is_closed or self.sctp.is_aborted

    def offer(self, sending: Iterable[str] = (), receiving: int = 2, first: int = 0) -> str:
        """Write an offer that sends those cids, with sections from mid `first` on."""
        kinds = ["recvonly"] * receiving
        sections, mid = [], first
        for direction, cid in [*((one, "") for one in kinds), *(("sendonly", c) for c in sending)]:
            text = _AUDIO.format(transport=self._lines(mid), level=LEVEL, direction=direction)
            sections.append(text + (f"a=msid:- {cid}\r\na=ssrc:{SSRC} cname:m\r\n" if cid else ""))
            mid += 1
        sections.insert(receiving, _DATA.format(transport=self._lines(10_000 + first)))
        mids = " ".join(re.findall(r"a=mid:(\S+)", "".join(sections)))
        return _HEAD.format(mids=mids) + "".join(sections)

    def _lines(self, mid: int) -> str:
        one = self.identity
        fields = {"ufrag": one.ufrag, "password": one.password, "fingerprint": one.fingerprint}
        return _TRANSPORT.format(mid=mid, **fields)

    def upgrade_url(self, token: str) -> str:
        """Where a join is asked for."""
        offer = rtc.SessionDescription(type="offer", sdp=self.offer())
        info = models.ClientInfo(sdk=models.ClientInfo.RUST, protocol=16)
        settings = rtc.ConnectionSettings(auto_subscribe=True)
        join = rtc.JoinRequest(
            client_info=info, connection_settings=settings, publisher_offer=offer
        )
        wrapped = rtc.WrappedJoinRequest(join_request=join.SerializeToString())
        text = quote(base64.urlsafe_b64encode(wrapped.SerializeToString()))
        return f"{self._url}/rtc/v1?access_token={token}&join_request={text}"

    async def join(self) -> None:
        """Come in, with media and data."""
        self._http = aiohttp.ClientSession()
        self._socket = await self._http.ws_connect(self.upgrade_url(self._token), max_msg_size=0)
        self._reading = asyncio.create_task(self._read(), name="mallory reads")
        async with asyncio.timeout(_PATIENCE):
            answer = await self._answered.get()
        (ufrag,) = set(re.findall(r"a=ice-ufrag:(\S+)", answer))
        (password,) = set(re.findall(r"a=ice-pwd:(\S+)", answer))
        found = re.search(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", answer)
        host, port = (found[1], int(found[2])) if found else await self._candidate()
        await self.transport.open((host, port), ufrag, password)
        await self.sctp.opened()

    async def _candidate(self) -> tuple[str, int]:
        while True:
            async with asyncio.timeout(_PATIENCE):
                found = re.search(r" udp \d+ (127\S+) (\d+) typ host", await self._answered.get())
            if found:
                return found[1], int(found[2])

    async def _read(self) -> None:
        assert self._socket is not None
        while True:
            await self.reading.wait()
            message = await self._socket.receive()
            if message.type is not aiohttp.WSMsgType.BINARY:
                return
            response = rtc.SignalResponse.FromString(message.data)
            match response.WhichOneof("message"):
                case "join":
                    self.sid = response.join.participant.sid
                case "answer":
                    self._answered.put_nowait(response.answer.sdp)
                case "trickle":
                    self._answered.put_nowait(response.trickle.candidateInit)
                case "track_published":
                    self._published.put_nowait(response.track_published.track.sid)
                case "media_sections_requirement":
                    await self.signal(self.offering())
                case "request_response":
                    self.refusals.append(response.request_response.reason)

    async def signal(self, *requests: rtc.SignalRequest | bytes) -> None:
        """Say them in as few writes as the socket makes of it; nothing when it is closed."""
        assert self._socket is not None
        for one in requests:
            if self._socket.closed:
                return
            try:
                data = one if isinstance(one, bytes) else one.SerializeToString()
                await asyncio.wait_for(self._socket.send_bytes(data), 1.0)
            except (ConnectionError, TimeoutError, RuntimeError):
                return

    async def publish(self, cid: str = "mic", **about: Any) -> None:
        """Publish sound; `rtp` then sends it."""
        kind = models.TrackType.AUDIO
        source = models.TrackSource.MICROPHONE
        request = rtc.AddTrackRequest(cid=cid, type=kind, source=source, **about)
        await self.signal(rtc.SignalRequest(add_track=request))
        async with asyncio.timeout(_PATIENCE):
            self.track = await self._published.get()
        await self.signal(self.offering(sending=[cid]))

    def offering(self, **how: Any) -> rtc.SignalRequest:
        """Make a request of `offer`."""
        description = rtc.SessionDescription(type="offer", sdp=self.offer(**how))
        return rtc.SignalRequest(offer=description)

    def rtp(self, payload: bytes = b"\xf8\xff\xfe", *, ssrc: int = SSRC, head: bytes = b"") -> None:
        """Send a packet of the microphone; with `head` it has header extensions as they are."""
        self.sequence = (self.sequence + 1) & 0xFFFF
        first = 0x90 if head else 0x80
        fixed = struct.pack("!BBHII", first, 111, self.sequence, self.sequence * 960, ssrc)
        self.transport.send_media(fixed + head + payload)

    async def aclose(self) -> None:
        """Vanish."""
        for closing in (self._socket, self._http):
            if closing is not None:
                await closing.close()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        await self.transport.aclose()


async def tell(participant: RawParticipant, lie: str, seed: int, seconds: float) -> dict[str, Any]:
    """Tell a lie of the table again and again, and say what came of it."""
    from tests.hostile.participant_lies import LIES

    (row,) = (one for one in LIES if one.name == lie)
    random, until, count = Random(seed), time.monotonic() + seconds, 0
    while time.monotonic() < until and not participant.is_cut_off:
        await row.tell(participant, random)
        count += 1
        await asyncio.sleep(0)
    await asyncio.sleep(_LAST_WORDS)
    return {
        "told": count,
        "is_cut_off": participant.is_cut_off,
        "refusals": len(participant.refusals),
        "sent": participant.transport.sent,
        "received": participant.transport.received,
    }


async def main() -> None:
    """Join anew for each line, and lie."""
    told = arguments()
    os.nice(10)  # elsewhere she would have a machine of her own
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    eve = RawParticipant(told["url"], told["eve"])
    await eve.join()
    print("{}", flush=True)
    while line := await reader.readline():
        participant = RawParticipant(told["url"], told["mallory"], told["trudy"])
        try:
            await participant.join()
            came = await tell(participant, **json.loads(line))
        finally:
            await participant.aclose()
        print(json.dumps(came), flush=True)
    await eve.aclose()


if __name__ == "__main__":
    asyncio.run(main())
