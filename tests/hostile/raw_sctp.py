"""An SCTP association that answers as it must to come about, and sends what it is told."""

from __future__ import annotations

import asyncio
import secrets
import struct
from collections.abc import Callable, Iterable
from typing import Final

from aiortc import rtcsctptransport as sctp
from google_crc32c import value as crc32c

FIRST, LAST, UNORDERED = 2, 1, 4
"""Flags of a chunk with data (RFC 9260, 3.3.1)."""

RELIABLE: Final = 1
"""The stream of the channel `_reliable`; LiveKit's clients use this one, too."""

LOSSY: Final = 3
_OPEN, _BINARY = 50, 53  # payload protocols, RFC 8831
_PORT: Final = 5000
_PATIENCE: Final = 20.0
_MOST: Final = 1100


class RawSctp:
    """The side that was called; `send` takes each packet."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self.is_aborted = False
        self.heard = 0
        """Chunks with data of the server's."""
        self.acknowledged = 0
        """Number up to which the server has everything."""
        self.theirs = 0
        """Number up to which we have everything."""
        self.next = secrets.randbits(31)
        self.reset_number = self.next
        self._send = send
        self._tag = 1 + secrets.randbits(31)
        self._their_tag = 0
        self._sequences: dict[int, int] = {}
        self._up = asyncio.Event()

    async def opened(self) -> None:
        """Wait until the server has come, and open the channels of a client."""
        async with asyncio.timeout(_PATIENCE):
            await self._up.wait()
        for stream, label, kind, parameter in (
            (RELIABLE, b"_reliable", 0x00, 0),
            (LOSSY, b"_lossy", 0x81, 0),
        ):
            head = struct.pack("!BBHLHH", 3, kind, 0, parameter, len(label), 0)
            self.send(self.data(head + label, stream=stream, protocol=_OPEN))

    def receive(self, packet: bytes) -> None:
        """Take a packet of the server's."""
        try:
            _, _, _, chunks = sctp.parse_packet(packet)
        except ValueError:
            return
        for chunk in chunks:
            self._take(chunk)

    def _take(self, chunk: sctp.Chunk) -> None:
        match chunk:
            case sctp.InitAckChunk() | sctp.CookieAckChunk():
                return
            case sctp.InitChunk():
                self._their_tag, self.theirs = chunk.initiate_tag, chunk.initial_tsn - 1
                answer = sctp.InitAckChunk()
                answer.initiate_tag, answer.advertised_rwnd = self._tag, 1_000_000
                answer.outbound_streams = answer.inbound_streams = 1024
                answer.initial_tsn = self.next
                # It can leave out numbers, and reset streams (RFC 3758, RFC 6525).
                answer.params = [(0xC000, b""), (0x8008, bytes([192, 130])), (7, b"cookie")]
                self.send(answer)
            case sctp.CookieEchoChunk():
                self.send(sctp.CookieAckChunk())
                self._up.set()
            case sctp.DataChunk():
                self.heard += 1
                self.theirs = max(self.theirs, chunk.tsn)
                self.send(self.sack())
            case sctp.SackChunk():
                self.acknowledged = chunk.cumulative_tsn
            case sctp.HeartbeatChunk():
                alive = sctp.HeartbeatAckChunk()
                alive.params = chunk.params
                self.send(alive)
            case sctp.AbortChunk():
                self.is_aborted = True

    def send(self, *chunks: sctp.Chunk) -> None:
        """Send one packet."""
        body = b"".join(bytes(one) for one in chunks)
        head = struct.pack("!HHL", _PORT, _PORT, self._their_tag)
        checksum = crc32c(head + bytes(4) + body)
        self._send(head + struct.pack("<L", checksum) + body)

    def data(
        self,
        payload: bytes,
        *,
        stream: int = RELIABLE,
        flags: int = FIRST | LAST,
        protocol: int = _BINARY,
        leave_out: int = 0,
    ) -> sctp.DataChunk:
        """Make a chunk with the next number, or the one that is `leave_out` behind it."""
        chunk = sctp.DataChunk(flags=flags)
        self.next = (self.next + leave_out) & 0xFFFFFFFF
        chunk.tsn, chunk.stream_id, chunk.protocol = self.next, stream, protocol
        self.next = (self.next + 1) & 0xFFFFFFFF
        chunk.stream_seq = self._sequences.get(stream, 0)
        if flags & LAST:
            self._sequences[stream] = (chunk.stream_seq + 1) & 0xFFFF
        chunk.user_data = payload
        return chunk

    def messages(self, payloads: Iterable[bytes], stream: int = RELIABLE) -> None:
        """Send whole messages, as many in a packet as fit."""
        packet: list[sctp.Chunk] = []
        size = 0
        for payload in payloads:
            for at in range(0, len(payload), _MOST):
                part = payload[at : at + _MOST]
                flags = (FIRST if at == 0 else 0) | (LAST if at + _MOST >= len(payload) else 0)
                if packet and size + len(part) + 20 > _MOST:
                    self.send(*packet)
                    packet, size = [], 0
                packet.append(self.data(part, stream=stream, flags=flags))
                size += len(part) + 20
        if packet:
            self.send(*packet)

    def sack(self, *gaps: tuple[int, int]) -> sctp.SackChunk:
        """Acknowledge all that came, and those behind it."""
        chunk = sctp.SackChunk()
        chunk.cumulative_tsn, chunk.advertised_rwnd = self.theirs & 0xFFFFFFFF, 1_000_000
        chunk.gaps = list(gaps)
        return chunk
