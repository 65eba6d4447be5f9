"""Data channels of one client: aiortc's SCTP on our DTLS.

On one transport the client opens `_reliable`, `_lossy` and `_data_track`, and each is used in both
directions. On two, it opens them where it publishes and we open ours where it receives
(docs/livekit.md, "Data channels"). aiortc's coroutines never suspend because ours do not,
so they are driven synchronously, which keeps the order of datagrams.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any, Final, cast

from aiortc import RTCDataChannel, RTCDataChannelParameters, RTCSctpTransport
from aiortc.rtcsctptransport import RTCSctpCapabilities

from utd_rx.engine.sfu.answers import MAX_MESSAGE_SIZE
from utd_rx.engine.sfu.sctp_gate import MAX_HELD, MAX_STREAMS, Admittance, judge

_logger = logging.getLogger(__name__)

RELIABLE: Final = "_reliable"
LOSSY: Final = "_lossy"
DATA_TRACK: Final = "_data_track"
_SCTP_PORT: Final = 5000
# Three are in use; a client that opens many more wants our memory.
_MAX_CHANNELS: Final = 16
# Reliable messages for a client whose channel is not open yet. `connect()` returns a few ms
# before it is, and dropping them lost 3 of 12 first messages (docs/livekit.md, "Data channels").
_MAX_BACKLOG: Final = 1024
_MAX_BACKLOG_BYTES: Final = 4 * 1024 * 1024
# Policy for a slow receiver: drop the newest. Lossy data is worth less the older it is; a
# receiver 8 MiB behind on reliable data is gone, and the real server drops there as well.
_MAX_BUFFERED: Final = {
    LOSSY: 256 * 1024,
    DATA_TRACK: 256 * 1024,
    RELIABLE: 8 * 1024 * 1024,
}


class _DtlsPort:
    """What `RTCSctpTransport` uses of a DTLS transport; input comes by `DataChannels.receive`."""

    state = "connected"

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self.send: Callable[[bytes], None] | None = send
        self._role = "client"  # of DTLS, which says whose channels have even numbers

    def be_server(self) -> None:
        self._role = "server"

    def _register_data_receiver(self, receiver: object) -> None: ...
    def _unregister_data_receiver(self, receiver: object) -> None: ...

    async def _send_data(self, data: bytes) -> None:
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
        if self.is_closed:
            return
        outstanding = len(self._sctp._sent_queue)
        verdict = judge(packet, self._sctp._last_received_tsn, outstanding)
        if verdict is not Admittance.PASS:
            self.dropped += 1
            if verdict is Admittance.ABORT:
                self.close()
            return
        try:
            _drive(self._sctp._handle_data(packet))
        except Exception:  # aiortc's parser raises many kinds on garbage
            self.dropped += 1
            _logger.debug("SCTP packet refused", exc_info=True)
        streams = self._sctp._inbound_streams.values()
        held = sum(len(one.reassembly) for one in streams)
        # aiortc advertises its window but takes what exceeds it.
        if self._sctp._advertised_rwnd < 0 or len(streams) > MAX_STREAMS or held > MAX_HELD:
            self.close()

    def _on_channel(self, channel: RTCDataChannel) -> None:
        self._opened += 1
        if self._opened > _MAX_CHANNELS:
            self.close()
            return
        label = channel.label
        self._channels[label] = channel
        channel.on("message", lambda message: self._deliver(label, message))
        if label == RELIABLE:
            backlog, self._backlog, self._backlogged = self._backlog, deque(), 0
            for message in backlog:
                self.send(RELIABLE, message)

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
        if channel is None and label == RELIABLE and self._has_room(message):
            self._backlog.append(message)
            self._backlogged += len(message)
        elif (
            channel is None
            or channel.readyState != "open"
            or channel.bufferedAmount > _MAX_BUFFERED.get(label, 0)
        ):
            self.dropped += 1
        else:
            channel.send(message)

    def _has_room(self, message: bytes) -> bool:
        is_short = len(self._backlog) < _MAX_BACKLOG
        return is_short and self._backlogged + len(message) <= _MAX_BACKLOG_BYTES

    def close(self) -> None:
        """Abort the association, and let go of everything around it. Idempotent."""
        if self.is_closed:
            return
        self.is_closed = True
        self._backlog.clear()
        self._channels.clear()
        _drive(self._sctp.stop())
        self._port.send = self._on_message = None
