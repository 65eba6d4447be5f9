"""One UDP port for every client, and the ICE-lite half of it.

A client is found by the ufrag of its connectivity check, and from then on by its address. The port
has a socket for each local address that clients are told, so that each is answered from the one it
sent to. Sockets are drained by `add_reader`: a quarter of the cost of asyncio's
one-datagram-per-turn endpoint, and the loop stays responsive (docs/livekit.md, "One socket").
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import struct
import time
from typing import Final, Protocol

from aioice import stun
from aioice.ice import get_host_addresses

_logger = logging.getLogger(__name__)

# Of a client, and after it the address of ours that it sends to.
Address = tuple[str, int, str]

_LOOPBACK: Final = "127.0.0.1"
_MAGIC_COOKIE: Final = stun.COOKIE.to_bytes(4, "big")
_DATAGRAMS_PER_TURN: Final = 64
_MAX_DATAGRAM: Final = 2048
# A stall of the loop shall become jitter, not loss.
_SOCKET_BUFFER: Final = 4 * 1024 * 1024
# A client probes from a handful of local addresses; more are a bug or an attack.
_MAX_ADDRESSES: Final = 16
_TRIES: Final = 8  # to find a port that is free at every address


def local_addresses() -> list[str]:
    """Return the IPv4 addresses of this machine, without those of loopback."""
    return get_host_addresses(use_ipv4=True, use_ipv6=False)


class MuxEndpoint(Protocol):
    """One client's transport as the mux sees it. None of these may raise on bad input."""

    def holds(self, address: Address, now: float) -> bool: ...
    def takes_check(self, now: float) -> bool: ...
    def charge(self, cost: float, now: float) -> None: ...
    def on_check(self, ufrag: str, address: Address, is_nominating: bool, now: float) -> None: ...
    def on_reached(self, answer: stun.Message, address: Address) -> None: ...
    def on_datagram(self, data: bytes, now: float) -> None: ...


class UdpMux:
    """The sockets, and who is behind which ufrag and address."""

    def __init__(self) -> None:
        self.dropped = 0  # datagrams nobody could take, sent or received
        self._sockets: dict[str, socket.socket] = {}  # by the address they are bound to
        self._is_wild = False  # bound to whatever address this machine has
        self._by_ufrag: dict[str, tuple[bytes, MuxEndpoint]] = {}  # with its password
        self._by_address: dict[Address, MuxEndpoint] = {}

    def open(self, host: str, port: int) -> None:
        """Bind one port, 0 for a free one, at an address or, for the wildcard, at each there is.

        A server on loopback binds the others too, and hears there who is on this machine: Firefox
        never sends from an address of loopback, nor to one (docs/livekit.md, "Firefox").
        """
        address = ipaddress.IPv4Address(host)
        self._is_wild = address.is_unspecified
        others = local_addresses() if address.is_unspecified or address.is_loopback else []
        if not address.is_unspecified:
            self._bind(host, port)
            for other in others:
                with contextlib.suppress(OSError):
                    self._bind(other, self.port, is_own=True)
            return
        for tries in reversed(range(1 if port else _TRIES)):
            try:
                for one in (_LOOPBACK, *others):
                    self._bind(one, self.port or port)
            except OSError:
                self.close()
                if tries == 0:
                    raise
            else:
                return

    def hosts(self, reached: str) -> tuple[str, ...]:
        """Return what clients are told that came to `reached`, best first; there may be a socket
        to bind, as addresses come and go."""
        if reached not in self._sockets and self._is_wild:
            with contextlib.suppress(OSError):
                self._bind(reached, self.port)
        return tuple(sorted(self._sockets, key=lambda one: one != reached))

    def _bind(self, host: str, port: int, *, is_own: bool = False) -> None:
        """Bind `port` at an address; if `is_own`, what comes from elsewhere is dropped."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BUFFER)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER)
            sock.bind((host, port))
            loop = asyncio.get_running_loop()
            loop.add_reader(sock, self._on_readable, loop, sock, host, is_own)
        except BaseException:
            sock.close()
            raise
        self._sockets[host] = sock

    @property
    def port(self) -> int:
        sock = next(iter(self._sockets.values()), None)
        return int(sock.getsockname()[1]) if sock is not None else 0

    def close(self) -> None:
        while self._sockets:
            _, sock = self._sockets.popitem()
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
        host, port, local = address
        sock = self._sockets.get(local)
        if sock is None:
            return
        try:
            sock.sendto(data, (host, port))
        except OSError:
            self.dropped += 1

    def _on_readable(
        self, loop: asyncio.AbstractEventLoop, sock: socket.socket, local: str, is_own: bool
    ) -> None:
        now = loop.time()
        for _ in range(_DATAGRAMS_PER_TURN):
            if local not in self._sockets:
                return
            try:
                data, (host, port) = sock.recvfrom(_MAX_DATAGRAM)
            except BlockingIOError:
                return
            except OSError:
                self.dropped += 1
                continue
            if is_own and host != local:
                self.dropped += 1
                continue
            try:
                self.receive(data, (host, port, local), now)
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
        begun = time.thread_time()
        request = _parse(data)
        if request is not None and request.message_class == stun.Class.RESPONSE:
            asked = self._by_address.get(address)
            if asked is not None:
                asked.on_reached(request, address)
            return
        ufrag = str(request.attributes["USERNAME"]).partition(":")[0] if request else ""
        key, endpoint = self._by_ufrag.get(ufrag, (b"", None))
        if request is None or endpoint is None or not endpoint.takes_check(now):
            self.dropped += 1
            return
        if not request.check_message_integrity(key):
            self.dropped += 1  # and charged to nobody: it is anybody's
            return
        is_nominating = "USE-CANDIDATE" in request.attributes
        if self._is_given(address, endpoint, now):
            response = stun.Message(
                stun.Method.BINDING, stun.Class.RESPONSE, request.transaction_id
            )
            response.attributes["XOR-MAPPED-ADDRESS"] = address[:2]
            response.add_message_integrity(key)
            self.send(bytes(response), address)
            endpoint.on_check(ufrag, address, is_nominating, now)
        endpoint.charge(time.thread_time() - begun, now)

    def _is_given(self, address: Address, endpoint: MuxEndpoint, now: float) -> bool:
        """Find `endpoint` at `address` from now on, unless somebody else is there."""
        holder = self._by_address.get(address)
        if holder is not endpoint:
            if holder is not None and holder.holds(address, now):
                self.dropped += 1  # anybody can write another's address on a check of their own
                return False
            known = self._addresses_of(endpoint)
            with contextlib.suppress(IndexError):
                del self._by_address[known[-_MAX_ADDRESSES]]
            self._by_address[address] = endpoint
        return True


def _parse(data: bytes) -> stun.Message | None:
    """Parse a Binding request that names a user, or the answer to one; who sent it is not known
    yet."""
    try:
        message = stun.parse_message(data)
    except (ValueError, struct.error):
        return None
    is_check = message.message_class == stun.Class.REQUEST and "USERNAME" in message.attributes
    is_answer = message.message_class == stun.Class.RESPONSE
    is_either = message.message_method == stun.Method.BINDING and (is_check or is_answer)
    return message if is_either else None
