"""One UDP socket for every client, and the ICE-lite half of it.

A client is found by the ufrag of its connectivity check, and from then on by its address. The
socket is drained by `add_reader`, up to 64 datagrams a turn: a quarter of the cost of asyncio's
one-datagram-per-turn endpoint, and the loop stays responsive (facts/sfu.md §10).

For development and tests only: IPv4, one address, no TURN, no TCP.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import Final, Protocol

from utd_rx.engine.sfu.stun import Address, binding_response, is_stun, parse_binding_request

_logger = logging.getLogger(__name__)

_DATAGRAMS_PER_TURN: Final = 64
_MAX_DATAGRAM: Final = 2048
# A stall of the loop shall become jitter, not loss.
_SOCKET_BUFFER: Final = 4 * 1024 * 1024
# A client probes from a handful of local addresses; more are a bug or an attack.
_MAX_ADDRESSES: Final = 16


class Endpoint(Protocol):
    """One client's transport as the mux sees it. None of these may raise on bad input."""

    def ice_password(self, ufrag: str) -> str | None: ...

    def on_check(self, ufrag: str, address: Address, is_nominating: bool, now: float) -> None: ...

    def on_datagram(self, data: bytes, now: float) -> None: ...


class UdpMux:
    """The socket, and who is behind which ufrag and address."""

    def __init__(self) -> None:
        self.dropped = 0  # datagrams nobody could take, sent or received
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._by_ufrag: dict[str, Endpoint] = {}
        self._by_address: dict[Address, Endpoint] = {}

    def open(self, host: str, port: int) -> None:
        """Bind and start reading.

        Raises:
            OSError: the address is taken or not ours.
        """
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BUFFER)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER)
            sock.bind((host, port))
            self._loop.add_reader(sock, self._on_readable)
        except BaseException:
            sock.close()
            raise
        self._socket = sock

    @property
    def port(self) -> int:
        """The bound UDP port; 0 when closed."""
        return int(self._socket.getsockname()[1]) if self._socket is not None else 0

    def close(self) -> None:
        """Stop reading and close the socket. Idempotent."""
        sock, self._socket = self._socket, None
        if sock is not None:
            self._loop.remove_reader(sock)
            sock.close()
        self._by_ufrag.clear()
        self._by_address.clear()

    def register(self, ufrag: str, endpoint: Endpoint) -> None:
        """Hand checks for `ufrag` to `endpoint`."""
        self._by_ufrag[ufrag] = endpoint

    def unregister(self, ufrag: str) -> None:
        """Forget `ufrag`; addresses it led to stay."""
        self._by_ufrag.pop(ufrag, None)

    def remove(self, endpoint: Endpoint) -> None:
        """Forget everything that leads to `endpoint`."""
        for ufrag in [one for one, other in self._by_ufrag.items() if other is endpoint]:
            del self._by_ufrag[ufrag]
        for address in self._addresses_of(endpoint):
            del self._by_address[address]

    def _addresses_of(self, endpoint: Endpoint) -> list[Address]:
        return [one for one, other in self._by_address.items() if other is endpoint]

    def send(self, data: bytes, address: Address) -> None:
        """Send one datagram; dropped and counted when the kernel does not take it."""
        if self._socket is None:
            return
        try:
            self._socket.sendto(data, address)
        except OSError:
            self.dropped += 1

    def _on_readable(self) -> None:
        now = self._loop.time()
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
                self._dispatch(data, address, now)
            except Exception:  # the boundary: one client must not stop the others
                self.dropped += 1
                _logger.debug("datagram refused", exc_info=True)

    def _dispatch(self, data: bytes, address: Address, now: float) -> None:
        if is_stun(data):
            self._on_stun(data, address, now)
            return
        endpoint = self._by_address.get(address)
        if endpoint is None or not data:
            self.dropped += 1
            return
        endpoint.on_datagram(data, now)

    def _on_stun(self, data: bytes, address: Address, now: float) -> None:
        request = parse_binding_request(data)
        endpoint = self._by_ufrag.get(request.local_ufrag) if request is not None else None
        if request is None or endpoint is None:
            self.dropped += 1
            return
        password = endpoint.ice_password(request.local_ufrag)
        if password is None or not request.is_authentic(password):
            self.dropped += 1
            return
        if self._by_address.get(address) is not endpoint:
            known = self._addresses_of(endpoint)
            with contextlib.suppress(IndexError):
                del self._by_address[known[-_MAX_ADDRESSES]]
            self._by_address[address] = endpoint
        self.send(binding_response(request.transaction_id, address, password), address)
        endpoint.on_check(request.local_ufrag, address, request.is_nominating, now)
