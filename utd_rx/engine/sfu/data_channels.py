"""Data channels of one client: aiortc's SCTP on our DTLS.

On one transport the client opens `_reliable`, `_lossy` and `_data_track`, and each is used in both
directions. On two, it opens them where it publishes and we open ours where it receives
(docs/livekit.md, "Data channels"). aiortc's coroutines never suspend because ours do not,
so they are driven synchronously, which keeps the order of datagrams.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from functools import partial
from typing import Any, Final, cast

from aiortc import RTCDataChannel, RTCDataChannelParameters, RTCSctpTransport
from aiortc.rtcsctptransport import RTCSctpCapabilities

from utd_rx.engine.sfu.answers import MAX_MESSAGE_SIZE
from utd_rx.engine.sfu.budget import Budget
from utd_rx.engine.sfu.sctp_gate import (
    MAX_HELD,
    MAX_STREAMS,
    WINDOW,
    Admittance,
    judge,
    number_of,
    parts,
    trimmed,
)

_logger = logging.getLogger(__name__)

RELIABLE: Final = "_reliable"
LOSSY: Final = "_lossy"
DATA_TRACK: Final = "_data_track"
_SCTP_PORT: Final = 5000
# Three are in use; a client that opens many more wants our memory.
_MAX_CHANNELS: Final = 16
# Chunks on their way: aiortc walks all of them for each that it sends, and of the smallest some ten
# thousand fit into what it allows itself.
_MAX_ON_THEIR_WAY: Final = 128
# Reliable messages that wait, for room or for the client's channel. `connect()` returns a few ms
# before it is open, and dropping them lost 3 of 12 first messages (docs/livekit.md, "Data
# channels"). A receiver 8 MiB behind is gone, and the real server drops there as well.
_MAX_BACKLOG: Final = 8192
_MAX_BACKLOG_BYTES: Final = 8 * 1024 * 1024
# Bytes of a channel that aiortc has and has not sent. Beyond them, or the chunks, what is lossy is
# dropped, as it is worth less the older it is, and what is reliable waits.
_MAX_BUFFERED: Final = 256 * 1024
# Packets that go out in one part of a turn, and reliable messages that waited: of the largest
# messages one costs 0.3 ms.
_SENT_AT_ONCE: Final = 16
# Bytes a second, and at once, of chunks that go out another time: of media as much is sent again.
# Beyond them they are lost, and come with SCTP's own timer: else who says in a tenth of a packet
# that everything was lost, three times, had it all again.
_AGAIN_RATE: Final = 250_000
_FLUSHED_AT_ONCE: Final = 4


class _DtlsPort:
    """What `RTCSctpTransport` uses of a DTLS transport; input comes by `DataChannels.receive`."""

    state = "connected"

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self.send: Callable[[bytes], None] | None = send
        self.waiting: deque[bytes] = deque()
        """Packets that go out in parts, the next behind the last."""
        self.is_collecting = False
        """Whether all do: one packet of a peer's may have everything sent again."""
        self._again = Budget(_AGAIN_RATE, _AGAIN_RATE)
        self._newest: int | None = None  # number of the last chunk that went out for the first time
        self._role = "client"  # of DTLS, which says whose channels have even numbers

    def be_server(self) -> None:
        self._role = "server"

    def _register_data_receiver(self, receiver: object) -> None: ...
    def _unregister_data_receiver(self, receiver: object) -> None: ...

    async def _send_data(self, data: bytes) -> None:
        if self._is_again(data):
            now = asyncio.get_running_loop().time()
            if not self._again.take(len(data), now):
                return
        if self.is_collecting or self.waiting:
            self.waiting.append(data)
        elif self.send is not None:
            self.send(data)

    def _is_again(self, data: bytes) -> bool:
        number = number_of(data)
        if number is None:
            return False
        if self._newest is None or 0 < (number - self._newest) & 0xFFFFFFFF < 0x80000000:
            self._newest = number
            return False
        return True

    def send_some(self) -> None:
        for _ in range(min(len(self.waiting), _SENT_AT_ONCE)):
            data = self.waiting.popleft()
            if self.send is not None:
                self.send(data)


def _drive(coroutine: Coroutine[Any, Any, None]) -> None:
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise RuntimeError("aiortc's SCTP suspended")


class DataChannels:
    """The SCTP association: packets go out by `send`, `on_message` gets label and payload.

    `opens` are the labels of the channels that are opened from this end.
    """

    def __init__(
        self,
        send: Callable[[bytes], None],
        on_message: Callable[[str, bytes], None],
        opens: Iterable[str] = (),
    ) -> None:
        self.dropped = 0
        self._on_message: Callable[[str, bytes], None] | None = on_message
        self._channels: dict[str, RTCDataChannel] = {}
        self._opened = 0
        self._backlog: deque[bytes] = deque()
        self._backlogged = 0
        self._port = _DtlsPort(send)
        self._sctp = RTCSctpTransport(cast("Any", self._port), _SCTP_PORT)
        self._sctp.on("datachannel", self._on_channel)
        self._opens = tuple(opens)
        self.is_closed = False

    def start(self, *, is_server: bool = False) -> None:
        if is_server:
            self._port.be_server()
        capabilities = RTCSctpCapabilities(maxMessageSize=MAX_MESSAGE_SIZE)
        _drive(self._sctp.start(capabilities, _SCTP_PORT))
        for label in self._opens:
            is_ordered = label == RELIABLE
            parameters = RTCDataChannelParameters(
                label=label, ordered=is_ordered, maxRetransmits=None if is_ordered else 0
            )
            channel = RTCDataChannel(self._sctp, parameters)
            channel.on("open", partial(self._on_channel, channel))

    def receive(self, packet: bytes) -> None:
        """Take a packet at once."""
        for _ in self.take(packet):
            pass

    def take(self, packet: bytes) -> Iterator[None]:
        """Take a packet, in parts: others have a turn whenever it yields."""
        if self.is_closed:
            return
        received = self._sctp._last_received_tsn
        verdict = judge(packet, received, self.on_their_way)
        if verdict is Admittance.TRIM:
            packet = trimmed(packet, received)
        elif verdict is not Admittance.PASS:
            self.dropped += 1
            if verdict is Admittance.ABORT:
                self.close()
            return
        for part in parts(packet):
            self._take_part(part)
            yield
            while self._port.waiting:
                self._port.send_some()
                yield
            while self._flush():
                yield
            if self.is_closed:
                return

    def _take_part(self, packet: bytes) -> None:
        self._port.is_collecting = True
        try:
            _drive(self._sctp._handle_data(packet))
        except Exception:  # aiortc's parser raises many kinds on garbage
            self.dropped += 1
            _logger.debug("SCTP packet refused", exc_info=True)
        finally:
            self._port.is_collecting = False
        streams = self._sctp._inbound_streams.values()
        held = sum(len(one.reassembly) for one in streams)
        # aiortc advertises its window but takes what exceeds it, and forgets at another INIT what
        # its misordered numbers counted from, but not them.
        is_greedy = self._sctp._advertised_rwnd < 0 or len(self._sctp._sack_misordered) > WINDOW
        if is_greedy or len(streams) > MAX_STREAMS or held > MAX_HELD:
            self.close()

    def _on_channel(self, channel: RTCDataChannel) -> None:
        self._opened += 1
        if self._opened > _MAX_CHANNELS:
            self.close()
            return
        label = channel.label
        self._channels[label] = channel
        channel.on("message", lambda message: self._deliver(label, message))

    def _deliver(self, label: str, message: bytes | str) -> None:
        if isinstance(message, bytes) and self._on_message is not None:
            self._on_message(label, message)
        else:
            self.dropped += 1  # LiveKit sends no text frames

    def send(self, label: str, message: bytes) -> None:
        if self.is_closed or len(message) > MAX_MESSAGE_SIZE:
            self.dropped += 1
            return
        channel = self._channels.get(label)
        is_full = channel is not None and self._is_full(channel)
        if label == RELIABLE and (channel is None or self._backlog or is_full):
            self._keep(message)
        elif channel is None or channel.readyState != "open" or is_full:
            self.dropped += 1
        else:
            self._send(channel, message)

    @property
    def on_their_way(self) -> int:
        """Chunks that went out or are about to, and are not acknowledged."""
        return sum(
            len(one)
            for one in (
                self._sctp._sent_queue,
                self._sctp._outbound_queue,
                self._sctp._data_channel_queue,
            )
        )

    def _is_full(self, channel: RTCDataChannel) -> bool:
        is_long = self.on_their_way >= _MAX_ON_THEIR_WAY
        return is_long or channel.bufferedAmount > _MAX_BUFFERED

    def _send(self, channel: RTCDataChannel, message: bytes) -> None:
        channel.send(message)
        # Else in a task of its own, and nobody's share would be charged for it.
        _drive(self._sctp._data_channel_flush())

    def _keep(self, message: bytes) -> None:
        backlogged = self._backlogged + len(message)
        if len(self._backlog) >= _MAX_BACKLOG or backlogged > _MAX_BACKLOG_BYTES:
            self.dropped += 1
        else:
            self._backlog.append(message)
            self._backlogged = backlogged

    def _flush(self) -> bool:
        """Send some of what waits; whether more of it may go."""
        channel = self._channels.get(RELIABLE)
        for _ in range(_FLUSHED_AT_ONCE):
            is_open = channel is not None and channel.readyState == "open"
            if not self._backlog or channel is None or not is_open or self._is_full(channel):
                return False
            message = self._backlog.popleft()
            self._backlogged -= len(message)
            self._send(channel, message)
        return True

    def close(self) -> None:
        """Abort the association, and let go of everything around it. Idempotent."""
        if self.is_closed:
            return
        self.is_closed = True
        self._backlog.clear()
        self._channels.clear()
        self._port.waiting.clear()
        self._port.is_collecting = False
        _drive(self._sctp.stop())
        self._port.send = self._on_message = None
