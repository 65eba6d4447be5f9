"""One UDP socket for every client, and the ICE-lite half of it.

A client is found by the ufrag of its connectivity check, and from then on by its address. The
socket is drained by `add_reader`: a quarter of the cost of asyncio's one-datagram-per-turn
endpoint, and the loop stays responsive (docs/livekit.md, "One socket").
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from typing import Final, Protocol

from aioice import stun

_logger = logging.getLogger(__name__)

Address = tuple[str, int]

_MAGIC_COOKIE: Final = stun.COOKIE.to_bytes(4, "big")
_DATAGRAMS_PER_TURN: Final = 64
_MAX_DATAGRAM: Final = 2048
# A stall of the loop shall become jitter, not loss.
_SOCKET_BUFFER: Final = 4 * 1024 * 1024
# A client probes from a handful of local addresses; more are a bug or an attack.
_MAX_ADDRESSES: Final = 16


class MuxEndpoint(Protocol):
    """One client's transport as the mux sees it. None of these may raise on bad input."""

    def holds(self, address: Address, now: float) -> bool: ...
    def on_check(self, ufrag: str, address: Address, is_nominating: bool, now: float) -> None: ...
    def on_datagram(self, data: bytes, now: float) -> None: ...


class UdpMux:
    """The socket, and who is behind which ufrag and address."""

    def __init__(self) -> None:
        self.dropped = 0  # datagrams nobody could take, sent or received
        self._socket: socket.socket | None = None
        self._by_ufrag: dict[str, tuple[bytes, MuxEndpoint]] = {}  # with its password
        self._by_address: dict[Address, MuxEndpoint] = {}

    def open(self, host: str, port: int) -> None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BUFFER)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER)
            sock.bind((host, port))
            loop = asyncio.get_running_loop()
            loop.add_reader(sock, self._on_readable, loop)
        except BaseException:
            sock.close()
            raise
        self._socket = sock

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1]) if self._socket is not None else 0

    def close(self) -> None:
        sock, self._socket = self._socket, None
        if sock is not None:
            asyncio.get_running_loop().remove_reader(sock)
            sock.close()
        self._by_ufrag.clear()
        self._by_address.clear()

    def register(self, ufrag: str, password: str, endpoint: MuxEndpoint) -> None:
        self._by_ufrag[ufrag] = password.encode(), endpoint

    def unregister(self, ufrag: str) -> None:
        """Forget `ufrag`; addresses it led to stay."""
        self._by_ufrag.pop(ufrag, None)

    def remove(self, endpoint: MuxEndpoint) -> None:
        for ufrag in [one for one, (_, other) in self._by_ufrag.items() if other is endpoint]:
            del self._by_ufrag[ufrag]
        for address in self._addresses_of(endpoint):
            del self._by_address[address]

    def _addresses_of(self, endpoint: MuxEndpoint) -> list[Address]:
        return [one for one, other in self._by_address.items() if other is endpoint]

    def send(self, data: bytes, address: Address) -> None:
        """Send one datagram; dropped and counted when the kernel does not take it."""
        if self._socket is None:
            return
        try:
            self._socket.sendto(data, address)
        except OSError:
            self.dropped += 1

    def _on_readable(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for _ in range(_DATAGRAMS_PER_TURN):
            if self._socket is None:
                return
            try:
                data, address = self._socket.recvfrom(_MAX_DATAGRAM)
            except BlockingIOError:
                return
            except OSError:
                self.dropped += 1
                continue
            try:
                self.receive(data, address, now)
            except Exception:  # the boundary: one client must not stop the others
                self.dropped += 1
                _logger.debug("datagram refused", exc_info=True)

    def receive(self, data: bytes, address: Address, now: float) -> None:
        """Take one datagram; dropped and counted when it is nobody's."""
        # RFC 7983: STUN begins with 0 to 3.
        if len(data) >= stun.HEADER_LENGTH and data[0] < 4 and data[4:8] == _MAGIC_COOKIE:
            self._on_stun(data, address, now)
            return
        endpoint = self._by_address.get(address)
        if endpoint is None or not data:
            self.dropped += 1
            return
        endpoint.on_datagram(data, now)

    def _on_stun(self, data: bytes, address: Address, now: float) -> None:
        request = _parse_check(data)
        ufrag = str(request.attributes["USERNAME"]).partition(":")[0] if request else ""
        key, endpoint = self._by_ufrag.get(ufrag, (b"", None))
        if request is None or endpoint is None or not request.check_message_integrity(key):
            self.dropped += 1
            return
        holder = self._by_address.get(address)
        if holder is not endpoint:
            if holder is not None and holder.holds(address, now):
                self.dropped += 1  # anybody can write another's address on a check of their own
                return
            known = self._addresses_of(endpoint)
            with contextlib.suppress(IndexError):
                del self._by_address[known[-_MAX_ADDRESSES]]
            self._by_address[address] = endpoint
        response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, request.transaction_id)
        response.attributes["XOR-MAPPED-ADDRESS"] = address
        response.add_message_integrity(key)
        self.send(bytes(response), address)
        endpoint.on_check(ufrag, address, "USE-CANDIDATE" in request.attributes, now)


def _parse_check(data: bytes) -> stun.Message | None:
    """Parse a Binding request that names a user; who sent it is not known yet."""
    try:
        message = stun.parse_message(data)
    except (ValueError, struct.error):
        return None
    kind = message.message_method, message.message_class
    is_check = kind == (stun.Method.BINDING, stun.Class.REQUEST)
    return message if is_check and "USERNAME" in message.attributes else None
